"""Outcomes of a model's work in use, as weighted counts: an outcome's weight halves every 90 days."""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from statistics import median

from ...memory_store.decay import age_weight
from ...memory_store.engagements import Engagement
from ...profiles.in_use import InUse, UsageStats
from ...profiles.measured import Tally
from ...profiles.proposal import Fact
from ...profiles.vocabulary import TASK_TYPES, TaskType
from ..figures import BANDS, band_of
from .statistics import Count, tally

LEAST_OUTCOMES = 10
"""Judged tasks that a statement about a model needs."""
SOURCE = "usage"


def decay_weight(engagements: Sequence[Engagement]) -> Callable[[Engagement], float]:
    """The weight of an engagement, 0 to 1, relative to the newest of these, so that time alone changes nothing."""
    newest = max(e.at for e in engagements)
    return lambda engagement: age_weight(newest - engagement.at)


def judged(engagements: Iterable[Engagement]) -> list[Engagement]:
    """The engagements known to have solved, or not solved, their task."""
    return [engagement for engagement in engagements if engagement.is_solved is not None]


def in_use(engagements: Sequence[Engagement]) -> Fact:
    """A profile's `in_use` group. engagements: of one build, oldest first, at least LEAST_OUTCOMES of them judged."""
    weight = decay_weight(engagements)
    by_type: dict[TaskType, list[Engagement]] = {
        task_type: [e for e in engagements if e.task_type == task_type] for task_type in TASK_TYPES
    }
    by_band = {band: judged(e for e in engagements if band_of(e.complexity) == band) for band, _ in BANDS}
    facts = InUse(
        **_usage_stats(engagements, weight).model_dump(),
        by_task_type={t: _usage_stats(es, weight) for t, es in by_type.items() if len(judged(es)) >= LEAST_OUTCOMES},
        by_complexity={band: _tally(es, weight, lambda e: e.is_solved) for band, es in by_band.items() if es},
        build=engagements[-1].build,
        source=SOURCE,
        seen=day_of(engagements[-1]),
    )
    return facts.model_dump(mode="json")


def day_of(engagement: Engagement) -> dt.date:
    """The UTC day of an engagement."""
    return dt.datetime.fromtimestamp(engagement.at, dt.UTC).date()


def usd_per_solved(engagements: Iterable[Engagement]) -> float | None:
    """Cost of this machine's judged tasks per solved one. None: none was solved."""
    here = [e for e in judged(engagements) if e.is_here]
    solved = sum(e.is_solved is True for e in here)
    return sum(e.cost_usd for e in here) / solved if solved else None


def speeds(engagements: Iterable[Engagement]) -> list[float]:
    """Tokens per second of the answers given to this machine, slowest first."""
    return sorted(speed for e in engagements if e.is_here for speed in e.tokens_per_second)


def _usage_stats(engagements: Sequence[Engagement], weight: Callable[[Engagement], float]) -> UsageStats:
    checked = [e for e in engagements if e.is_checked is not None]
    accepted = [e for e in engagements if e.is_accepted is not None]
    seen, usd = speeds(engagements), usd_per_solved(engagements)
    return UsageStats(
        solved=_tally(judged(engagements), weight, lambda e: e.is_solved),
        checked=_tally(checked, weight, lambda e: e.is_checked) if checked else None,
        accepted=_tally(accepted, weight, lambda e: e.is_accepted) if accepted else None,
        kept=_tally(engagements, weight, lambda e: e.was_last),
        tokens_per_second=round(median(seen), 1) or None if seen else None,
        usd_per_solved_task=None if usd is None else round(usd, 6),
    )


def _tally(
    engagements: Iterable[Engagement],
    weight: Callable[[Engagement], float],
    is_good: Callable[[Engagement], bool | None],
) -> Tally:
    return tally(sum((Count(weight(e) * bool(is_good(e)), weight(e)) for e in engagements), Count(0, 0)))
