"""Pairwise comparison of models that share a role, on comparable tasks.

A difference counts when its 95% interval (Newcombe), corrected for all comparisons of its family (Bonferroni),
excludes 0. `same_items` and `like_tasks` define what is compared.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Literal, Protocol, TypeVar

from ...profiles.catalogue import Catalogue
from ...profiles.model import ModelProfile
from ...profiles.proposal import Evidence, Fact, Proposal
from ...profiles.vocabulary import ROLES, TASK_TYPES, Role, TaskType
from .statistics import Count, newcombe, wilson

_MUCH_MORE_EXPENSIVE = 2.0


class Contender(Protocol):
    """A model as one side of a comparison."""

    @property
    def model(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def seen(self) -> dt.date: ...
    @property
    def usd_per_solved(self) -> float | None: ...


_C = TypeVar("_C", bound=Contender)


@dataclass(frozen=True)
class ComparisonTerms:
    """The wording of one kind of comparison."""

    origin: Literal["evaluation", "usage"]
    alike: str
    """What makes the tasks comparable, in a few words."""
    mark: str
    """Prefix of every sentence generated from this kind; the next update replaces the sentences that have it."""
    caveat: tuple[str, ...] = ()
    """Warnings for the person who accepts a change."""


@dataclass(frozen=True)
class Rivals(Generic[_C]):
    """The models to compare, and how."""

    by_model: Mapping[str, _C]
    compare: Callable[[_C, _C, TaskType | None], tuple[Count, Count] | None]
    """Both models' counts on comparable tasks of one type, or of all types (None). Returns None when too few."""
    terms: ComparisonTerms


@dataclass(frozen=True)
class Contest:
    """Two models, one of which is significantly better."""

    task_type: TaskType | None
    """None: at tasks of all types."""
    better: Contender
    worse: Contender
    counts: tuple[Count, Count]
    """Of the better model, then of the worse."""
    interval: tuple[float, float]
    """Of the difference of shares; its lower end is above 0."""
    compared: int
    """Number of comparisons that the interval is corrected for."""
    terms: ComparisonTerms

    def proposal(self, profile: str, place: tuple[str, ...], before: Fact, after: Fact) -> Proposal:
        """A change to the profile, with this comparison as its evidence."""
        return Proposal(profile, place, before, after, self._evidence(), self.terms.caveat)

    def _evidence(self) -> Evidence:
        mine, theirs = self.counts
        return Evidence(
            self.terms.origin,
            self.better.source,
            max(self.better.seen, self.worse.seen),
            n=round(mine.n + theirs.n),
            interval=(round(self.interval[0], 3), round(self.interval[1], 3)),
            note=(
                f"{self.better.model} passed {mine.passed:.3g} of {mine.n:.3g} and {self.worse.model}"
                f" {theirs.passed:.3g} of {theirs.n:.3g}, {self.terms.alike}; difference"
                f" {mine.share - theirs.share:+.0%} (Newcombe, corrected for {self.compared} comparisons)"
            ),
        )


def role_orders(catalogue: Catalogue, rivals: Rivals[_C], today: dt.date) -> list[Proposal]:
    """New places in a role where a model is asked after one that is significantly worse."""
    contests = _contests(rivals, _pairs(catalogue, rivals, today), [None])
    proposals: list[Proposal] = []
    for role in ROLES:
        models = _models_in_role(catalogue, rivals, role, today)
        order, reasons = _reordered([p.id for p in models], contests)
        if order == [p.id for p in models]:
            continue
        places = {p.id: place for p in models if (place := catalogue.place_of(p, role, today)) is not None}
        place = 0
        for profile, wanted in zip(order, sorted(places.values()), strict=True):
            place = max(wanted, place + 1)
            reason = reasons.get(profile)
            if places[profile] != place and reason is not None:
                before: Fact = catalogue.profiles[profile].roles.get(role)
                proposal = reason.proposal(profile, ("roles", role), before, place)
                proposals.append(replace(proposal, warnings=(*proposal.warnings, *_cost_warning(reason))))
    return proposals


def fitness(catalogue: Catalogue, rivals: Rivals[_C], today: dt.date) -> list[Proposal]:
    """`suits`, `avoids` and their sentences: task types with only significant wins, or only significant losses."""
    found = _contests(rivals, _pairs(catalogue, rivals, today), TASK_TYPES)
    proposals: list[Proposal] = []
    for model in rivals.by_model:
        wins = _by_type(found, lambda contest, me=model: contest.better.model == me)
        losses = _by_type(found, lambda contest, me=model: contest.worse.model == me)
        suited: dict[TaskType, Contest] = {t: c for t, c in wins.items() if t not in losses}
        avoided: dict[TaskType, Contest] = {t: c for t, c in losses.items() if t not in wins}
        proposals += _fits(catalogue.profiles[model], suited, avoided, rivals.terms.mark)
    return proposals


