"""Evaluation results of a model, kept in its profile."""

import datetime as dt

from pydantic import BaseModel, ConfigDict, Field

from .vocabulary import TaskType


class Tally(BaseModel):
    """A success count with its confidence interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: float = Field(ge=0)
    """Sample size; fractional where older samples are weighted down."""
    passed: float = Field(ge=0)
    at_least: float = Field(ge=0, le=1)
    """Lower end of the 95% Wilson interval of the share."""
    at_most: float = Field(ge=0, le=1)
    """Its upper end."""

    @property
    def share(self) -> float:
        return self.passed / self.n if self.n else 0.0


class Measured(BaseModel):
    """Evaluation results; an item that was repeated counts once, by its mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: Tally
    by_kind: dict[str, Tally] = {}
    """By the suite's kinds of task."""
    by_task_type: dict[TaskType, Tally] = {}
    by_complexity: dict[str, Tally] = {}
    """By complexity band: `up to 3`, `3 to 6`, `above 6`."""
    complexity_at_half: float | None = Field(default=None, ge=1, le=10)
    """The complexity at which half the tasks are solved. None: not clearly within the range tested."""
    seconds_per_answer: float | None = Field(default=None, ge=0)
    """Median."""
    usd_per_solved_task: float | None = Field(default=None, ge=0)
    """Cost of the answers that were judged, failures included, divided by the number solved; what an answer that broke
    off cost is added when it is asked again. None: it solved none."""
    build: str | None = None
    """Digest and quantization of the weights measured. None: the vendor does not report them."""
    source: str
    seen: dt.date
