"""The terms of an evaluation; a new one with the same terms resumes an unfinished one."""

import datetime as dt
import json
from dataclasses import asdict, dataclass
from typing import Any, Self

DEFAULT_BUDGET_USD = 1.0

OWN_SUITE = "own"
"""The suite that comes with Chargehand."""


@dataclass(frozen=True)
class EvaluationTerms:
    suite: str
    """`own`, or the key of the project that the tasks were mined from."""
    seed: int
    models: tuple[str, ...]
    """Profile ids."""
    kinds: tuple[str, ...] = ()
    """Kinds of task. Empty: all."""
    repeat: int = 1
    """Number of answers of each model to each task."""
    budget_usd: float | None = DEFAULT_BUDGET_USD
    """None: limited by the day's budget only."""

    def as_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        given: dict[str, Any] = json.loads(text)  # of the fields' own types
        given["models"], given["kinds"] = tuple(given["models"]), tuple(given["kinds"])
        return cls(**given)


def seed_of_week(day: dt.date) -> int:
    """The seed of an ISO week, such as 202648: results within a week are comparable; the next week has new tasks."""
    year, week, _ = day.isocalendar()
    return year * 100 + week
