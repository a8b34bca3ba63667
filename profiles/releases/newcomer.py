"""Profiles for new models, from their vendor's listing and from related models."""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ..catalogue import Catalogue
from ..model import PROFILE_ID_PATTERN, Lifecycle, MemoryNeed, ModelProfile, Parameters, ThinkingRules
from ..price import Price
from ..proposal import Proposal
from ..vocabulary import Capability, ProviderName, Role
from .comparison import Comparison, as_fact
from .listing import ListedModel, Listing

NEWCOMERS_AT_MOST = 25
"""Limit on new profiles per listing; users with more new models add profiles by hand."""

_ID_LENGTH = 64
_OTHER_FILES = frozenset({"routing"})
"""File names in the profiles folder that are not profiles."""
_UNSAID: tuple[Capability, ...] = ("tools", "prompt_caching")
"""Never stated in cloud vendors' listings, so inherited from the predecessor."""
_ELSEWHERE = (
    "It runs on another machine, so it is not asked when a task must stay on this one, and may be billed there."
)
_UNPRICED = "It is not asked before you add a `price` to its profile, all zeros if your plan covers it."


@dataclass(frozen=True)
class Newcomer:
    listed: ListedModel
    profile: ModelProfile
    warnings: tuple[str, ...] = ()
    """Reasons for the user to confirm the profile even with --apply."""


@dataclass(frozen=True)
class Skipped:
    """Why a new model gets no profile."""

    note: str | None
    """None: not worth mentioning."""


def newcomers(comparison: Comparison) -> tuple[list[Newcomer], list[str]]:
    """The new models with their profiles, on probation, and notes on those left out."""
    found: list[Newcomer] = []
    notes: list[str] = []
    catalogue = comparison.catalogue
    for listed in comparison.unknown:
        if len(found) == NEWCOMERS_AT_MOST:
            notes.append(f"{comparison.listing.source}: {NEWCOMERS_AT_MOST} models are new; further ones are left out.")
            break
        name = profile_id(listed.id, catalogue)
        if name is None:
            notes.append(f"{listed.id}: no profile id is free for it. Add a profile by hand to use it.")
            continue
        made = _MAKERS[comparison.listing.provider](replace(comparison, catalogue=catalogue), listed, name)
        if isinstance(made, Skipped):
            notes += [made.note] if made.note else []
            continue
        found.append(made)
        catalogue = replace(catalogue, profiles={**catalogue.profiles, name: made.profile})
    return found, notes


def newcomer_proposal(comparison: Comparison, newcomer: Newcomer) -> Proposal:
    """The whole profile, as a proposal."""
    profile = newcomer.profile
    note = f"{profile.provider} has {profile.api_model}, which has no profile"
    waits = "On probation: it plays no role until `chargehand evaluate` or `profiles trial` has measured it."
    return comparison.proposal(
        profile.id, (), None, as_fact(profile), note, waits, *newcomer.warnings, needs_consent=bool(newcomer.warnings)
    )


def profile_id(wire_id: str, catalogue: Catalogue) -> str | None:
    """A free profile id close to the wire id: `qwen3-14b` for `qwen3:14b`.

    None: no id is free.
    """
    plain = re.sub(r"[^a-z0-9._-]+", "-", wire_id.lower().removesuffix(":latest"))
    plain = plain.lstrip("._-")[:_ID_LENGTH].rstrip("-")
    for name in (plain, f"{plain[: _ID_LENGTH - 6]}-model"):
        if re.match(PROFILE_ID_PATTERN, name) and name not in _OTHER_FILES and name not in catalogue.profiles:
            return name
    return None


def local_profile(listed: ListedModel, name: str, listing: Listing, catalogue: Catalogue) -> ModelProfile:
    """The profile of a model on the user's machine. It gets the roles of the most similar model, ranked last."""
    weights = listed.weights
    size, family = (weights.total_billion, weights.family) if weights else (None, None)
    base = _base(listed.id)
    local_models = [p for p in catalogue if p.provider == "ollama" and p.id != name]
    lines = {p.line for p in local_models if p.line and _base(p.api_model) == base}
    line = lines.pop() if len(lines) == 1 else (family or base.rpartition("/")[2])
    memory = None
    if weights is not None and weights.size_gb is not None and weights.quantization:
        memory = MemoryNeed(weights_gb=weights.size_gb, quantization=weights.quantization)
    return ModelProfile(
        id=name,
        name=listed.name or listed.id,
        provider="ollama",
        api_model=listed.id,
        line=line,
        parameters=Parameters(total_billion=size) if size else None,
        memory=memory,
        context_tokens=listed.context_tokens,
        thinking=ThinkingRules(sent_back=True) if listed.can_think else None,
        capabilities=listed.capabilities,
        setup_command=f"ollama pull {listed.id}",
        roles=_roles_of_nearest(local_models, line, size, catalogue),
        lifecycle=_on_probation(listed, listing, f"Weights {weights.build} when it was found." if weights else None),
    )


