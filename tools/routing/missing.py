"""Explains why no model can be asked, by the obstacles that the user can remove most easily."""

from collections.abc import Iterator, Mapping, Sequence

from ..some_names import some_names
from .candidates import Candidate, ObstacleKind

_MOST_NAMED = 3

_RAISE = "Raise it to have it asked."
_REMEDIES: Mapping[ObstacleKind, str] = {
    "too_long": "Give fewer or shorter files to have it asked.",
    "too_expensive": _RAISE,
    "day_spent": _RAISE,
    "too_slow": _RAISE,
}
"""For limits that the call itself sets."""


def nearest(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The models that are easiest to make usable, without duplicates, in order; for a limit of the call, only one.

    candidates: all unusable. From easiest to hardest: a limit of the call, a vendor that the user has set up, one
    that needs no setup, one without a key, a model that may not see the text, a retired model.
    """
    models: dict[str, Candidate] = {}
    for candidate in candidates:
        models.setdefault(candidate.profile.id, candidate)
    least = min(map(_distance, models.values()), default=0)
    near = [candidate for candidate in models.values() if _distance(candidate) == least]
    if least > 0:
        return near
    return sorted(near, key=lambda candidate: (len(candidate.obstacles), candidate.expected.cost_usd))[:1]


def obstacles_in_words(near: Sequence[Candidate]) -> str:
    """The reasons, one per vendor, each followed by its models; without a final full stop."""
    return "; ".join(_reasons(near))


def doctor_hint(near: Sequence[Candidate]) -> str:
    """A pointer to `chargehand doctor`; empty if a limit of the call is the reason."""
    return "`chargehand doctor` says what else can be set up." if near and _distance(near[0]) else ""


def _reasons(near: Sequence[Candidate]) -> Iterator[str]:
    vendors: dict[tuple[str, str], list[Candidate]] = {}
    for candidate in near:
        vendors.setdefault((candidate.profile.provider, candidate.availability.host), []).append(candidate)
    for first, *others in list(vendors.values())[:_MOST_NAMED]:
        (obstacle, *_), why = first.obstacles, (first.why_not or "").rstrip(".")
        models = [first.profile.id, *(other.profile.id for other in others if other.obstacles[0] == obstacle)]
        if obstacle.kind in _REMEDIES:
            yield f"{models[0]}: {why}. {_REMEDIES[obstacle.kind].rstrip('.')}"
        else:
            yield f"{why} (for {some_names(models, _MOST_NAMED)})"


def _distance(candidate: Candidate) -> int:
    kinds = {obstacle.kind for obstacle in candidate.obstacles}
    if "retired" in kinds:
        return 5
    if "not_local" in kinds:
        return 4
    if "unreachable" in kinds:
        return {True: 1, None: 2, False: 3}[candidate.availability.is_set_up]
    return 0
