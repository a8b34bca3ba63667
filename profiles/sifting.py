"""Filters proposals: keeps those that may be applied and gives a reason for each refused one."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from pydantic import ValidationError

from .catalogue import Catalogue
from .measurable import why_not
from .model import ModelProfile
from .overlay import apply_proposal
from .proposal import Fact, Proposal
from .validation import first_problem


@dataclass(frozen=True)
class RefusedProposal:
    proposal: Proposal
    why: str


@dataclass(frozen=True)
class Sifted:
    kept: tuple[Proposal, ...]
    """Grouped by profile, in the order given; each changes something, and together they leave every profile valid."""
    refused: tuple[RefusedProposal, ...]


def sift(catalogue: Catalogue, proposals: Iterable[Proposal]) -> Sifted:
    """Refuse proposals for hand-written or unmeasurable facts, and those that would make a profile invalid.

    Of several for one place, the last is kept. Those that change nothing are dropped.
    """
    refused: list[RefusedProposal] = []
    by_profile: dict[str, dict[tuple[str, ...], Proposal]] = {}
    for proposal in proposals:
        why = _why_refused(catalogue, proposal)
        if why is not None:
            refused.append(RefusedProposal(proposal, why))
            continue
        by_profile.setdefault(proposal.profile, {})[proposal.place] = proposal
    kept: list[Proposal] = []
    for profile, places in by_profile.items():
        changes = [
            replace(p, before=before)
            for p in places.values()
            if (before := fact_at(catalogue, profile, p.place)) != p.after and (before, p.after) != (None, [])
        ]
        problem = _problem_with(catalogue, profile, changes)
        if problem is None:
            kept += changes
        else:
            refused += [RefusedProposal(p, problem) for p in changes]
    return Sifted(tuple(kept), tuple(refused))


def with_changes(catalogue: Catalogue, proposals: Iterable[Proposal]) -> Catalogue:
    """The catalogue as it will be after these proposals, which `sift` has kept."""
    facts = dict(catalogue.facts)
    for proposal in proposals:
        facts[proposal.profile] = apply_proposal(facts.get(proposal.profile, {}), proposal)
    changed = {
        name: ModelProfile.model_validate(group)
        for name, group in facts.items()
        if group is not catalogue.facts.get(name)
    }
    return replace(catalogue, profiles={**catalogue.profiles, **changed}, facts=facts)


def fact_at(catalogue: Catalogue, profile: str, place: tuple[str, ...]) -> Fact:
    """The current value at a place, as in YAML; None when there is none."""
    at = _plain(catalogue.facts.get(profile))
    for key in place:
        at = at.get(key) if isinstance(at, dict) else None
    return at


def _plain(value: object) -> Fact:
    """The value with dates as ISO text, as in proposals."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in cast(Mapping[object, object], value).items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in cast(list[object], value)]
    return value.isoformat() if isinstance(value, dt.date) else cast(Fact, value)


def _why_refused(catalogue: Catalogue, proposal: Proposal) -> str | None:
    if proposal.place and proposal.profile not in catalogue.profiles:
        return f"there is no profile {proposal.profile}"
    if not proposal.place and proposal.profile in catalogue.profiles:
        return f"there is a profile {proposal.profile} already"
    return why_not(proposal, catalogue.own.get(proposal.profile, {}))


def _problem_with(catalogue: Catalogue, profile: str, changes: list[Proposal]) -> str | None:
    facts: Mapping[str, Any] = catalogue.facts.get(profile, {})
    for change in changes:
        if not change.place and not isinstance(change.after, dict):
            return "a new profile must be a group of fields"
        facts = apply_proposal(facts, change)
    try:
        known = ModelProfile.model_validate(facts) if changes else None
    except ValidationError as error:
        return f"it would leave the profile invalid: {first_problem(error, 'the profile as a whole')}"
    if known is not None and known.id != profile:
        return f"its id is {known.id!r}, and not {profile!r}"
    return None
