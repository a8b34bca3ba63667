"""Statistics of a model's real work on this ledger, kept in its profile; older work counts less."""

import datetime as dt

from pydantic import BaseModel, ConfigDict, Field

from .measured import Tally
from .vocabulary import TaskType


class UsageStats(BaseModel):
    """Results of one kind of work."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    solved: Tally
    """Judged tasks that were solved: an executed check passed, or the user said so; the user's report wins."""
    checked: Tally | None = None
    """Executed checks that passed. None, here and below: no data."""
    accepted: Tally | None = None
    """Positive reports among all reports by the user."""
    kept: Tally
    """Answered tasks that were not passed on to another model."""
    tokens_per_second: float | None = Field(default=None, gt=0)
    """Median over answers without thinking."""
    usd_per_solved_task: float | None = Field(default=None, ge=0)
    """Cost of its judged tasks, failures included, divided by the number solved. None: it solved none."""


class InUse(UsageStats):
    """Results over all its work, with breakdowns."""

    by_task_type: dict[TaskType, UsageStats] = {}
    """Only types with enough data."""
    by_complexity: dict[str, Tally] = {}
    """Tasks solved, by complexity band: `up to 3`, `3 to 6`, `above 6`."""
    build: str | None = None
    """Digest and quantization of the weights used. None: the vendor does not report them."""
    source: str
    seen: dt.date
