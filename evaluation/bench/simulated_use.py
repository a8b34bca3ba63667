"""Simulated outcomes of use: some tasks are hard, some come after another model failed, some have no executed check."""

import random
from dataclasses import dataclass

from ...memory_store.engagements import Engagement
from ...profiles.vocabulary import TaskType


@dataclass(frozen=True)
class UsageParameters:
    """Parameters of one model's simulated work."""

    solved: float = 0.71
    """Probability of solving a task of medium complexity, when asked first and judged by a check."""
    hard: float = 0.3
    """Share of tasks above complexity 6; their odds are lower."""
    handed_on: float = 0.2
    """Share of tasks that another model failed at before; their odds are lower."""
    by_word: float = 0.3
    """Share of tasks judged only by the user, who accepts more."""


def simulated(
    task_type: TaskType,
    parameters: UsageParameters,
    chance: random.Random,
    *,
    at: float = 0.0,
    build: str | None = None,
) -> Engagement:
    """One random engagement of a model. at: seconds since 1970 UTC."""
    is_hard, was_first = chance.random() < parameters.hard, chance.random() >= parameters.handed_on
    is_by_word = chance.random() < parameters.by_word
    odds = parameters.solved / (1 - parameters.solved) * (0.4 if is_hard else 1.0) * (1.0 if was_first else 0.5)
    odds *= 3.0 if is_by_word else 1.0
    is_solved = chance.random() < odds / (1 + odds)
    return Engagement(
        model="m",
        build=build,
        task_type=task_type,
        complexity=8.0 if is_hard else 4.0,
        at=at,
        is_checked=None if is_by_word else is_solved,
        is_accepted=is_solved if is_by_word else None,
        was_first=was_first,
        was_last=True,
        is_here=True,
        cost_usd=0.0,
        tokens_per_second=(),
    )
