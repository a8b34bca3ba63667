"""Under which installed name Ollama has a profile's model: people pull the same weights under many tags."""

from collections.abc import Collection, Iterable

from ...profiles.model import ModelProfile
from .ollama_wire import Listed, full_name, is_named_as_remote

_UNTAGGED = "latest"
_SAME_SIZE = 0.1
"""Relative difference of parameter counts that are the same when rounded: `35b` is listed as `36.0B`."""
_UNTUNED = "-base"
"""Part of the tag of weights that do not follow instructions."""


def installed_name(profile: ModelProfile, listed: Iterable[Listed], taken: Collection[str] = ()) -> str:
    """The name to ask for: the profile's own, or if that is not installed, another build of the same model.

    Other builds are those whose tag goes on after the profile's (`27b-mlx` and `27b-q8_0` for `27b`), or the untagged
    one if it is as large. listed: all installed models; the first that fits is taken (Ollama lists the latest pulled
    first: `server/routes.go`, seen 2026-12-01). taken: full names that have a profile of their own.
    """
    wanted = full_name(profile.api_model)
    names = {full_name(one.name): one for one in listed}
    if wanted in names:
        return wanted
    others = (name for name, one in names.items() if name not in taken and _is_build_of(profile, wanted, name, one))
    return next(others, wanted)


def _is_build_of(profile: ModelProfile, wanted: str, name: str, listed: Listed) -> bool:
    if is_named_as_remote(name) or listed.names_a_remote or _UNTUNED in name:
        return False
    base = wanted.rpartition(":")[0]
    return name.startswith(f"{wanted}-") or (name == f"{base}:{_UNTAGGED}" and _is_as_large(profile, listed))


def _is_as_large(profile: ModelProfile, listed: Listed) -> bool:
    if profile.parameters is None or listed.total_billion is None:
        return False
    ours = profile.parameters.total_billion
    return abs(listed.total_billion - ours) <= _SAME_SIZE * ours
