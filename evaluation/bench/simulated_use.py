"""Made-up outcomes of use, as they come about: some tasks are harder, some come late, some nothing is executed on."""

import random
from dataclasses import dataclass

from ...memory_store.engagements import Engagement
from ...profiles.vocabulary import TaskType


@dataclass(frozen=True)
class Way:
    """How the work of one model comes about."""

    solved: float = 0.71
    """How much of it is solved at middling complexity, asked first, told by a check; 0 to 1."""
    hard: float = 0.3
    """The share of it above complexity 6, of which less is solved."""
    handed_on: float = 0.2
    """The share of it that another model had failed at, of which less is solved."""
    by_word: float = 0.3
    """The share of it that only the user judges, who is content with more."""


def simulated(
    task_type: TaskType, way: Way, chance: random.Random, *, at: float = 0.0, build: str | None = None
) -> Engagement:
    """One engagement of a model, drawn by chance. at: seconds since 1970 UTC."""
    is_hard, was_first = chance.random() < way.hard, chance.random() >= way.handed_on
    is_by_word = chance.random() < way.by_word
    odds = way.solved / (1 - way.solved) * (0.4 if is_hard else 1.0) * (1.0 if was_first else 0.5)
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
