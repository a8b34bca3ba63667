"""Who does better than whom: models that play the same role, compared on the items that both were asked.

A difference counts when the 95% interval of the two shares' difference (Newcombe) leaves out 0, wide enough for all
comparisons of its family at once (Bonferroni), and never on fewer than `LEAST_ITEMS` items of `LEAST_NAMES` tasks.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...profiles.catalogue import Catalogue
from ...profiles.model import ModelProfile
from ...profiles.proposal import Evidence, Fact, Proposal
from ...profiles.vocabulary import ROLES, TASK_TYPES, Role, TaskType
from .standing import Item, Standing, count_of
from .statistics import Count, newcombe, wilson

LEAST_ITEMS = 10
LEAST_NAMES = 3
MARK = "Measured: "
"""How a sentence begins that an update wrote: the next one replaces it, and no other."""

_MUCH_DEARER = 2.0


@dataclass(frozen=True)
class Contest:
    """Two models on the same items."""

    task_type: TaskType | None
    """None: on items of all types."""
    better: Standing
    worse: Standing
    counts: tuple[Count, Count]
    """Of the better, and of the worse."""
    interval: tuple[float, float]
    """Of the difference, above 0."""
    compared: int
    """How many comparisons it was found among."""

    def evidence(self) -> Evidence:
        mine, theirs = self.counts
        return Evidence(
            "evaluation",
            self.better.source,
            max(self.better.seen, self.worse.seen),
            n=round(mine.n + theirs.n),
            interval=(round(self.interval[0], 3), round(self.interval[1], 3)),
            note=(
                f"{self.better.model} passed {mine.passed:.3g} of {mine.n:.3g} and {self.worse.model}"
                f" {theirs.passed:.3g} of the same; difference {mine.share - theirs.share:+.0%} (Newcombe, corrected"
                f" for {self.compared} comparisons)"
            ),
        )


def role_orders(catalogue: Catalogue, standings: Mapping[str, Standing], today: dt.date) -> list[Proposal]:
    """The places of models in a role where one is asked after another that is significantly worse."""
    contests = _contests(_pairs(catalogue, standings, today), [None])
    proposals: list[Proposal] = []
    for role in ROLES:
        players = _players(catalogue, standings, role, today)
        order, reasons = _reordered([p.id for p in players], contests)
        if order == [p.id for p in players]:
            continue
        place = 0
        for profile, wanted in zip(order, sorted(p.roles[role] for p in players), strict=True):
            place = max(wanted, place + 1)
            reason = reasons.get(profile)
            if catalogue.profiles[profile].roles[role] != place and reason is not None:
                before: Fact = catalogue.profiles[profile].roles[role]
                proposals.append(Proposal(profile, ("roles", role), before, place, reason.evidence(), _dearer(reason)))
    return proposals


def fitness(catalogue: Catalogue, standings: Mapping[str, Standing], today: dt.date) -> list[Proposal]:
    """`suits`, `avoids` and their sentences, by task type: better than a rival and worse than none, or the reverse."""
    pairs = _pairs(catalogue, standings, today)
    found = _contests(pairs, TASK_TYPES)
    proposals: list[Proposal] = []
    for model in standings:
        wins = _by_type(found, lambda contest, me=model: contest.better.model == me)
        losses = _by_type(found, lambda contest, me=model: contest.worse.model == me)
        suited: dict[TaskType, Contest] = {t: c for t, c in wins.items() if t not in losses}
        avoided: dict[TaskType, Contest] = {t: c for t, c in losses.items() if t not in wins}
        proposals += _fits(catalogue.profiles[model], suited, avoided)
    return proposals


def _by_type(contests: Sequence[Contest], wanted: Callable[[Contest], bool]) -> dict[TaskType, Contest]:
    """The first wanted one of each type."""
    found: dict[TaskType, Contest] = {}
    for contest in filter(wanted, contests):
        if contest.task_type is not None:
            found.setdefault(contest.task_type, contest)
    return found


def _fits(
    profile: ModelProfile, suited: Mapping[TaskType, Contest], avoided: Mapping[TaskType, Contest]
) -> list[Proposal]:
    proposals: list[Proposal] = []
    for place, now, new, gone in (
        ("suits", profile.suits, suited, avoided),
        ("avoids", profile.avoids, avoided, suited),
    ):
        wanted = [t for t in TASK_TYPES if t in new or (t in now and t not in gone)]
        because = [*new.values(), *(gone[t] for t in now if t in gone)]
        if set(wanted) != set(now):
            proposals.append(Proposal(profile.id, (place,), list(now), list(wanted), because[0].evidence()))
    for place, now, new in (("best_for", profile.best_for, suited), ("weaknesses", profile.weaknesses, avoided)):
        if new:
            sentences = [MARK + _sentence(profile.id, task_type, contest) for task_type, contest in new.items()]
            kept = [sentence for sentence in now if not sentence.startswith(MARK)]
            reason = next(iter(new.values()))
            proposals.append(Proposal(profile.id, (place,), list(now), [*kept, *sentences], reason.evidence()))
    return proposals


def _sentence(model: str, task_type: TaskType, contest: Contest) -> str:
    mine, theirs = contest.counts if contest.better.model == model else contest.counts[::-1]
    rival = contest.worse if contest.better.model == model else contest.better
    low, high = wilson(mine)
    return (
        f"{task_type}, {mine.passed:.3g} of {mine.n:.3g} passed ({low:.0%} to {high:.0%}) where {rival.model} passed"
        f" {theirs.passed:.3g}"
    )


def _players(catalogue: Catalogue, standings: Mapping[str, Standing], role: Role, today: dt.date) -> list[ModelProfile]:
    return [p for p in catalogue.players(role, today, reference_first=False) if p.id in standings]


def _pairs(catalogue: Catalogue, standings: Mapping[str, Standing], today: dt.date) -> list[tuple[Standing, Standing]]:
    """Each pair of models that share a role, once."""
    pairs: dict[frozenset[str], tuple[Standing, Standing]] = {}
    for role in ROLES:
        ids = [p.id for p in _players(catalogue, standings, role, today)]
        for index, one in enumerate(ids):
            for other in ids[index + 1 :]:
                pairs.setdefault(frozenset((one, other)), (standings[one], standings[other]))
    return list(pairs.values())


def _contests(pairs: Sequence[tuple[Standing, Standing]], task_types: Sequence[TaskType | None]) -> list[Contest]:
    """The comparisons that show a difference, among all that have enough items."""
    compared: list[tuple[TaskType | None, Standing, Standing, Count, Count]] = []
    for one, other in pairs:
        for task_type in task_types:
            mine, theirs = _shared(one, other, task_type), _shared(other, one, task_type)
            if _suffices(mine):
                compared.append((task_type, one, other, count_of(mine), count_of(theirs)))
    contests: list[Contest] = []
    for task_type, one, other, mine, theirs in compared:
        ahead, behind = ((one, mine), (other, theirs)) if mine.share > theirs.share else ((other, theirs), (one, mine))
        interval = newcombe(ahead[1], behind[1], comparisons=len(compared))
        if interval[0] > 0:
            counts = ahead[1], behind[1]
            contests.append(Contest(task_type, ahead[0], behind[0], counts, interval, len(compared)))
    return contests


def _shared(one: Standing, other: Standing, task_type: TaskType | None) -> list[Item]:
    """The first one's items, of a type or of all, that the other was asked as well."""
    return [
        item
        for name, item in one.items.items()
        if name in other.items and (task_type is None or item.task_type == task_type)
    ]


