"""Models compared by their outcomes in use, on like tasks only, for which each was the first model asked."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...memory_store.engagements import Engagement
from ...profiles.vocabulary import TaskType
from .rivalry import ComparisonTerms, Rivals
from .service import SOURCE, day_of, decay_weight, usd_per_solved
from .statistics import Count
from .strata import like_for_like, shared

LEAST_ALIKE = 20.0
"""Weighted outcomes on each side; more than in evaluations, where both models get the same items."""

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
    """A model and its engagements."""

    model: str
    engagements: Sequence[Engagement]
    """Of its current build, oldest first, at least one."""
    source: str = SOURCE

    @property
    def seen(self) -> dt.date:
        return day_of(self.engagements[-1])

    @property
    def usd_per_solved(self) -> float | None:
        return usd_per_solved(self.engagements)


def at_like_tasks(engagements: Mapping[str, Sequence[Engagement]]) -> Rivals[Worker]:
    """The models, comparable on like tasks. engagements: by model, of its current build, oldest first, never empty."""
    workers = {model: Worker(model, mine) for model, mine in engagements.items()}
    return Rivals(workers, _compare, _TERMS)


def _compare(one: Worker, other: Worker, task_type: TaskType | None) -> tuple[Count, Count] | None:
    mine, theirs = (
        # A model asked after another one failed gets tasks that are harder than they look.
        [e for e in worker.engagements if e.was_first and (task_type is None or e.task_type == task_type)]
        for worker in (one, other)
    )
    if not mine or not theirs:
        return None
    pairs = shared(mine, theirs, decay_weight([*mine, *theirs]))
    if not pairs:
        return None
    counts = like_for_like(pairs)
    return counts if min(count.n for count in counts) >= LEAST_ALIKE else None
