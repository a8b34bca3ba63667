"""Models compared by what came of their work: like tasks only, that each was asked first."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...memory_store.engagements import Engagement
from ...profiles.vocabulary import TaskType
from .rivalry import ComparisonTerms, Rivals
from .service import SOURCE, day_of, fading, usd_per_solved
from .statistics import Count
from .strata import like_for_like, shared

LEAST_ALIKE = 20.0
"""Outcomes on either side, older ones counting less; more than in evaluations, where both were asked the same."""

_TERMS = ComparisonTerms(
    "usage",
    "like tasks",
    "In use: ",
    (
        "Use is not an experiment: each task's model was chosen. `chargehand evaluate` compares models on the same"
        " tasks.",
    ),
)


@dataclass(frozen=True)
class Worker:
    """A model and what it did."""

    model: str
    engagements: Sequence[Engagement]
    """Of its present build, the oldest first, at least one."""
    source: str = SOURCE

    @property
    def seen(self) -> dt.date:
        return day_of(self.engagements[-1])

    @property
    def usd_per_solved(self) -> float | None:
        return usd_per_solved(self.engagements)


def at_like_tasks(engagements: Mapping[str, Sequence[Engagement]]) -> Rivals[Worker]:
    """engagements: by model, of its present build, the oldest first."""
    workers = {model: Worker(model, mine) for model, mine in engagements.items()}
    return Rivals(workers, _compare, _TERMS)


def _compare(one: Worker, other: Worker, task_type: TaskType | None) -> tuple[Count, Count] | None:
    mine, theirs = (
        # Whoever comes after another's failure gets what is harder than it looks.
        [e for e in worker.engagements if e.was_first and (task_type is None or e.task_type == task_type)]
        for worker in (one, other)
    )
    if not mine or not theirs:
        return None
    pairs = shared(mine, theirs, fading([*mine, *theirs]))
    if not pairs:
        return None
    counts = like_for_like(pairs)
    return counts if min(count.n for count in counts) >= LEAST_ALIKE else None