def _suffices(items: Sequence[Item]) -> bool:
    return len(items) >= LEAST_ITEMS and len({item.name for item in items}) >= LEAST_NAMES


def _first(contests: Sequence[Contest], wanted: Callable[[Contest], bool]) -> Contest | None:
    return next(filter(wanted, contests), None)


def _reordered(order: list[str], contests: Sequence[Contest]) -> tuple[list[str], dict[str, Contest]]:
    """Each model moved before those that it beats and that stand right before it, with the reason for both."""
    order, reasons = list(order), dict[str, Contest]()
    for _ in order:  # so often at most, should three models beat each other in a ring
        for index in range(len(order) - 1):
            first, second = order[index], order[index + 1]
            won = _first(contests, lambda c, a=second, b=first: (c.better.model, c.worse.model) == (a, b))
            if won is not None:
                order[index], order[index + 1] = second, first
                reasons.setdefault(second, won)
                reasons.setdefault(first, won)
    return order, reasons


def _dearer(contest: Contest) -> tuple[str, ...]:
    mine, theirs = contest.better.usd_per_solved, contest.worse.usd_per_solved
    if mine is None or theirs is None or mine <= theirs * _MUCH_DEARER:
        return ()
    return (f"{contest.better.model} costs ${mine:.4g} for each solved task, {contest.worse.model} ${theirs:.4g}.",)
