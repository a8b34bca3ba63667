"""Lifecycle changes announced by vendors, with successors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..catalogue import Catalogue
from ..model import Lifecycle, ModelProfile
from ..proposal import Proposal
from ..vocabulary import ROLES, Role
from .comparison import Comparison, as_fact
from .listing import ListedModel
from .newcomer import Newcomer


@dataclass(frozen=True)
class LifecycleChange:
    profile: ModelProfile
    lifecycle: Lifecycle
    """The new lifecycle."""
    note: str


def lifecycle_changes(comparison: Comparison, newcomers: Sequence[Newcomer]) -> tuple[list[Proposal], list[str]]:
    """A proposal for each model whose lifecycle in the listing differs from its profile, and notes.

    When every model of the vendor that plays a role would retire at once, each proposal needs consent.
    """
    changes: list[LifecycleChange] = []
    notes: list[str] = []
    for profile in comparison.profiles:
        listed = comparison.listing.find(profile.api_model)
        found = _absent(comparison, profile) if listed is None else _stated(comparison, profile, listed)
        if isinstance(found, str):
            notes.append(found)
        elif found is not None:
            changes.append(found)
    profiles = {**comparison.catalogue.profiles, **{n.profile.id: n.profile for n in newcomers}}
    profiles |= {c.profile.id: c.profile.model_copy(update={"lifecycle": c.lifecycle}) for c in changes}
    after = replace(comparison.catalogue, profiles=profiles)
    settled = [_with_successor(change, after, comparison) for change in changes]
    profiles |= {c.profile.id: c.profile.model_copy(update={"lifecycle": c.lifecycle}) for c in settled}
    after = replace(after, profiles=profiles)
    proposals = [_proposal(change, after, comparison) for change in settled]
    if _ends_all(comparison, settled):
        all_at_once = f"{comparison.listing.source} ends all models of this vendor that play a role, at once."
        proposals = [replace(p, warnings=(all_at_once, *p.warnings), needs_consent=True) for p in proposals]
    return proposals, notes


def _stated(comparison: Comparison, profile: ModelProfile, listed: ListedModel) -> LifecycleChange | str | None:
    """The change for a listed model, a note where no change can be made, or None."""
    known = profile.lifecycle
    status, last = listed.lifecycle or known.status, listed.retires_on
    if listed.lifecycle is None or status == known.status != "deprecated":
        return None
    if status == "deprecated" and last is None:
        return (
            None
            if known.status != "active"
            else f"{profile.id} is deprecated by its vendor; no last day is announced yet."
        )
    if status == "retired":
        last = last or comparison.today
    if status == known.status and last == known.retires_on:
        return None
    return _changed(comparison, profile, status=status, last=last)


def _absent(comparison: Comparison, profile: ModelProfile) -> str | None:
    """A note on a model missing from the listing; not a change, since listings can be truncated or per account."""
    # Ollama lists only pulled models; a request for a missing one gets its own error.
    if profile.provider == "ollama" or not profile.is_offered_on(comparison.today):
        return None
    last = profile.lifecycle.retires_on
    end = "and announced no end" if last is None else f"although its profile says its last day is {last}"
    return (
        f"{profile.id}: its vendor does not list {profile.api_model} any more, {end}. Nothing is"
        " changed; write its `lifecycle` into a file of your own if it is gone."
    )


def _changed(comparison: Comparison, profile: ModelProfile, *, status: str, last: object) -> LifecycleChange:
    facts = profile.lifecycle.model_dump() | {
        "status": status,
        "retires_on": last if status != "active" else None,
        "source": comparison.listing.source,
        "seen": comparison.listing.seen,
    }
    if status == "active":
        facts |= {"successor": None, "note": None}
        return LifecycleChange(profile, Lifecycle.model_validate(facts), "its vendor lists it as active again")
    says = f"Stops answering on {last}." if status == "deprecated" else f"No longer offered since {last}."
    return LifecycleChange(profile, Lifecycle.model_validate(facts | {"note": says}), says.rstrip("."))


def _with_successor(change: LifecycleChange, after: Catalogue, comparison: Comparison) -> LifecycleChange:
    """The change with a successor: the newest active model of its line, preferably not on probation."""
    if change.lifecycle.status == "active":
        return change
    retired = change.profile
    candidates = [
        p
        for p in after
        if p.provider == retired.provider
        and p.line is not None
        and p.line == retired.line
        and p.id != retired.id
        and p.lifecycle.status == "active"
    ]

    def newness(profile: ModelProfile) -> tuple[bool, str, str]:
        listed = comparison.listing.find(profile.api_model)
        released = (listed.released if listed else None) or profile.lifecycle.released
        return not profile.lifecycle.on_probation, str(released or ""), profile.id

    successor = max(candidates, key=newness, default=None)
    if successor is None:
        return change
    return replace(change, lifecycle=change.lifecycle.model_copy(update={"successor": successor.id}))


def _ends_all(comparison: Comparison, changes: Sequence[LifecycleChange]) -> bool:
    ending = {change.profile.id for change in changes if change.lifecycle.status != "active"}
    models = {
        p.id
        for role in ROLES
        for p in comparison.catalogue.models_in_role(role, comparison.today)
        if p in comparison.profiles
    }
    return bool(models) and models <= ending


def _proposal(change: LifecycleChange, after: Catalogue, comparison: Comparison) -> Proposal:
    profile, lifecycle = change.profile, change.lifecycle
    warnings = list(_warnings(change, after, comparison)) if lifecycle.status != "active" else []
    return comparison.proposal(
        profile.id,
        ("lifecycle",),
        as_fact(profile.lifecycle),
        as_fact(lifecycle, beside=profile.lifecycle),
        change.note,
        *warnings,
    )


def _warnings(change: LifecycleChange, after: Catalogue, comparison: Comparison) -> Iterator[str]:
    last = max(change.lifecycle.retires_on or comparison.today, comparison.today)
    before, today = comparison.catalogue, comparison.today
    roles: list[Role] = [role for role in ROLES if change.profile in before.models_in_role(role, today)]
    successor = after.successor_of(after.profiles[change.profile.id], last)
    if successor is not None and successor.lifecycle.on_probation:
        yield f"Its successor {successor.id} is on probation: evaluate it before {last}."
    elif successor is None and roles:
        yield "No successor of its line is known."
    for role in roles:
        if not after.models_in_role(role, last):
            yield f"From {last} on no model plays the {role} role: another role takes its tasks."
