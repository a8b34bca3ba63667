"""Declines of a model in use: a new build against the previous one, or its newest outcomes against the older ones.

For each model, every task type with enough outcomes on both sides is compared within strata, one-sided; Holm's
correction keeps the chance of reporting an unchanged model as worse at 5% per look. The newest outcomes are compared
in whole blocks, so looking again before the next block is full adds no chance of a false alarm. `chargehand bench
drift` measures false alarms and detections by simulation.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ...memory_store.engagements import Engagement
from ...profiles.catalogue import Catalogue
from ...profiles.vocabulary import TASK_TYPES, TaskType
from .statistics import Count
from .strata import Pair, holm, p_of_decline, shared

Why = Literal["build", "time"]

BLOCK = 25
"""Outcomes of one task type that are compared together with all earlier ones."""
LEAST_COMPARED = 10
"""Outcomes on each side, counting only strata that both sides have."""
_LEAST_BLOCKS = 2
_LEAST_BLOCKS_OF_NEW_BUILD = 4
"""Below this, comparing all of a new build's outcomes with the previous build, once, has more power."""
_REPORTED_FOR_DAYS = 90
_DAY_S = 86_400.0


@dataclass(frozen=True)
class Decline:
    """A task type at which a model is significantly worse than before."""

    model: str
    task_type: TaskType
    before: Count
    """Over the shared strata, reweighted to the mix of tasks in `after`."""
    after: Count
    why: Why
    since: dt.date
    """The UTC day of the new build's first answer, or of the newest block's last one."""

    def describe(self, name: str) -> str:
        """The decline in one line. name: how to call the model."""
        when = (
            f"since its digest changed on {self.since}"
            if self.why == "build"
            else f"in its last {BLOCK} outcomes, up to {self.since}"
        )
        return (
            f"{name}: {self.task_type} {self.before.share:.0%} → {self.after.share:.0%}, n {self.before.n:.0f}/"
            f"{self.after.n:.0f}, {when}"
        )


def current_build(engagements: Sequence[Engagement], today: str | None) -> str | None:
    """The model's current build: `today` as its vendor reports it, else that of its newest answer on this machine."""
    if today is not None:
        return today
    return next((e.build for e in reversed(engagements) if e.is_here), engagements[-1].build)


def declines(
    engagements: Mapping[str, Sequence[Engagement]], builds: Mapping[str, str | None], now: float
) -> tuple[Decline, ...]:
    """All significant declines, ordered by model.

    engagements: by profile id, oldest first, never empty. builds: today's, where known.
    now: seconds since 1970 UTC; declines older than 90 days are not reported.
    """
    return tuple(
        decline
        for model, mine in sorted(engagements.items())
        for decline in _of_model(mine, current_build(mine, builds.get(model)))
        if now - dt.datetime.combine(decline.since, dt.time(), dt.UTC).timestamp() <= _REPORTED_FOR_DAYS * _DAY_S
    )


def describe_declines(declined: Sequence[Decline], catalogue: Catalogue) -> dict[str, tuple[str, ...]]:
    """The declines as text, by profile id; each model is called by its vendor's name for it."""
    found: dict[str, tuple[str, ...]] = {}
    for decline in declined:
        name = catalogue.profiles[decline.model].api_model
        found[decline.model] = (*found.get(decline.model, ()), decline.describe(name))
    return found


@dataclass(frozen=True)
class _Comparison:
    pairs: tuple[Pair, ...]
    found: Decline
    """The decline to report if the comparison is significant."""


def _of_model(engagements: Sequence[Engagement], build: str | None) -> list[Decline]:
    mine = [e for e in engagements if e.is_here]
    compared: dict[str, _Comparison] = {}
    for task_type in TASK_TYPES:
        by_build = _by_build(mine, task_type, build)
        least_blocks = _LEAST_BLOCKS_OF_NEW_BUILD if by_build else _LEAST_BLOCKS
        compared |= by_build | _by_time(mine, task_type, build, least_blocks)
    held = holm({name: p_of_decline(comparison.pairs) for name, comparison in compared.items()})
    found: dict[TaskType, Decline] = {}
    for name, comparison in compared.items():
        if name in held:
            # When both comparisons of a type are significant, the build comparison, which comes first, is kept.
            found.setdefault(comparison.found.task_type, comparison.found)
    return list(found.values())


def _by_build(mine: Sequence[Engagement], task_type: TaskType, build: str | None) -> dict[str, _Comparison]:
    """All outcomes of the new build against all of the previous one. Empty, here and below: too few outcomes."""
    begun = len(mine)
    while begun and mine[begun - 1].build == build:
        begun -= 1
    if not 0 < begun < len(mine) or build is None or (earlier := mine[begun - 1].build) is None:
        return {}
    before = [e for e in mine[:begun] if e.build == earlier]
    return _compare(task_type, before, mine[begun:], "build", mine[begun].at)


def _by_time(
    mine: Sequence[Engagement], task_type: TaskType, build: str | None, least_blocks: int
) -> dict[str, _Comparison]:
    """The newest whole block of a build's outcomes against all earlier ones."""
    judged = [e for e in mine if e.build == build and e.task_type == task_type and e.is_solved is not None]
    end = len(judged) // BLOCK * BLOCK
    if end < least_blocks * BLOCK:
        return {}
    return _compare(task_type, judged[: end - BLOCK], judged[end - BLOCK : end], "time", judged[end - 1].at)


def _compare(
    task_type: TaskType, before: Sequence[Engagement], after: Sequence[Engagement], why: Why, at: float
) -> dict[str, _Comparison]:
    mine, theirs = ([e for e in side if e.task_type == task_type] for side in (before, after))
    pairs = shared(mine, theirs)
    counts = _as_hard_as_after(pairs)
    if min(count.n for count in counts) < LEAST_COMPARED:
        return {}
    since = dt.datetime.fromtimestamp(at, dt.UTC).date()
    return {f"{task_type} {why}": _Comparison(pairs, Decline(before[0].model, task_type, *counts, why, since))}


def _as_hard_as_after(pairs: Sequence[Pair]) -> tuple[Count, Count]:
    """The totals of both sides, the first reweighted to the second's mix of strata."""
    before = sum((pair.one for pair in pairs), Count(0, 0))
    after = sum((pair.other for pair in pairs), Count(0, 0))
    if not after.n:
        return before, after
    share = sum(pair.one.share * pair.other.n for pair in pairs) / after.n
    return Count(share * before.n, before.n), after