def successor_profile(
    listed: ListedModel, name: str, predecessor: ModelProfile, price: Price, listing: Listing
) -> ModelProfile:
    """The profile of a new cloud model in a known line; facts not listed come from its predecessor, as do roles.

    Strengths, weaknesses and measurements of the predecessor are not copied.
    """
    thinking = predecessor.thinking
    if listed.can_think is False:
        thinking = None
    elif listed.thinking is not None:
        thinking = ThinkingRules(
            always_on=listed.thinking.always_on,
            turned_off_by=listed.thinking.turned_off_by,
            efforts=listed.thinking.efforts,
            on_from_complexity=thinking.on_from_complexity if thinking else 5.0,
            sent_back=thinking.sent_back if thinking else False,
        )
    stated = set(listed.capabilities) if listed.capabilities else set(predecessor.capabilities)
    capabilities = stated | (set(predecessor.capabilities) & set(_UNSAID))
    return ModelProfile(
        id=name,
        name=listed.name or listed.id,
        provider=predecessor.provider,
        api_model=listed.id,
        line=predecessor.line,
        context_tokens=listed.context_tokens or predecessor.context_tokens,
        max_output_tokens=listed.max_output_tokens or predecessor.max_output_tokens,
        price=price,
        thinking=thinking,
        capabilities=tuple(sorted(capabilities)),
        primary_use=predecessor.primary_use,
        roles=predecessor.roles,
        lifecycle=_on_probation(
            listed, listing, f"Its request rules are those of {predecessor.id} where none are stated."
        ),
    )


def compatible_profile(listed: ListedModel, name: str, sibling: ModelProfile, listing: Listing) -> ModelProfile:
    """The profile of another model on a known OpenAI-compatible server."""
    return ModelProfile(
        id=name,
        name=listed.name or listed.id,
        provider="openai_compatible",
        api_model=listed.id,
        base_url=sibling.base_url,
        api_key_env=sibling.api_key_env,
        headers=sibling.headers,
        context_tokens=listed.context_tokens,
        lifecycle=_on_probation(listed, listing, None),
    )


def _local_newcomer(comparison: Comparison, listed: ListedModel, name: str) -> Newcomer:
    warnings = (_ELSEWHERE, _UNPRICED) if listed.weights is not None and listed.weights.is_remote else ()
    return Newcomer(listed, local_profile(listed, name, comparison.listing, comparison.catalogue), warnings)


def _cloud_newcomer(comparison: Comparison, listed: ListedModel, name: str) -> Newcomer | Skipped:
    line = listed.line or _line_by_name(listed.id, comparison)
    same_line = [p for p in comparison.profiles if p.line == line and p.is_offered_on(comparison.today)]
    if line is None or not same_line:
        return Skipped(f"{listed.id}: it belongs to no known line of models. Add a profile by hand to use it.")
    released = {p.id: _released(p, comparison) for p in same_line}
    dated = [p for p in same_line if released[p.id] is not None]
    predecessor = max(dated, key=lambda p: (str(released[p.id]), p.id), default=max(same_line, key=lambda p: p.id))
    since = released[predecessor.id]
    if listed.released is None or since is None or listed.released <= since:
        return Skipped(None)  # vendors keep offering older models
    price = comparison.price_of(listed.id)
    if price is None:
        return Skipped(
            f"{listed.id}: follows {predecessor.id}, but its price is not known, and no model is asked without one."
            " Upgrade genai-prices, or add a profile by hand."
        )
    return Newcomer(listed, successor_profile(listed, name, predecessor, price, comparison.listing))


def _compatible_newcomer(comparison: Comparison, listed: ListedModel, name: str) -> Newcomer | Skipped:
    sibling = next(p for p in comparison.profiles)
    if sibling.price is not None:
        return Skipped(None)  # an aggregator lists hundreds; users add the ones they want
    warnings = (_ELSEWHERE,) if comparison.listing.is_remote else ()
    return Newcomer(listed, compatible_profile(listed, name, sibling, comparison.listing), warnings)


_MAKERS: Mapping[ProviderName, Callable[[Comparison, ListedModel, str], Newcomer | Skipped]] = {
    "ollama": _local_newcomer,
    "anthropic": _cloud_newcomer,
    "cerebras": _cloud_newcomer,
    "openai_compatible": _compatible_newcomer,
}


def _released(profile: ModelProfile, comparison: Comparison) -> dt.date | None:
    listed = comparison.listing.find(profile.api_model)
    return (listed.released if listed else None) or profile.lifecycle.released


def _line_by_name(wire_id: str, comparison: Comparison) -> str | None:
    """The longest known line that is a prefix of the id."""
    lines = {p.line for p in comparison.profiles if p.line and wire_id.lower().startswith(f"{p.line.lower()}-")}
    return max(lines, key=len, default=None)


def _on_probation(listed: ListedModel, listing: Listing, note: str | None) -> Lifecycle:
    return Lifecycle(
        status="active",
        released=listed.released,
        note=note,
        on_probation=True,
        source=listing.source,
        seen=listing.seen,
    )


def _base(wire_id: str) -> str:
    """The lowercase id without its tag."""
    head, slash, last = wire_id.lower().rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def _roles_of_nearest(
    local_models: list[ModelProfile], line: str, size: float | None, catalogue: Catalogue
) -> dict[Role, int]:
    """The roles of the model closest in line, then size, each ranked last. Empty: the size is not known."""
    if size is None:
        return {}

    def distance(profile: ModelProfile) -> tuple[bool, float, str]:
        theirs = profile.parameters.total_billion if profile.parameters else 0.0
        return profile.line != line, abs(theirs - size), profile.id

    models = [p for p in local_models if p.roles and p.parameters]
    nearest = min(models, key=distance, default=None)
    if nearest is None:
        return {}
    return {role: 1 + max(p.roles.get(role, 0) for p in catalogue) for role in nearest.roles}
