"""The group of a profile that is measured: what evaluations found of a model."""

import datetime as dt

from pydantic import BaseModel, ConfigDict, Field

from .vocabulary import TaskType


class Tally(BaseModel):
    """How often something went well, with what can be said of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: float = Field(ge=0)
    """How many it rests on; a fraction where older ones count less."""
    passed: float = Field(ge=0)
    at_least: float = Field(ge=0, le=1)
    """Lower end of the 95% interval of the share (Wilson)."""
    at_most: float = Field(ge=0, le=1)
    """Its upper end."""

    @property
    def share(self) -> float:
        return self.passed / self.n if self.n else 0.0


class Measured(BaseModel):
    """What evaluations found of a model; an item that was asked several times counts once, by its mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: Tally
    by_kind: dict[str, Tally] = {}
    """By kind of task, as the suite names them."""
    by_task_type: dict[TaskType, Tally] = {}
    by_complexity: dict[str, Tally] = {}
    """By band of complexity: `up to 3`, `3 to 6`, `above 6`."""
    complexity_at_half: float | None = Field(default=None, ge=1, le=10)
    """The complexity at which half the tasks are solved. None: it does not fall clearly within what was asked."""
    seconds_per_answer: float | None = Field(default=None, ge=0)
    """Median."""
    usd_per_solved_task: float | None = Field(default=None, ge=0)
    """Everything spent on it, failures too, by what it solved. None: it solved none."""
    build: str | None = None
    """Digest and quantization of the weights that this is of. None: the vendor does not say."""
    source: str
    seen: dt.date
