"""The group of a profile that use tells: what came of a model's work on this ledger, older work counting less."""

import datetime as dt

from pydantic import BaseModel, ConfigDict, Field

from .measured import Tally
from .vocabulary import TaskType


class Service(BaseModel):
    """What came of one kind of work."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    solved: Tally
    """Of the tasks on which anybody knows: an executed check passed, or the user said so, who has the last word."""
    checked: Tally | None = None
    """Executed checks that passed. None, here and below: there was none."""
    accepted: Tally | None = None
    """The user's good words among all of the user's words."""
    kept: Tally
    """Of all it answered to, what no other model was asked about afterwards."""
    tokens_per_second: float | None = Field(default=None, gt=0)
    """Median, of answers without thinking."""
    usd_per_solved_task: float | None = Field(default=None, ge=0)
    """What the judged tasks cost on it, failures too, by what it solved. None: it solved none."""


class InUse(Service):
    """The same over all its work, and in parts."""

    by_task_type: dict[TaskType, Service] = {}
    """Only types on which enough is known."""
    by_complexity: dict[str, Tally] = {}
    """Solved, by band of complexity: `up to 3`, `3 to 6`, `above 6`."""
    build: str | None = None
    """Digest and quantization of the weights that this is of. None: the vendor does not say."""
    source: str
    seen: dt.date
