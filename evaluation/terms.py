"""What was asked of an evaluation: whoever asks the same goes on with it where it was interrupted."""

import datetime as dt
import json
from dataclasses import asdict, dataclass
from typing import Any, Self

DEFAULT_BUDGET_USD = 1.0

OWN_SUITE = "own"
"""The tasks that come with Chargehand."""


@dataclass(frozen=True)
class EvaluationTerms:
    suite: str
    """`own`, or the key of the project that the tasks were mined from."""
    seed: int
    models: tuple[str, ...]
    """Profile ids."""
    kinds: tuple[str, ...] = ()
    """Empty: all."""
    repeat: int = 1
    """Answers of each model to each task."""
    budget_usd: float | None = DEFAULT_BUDGET_USD
    """US dollars. None: only the day's budget limits it."""

    def as_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        given: dict[str, Any] = json.loads(text)  # of the fields' own types
        given["models"], given["kinds"] = tuple(given["models"]), tuple(given["kinds"])
        return cls(**given)


def seed_of_week(day: dt.date) -> int:
    """The seed of an ISO week, as 202648: what is measured within a week compares, and the next has new tasks."""
    year, week, _ = day.isocalendar()
    return year * 100 + week