def _by_type(contests: Sequence[Contest], wanted: Callable[[Contest], bool]) -> dict[TaskType, Contest]:
    """The first matching contest of each task type."""
    found: dict[TaskType, Contest] = {}
    for contest in filter(wanted, contests):
        if contest.task_type is not None:
            found.setdefault(contest.task_type, contest)
    return found


def _fits(
    profile: ModelProfile, suited: Mapping[TaskType, Contest], avoided: Mapping[TaskType, Contest], mark: str
) -> list[Proposal]:
    proposals: list[Proposal] = []
    for place, now, new, opposed in (
        ("suits", profile.suits, suited, avoided),
        ("avoids", profile.avoids, avoided, suited),
    ):
        wanted = [t for t in TASK_TYPES if t in new or (t in now and t not in opposed)]
        because = [*new.values(), *(opposed[t] for t in now if t in opposed)]
        if set(wanted) != set(now):
            proposals.append(because[0].proposal(profile.id, (place,), list(now), list(wanted)))
    for place, now, new in (("best_for", profile.best_for, suited), ("weaknesses", profile.weaknesses, avoided)):
        if new:
            sentences = [mark + _sentence(profile.id, task_type, contest) for task_type, contest in new.items()]
            kept = [sentence for sentence in now if not sentence.startswith(mark)]
            reason = next(iter(new.values()))
            proposals.append(reason.proposal(profile.id, (place,), list(now), [*kept, *sentences]))
    return proposals


def _sentence(model: str, task_type: TaskType, contest: Contest) -> str:
    mine, theirs = contest.counts if contest.better.model == model else contest.counts[::-1]
    rival = contest.worse if contest.better.model == model else contest.better
    low, high = wilson(mine)
    return (
        f"{task_type}, {mine.passed:.3g} of {mine.n:.3g} passed ({low:.0%} to {high:.0%}) where {rival.model} passed"
        f" {theirs.passed:.3g} of {theirs.n:.3g}"
    )


def _models_in_role(catalogue: Catalogue, rivals: Rivals[_C], role: Role, today: dt.date) -> list[ModelProfile]:
    return [p for p in catalogue.models_in_role(role, today, reference_first=False) if p.id in rivals.by_model]


def _pairs(catalogue: Catalogue, rivals: Rivals[_C], today: dt.date) -> list[tuple[_C, _C]]:
    """Each pair of models that share at least one role, once."""
    pairs: dict[frozenset[str], tuple[_C, _C]] = {}
    for role in ROLES:
        ids = [p.id for p in _models_in_role(catalogue, rivals, role, today)]
        for index, one in enumerate(ids):
            for other in ids[index + 1 :]:
                pairs.setdefault(frozenset((one, other)), (rivals.by_model[one], rivals.by_model[other]))
    return list(pairs.values())


def _contests(
    rivals: Rivals[_C], pairs: Sequence[tuple[_C, _C]], task_types: Sequence[TaskType | None]
) -> list[Contest]:
    """The significant comparisons, corrected for all comparisons that had enough data."""
    compared: list[tuple[TaskType | None, _C, _C, tuple[Count, Count]]] = [
        (task_type, one, other, counts)
        for one, other in pairs
        for task_type in task_types
        if (counts := rivals.compare(one, other, task_type)) is not None
    ]
    contests: list[Contest] = []
    for task_type, one, other, (mine, theirs) in compared:
        ahead, behind = ((one, mine), (other, theirs)) if mine.share > theirs.share else ((other, theirs), (one, mine))
        interval = newcombe(ahead[1], behind[1], comparisons=len(compared))
        if interval[0] > 0:
            counts = ahead[1], behind[1]
            contests.append(Contest(task_type, ahead[0], behind[0], counts, interval, len(compared), rivals.terms))
    return contests


def _first(contests: Sequence[Contest], wanted: Callable[[Contest], bool]) -> Contest | None:
    return next(filter(wanted, contests), None)


def _reordered(order: list[str], contests: Sequence[Contest]) -> tuple[list[str], dict[str, Contest]]:
    """Move each model ahead of adjacent predecessors that it beats; also return, per model, the contest behind it."""
    order, reasons = list(order), dict[str, Contest]()
    for _ in order:  # bounded, as three models may beat each other in a cycle
        for index in range(len(order) - 1):
            first, second = order[index], order[index + 1]
            won = _first(contests, lambda c, a=second, b=first: (c.better.model, c.worse.model) == (a, b))
            if won is not None:
                order[index], order[index + 1] = second, first
                reasons.setdefault(second, won)
                reasons.setdefault(first, won)
    return order, reasons


def _cost_warning(contest: Contest) -> tuple[str, ...]:
    mine, theirs = contest.better.usd_per_solved, contest.worse.usd_per_solved
    if mine is None or theirs is None or mine <= theirs * _MUCH_MORE_EXPENSIVE:
        return ()
    return (f"{contest.better.model} costs ${mine:.4g} for each solved task, {contest.worse.model} ${theirs:.4g}.",)
