"""The ledger's rows as dataclasses."""

from dataclasses import dataclass
from typing import Literal

from ..profiles.vocabulary import TaskType
from .text_form import TextForm

TaskKind = Literal["delegation", "validation", "review"]
Origin = Literal["use", "evaluation", "import"]
"""Where a task comes from: real use, an evaluation, or an imported file of outcomes."""
Outcome = Literal["accepted", "edited", "rejected", "tests_passed", "tests_failed"]

GOOD_OUTCOMES: tuple[Outcome, ...] = ("accepted", "edited", "tests_passed")
"""User reports that the work was useful."""
BAD_OUTCOMES: tuple[Outcome, ...] = ("rejected", "tests_failed")


@dataclass(frozen=True)
class NewTask:
    id: str
    kind: TaskKind
    text: str
    task_type: TaskType
    complexity: float
    """1.0 to 10.0."""
    local_only: bool
    project: str | None = None
    """Key of its project. None: not known."""
    origin: Origin = "use"
    owner: str | None = None
    """Id of the process that works on it (`ownership.Owner.id`)."""
    caller: str | None = None
    """The caller it belongs to, on a shared server. None: the local user."""
    tests: str | None = None
    """Code that an answer must pass, if text and tests suffice to run the task again; stored only with the full
    text. None: there is none, or the task needs more than that."""


@dataclass(frozen=True)
class NewDecision:
    id: str
    task_id: str | None
    """None: made by route_task, without a delegation."""
    model: str
    role: str
    source: str
    task_type: TaskType
    complexity: float
    confidence: float
    reason: str
    expected_success: float | None = None
    """The model's estimated probability of success, 0 to 1."""


@dataclass(frozen=True)
class NewAttempt:
    task_id: str
    model: str
    provider: str
    build: str | None
    thinking: bool
    reserved_usd: float
    """The request's maximum cost."""


@dataclass(frozen=True)
class Settlement:
    """How an attempt ended, and its actual cost."""

    outcome: str
    seconds: float
    cost_usd: float
    input_tokens: int = 0
    output_tokens: int = 0
    thinking_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    load_seconds: float | None = None
    """Loading the model into memory. None, here and below: no complete reply."""
    first_token_seconds: float | None = None
    """From the first byte sent to the first chunk of the reply, loading included."""
    stream_seconds: float | None = None
    """From the first chunk to the last."""


@dataclass(frozen=True)
class NewCheck:
    task_id: str
    attempt_id: int | None
    name: str
    outcome: str
    executed: bool
    tests_passed: int | None
    tests_total: int | None
    seconds: float
    first_failure: str | None


@dataclass(frozen=True)
class Finish:
    """How a task ended."""

    status: str
    model: str | None
    verified_by: tuple[str, ...]
    receipt: str | None
    """The complete result as JSON, for a later `resume`."""
    baseline_model: str | None = None
    baseline_usd: float | None = None
    """What the work would have cost on the baseline model. None: there is no answer to price."""


@dataclass(frozen=True)
class TaskRow:
    """A task as stored in the ledger."""

    id: str
    kind: TaskKind
    begun_at: float
    """Seconds since 1970 UTC."""
    finished_at: float | None
    text: str
    task_type: TaskType
    complexity: float
    status: str
    model: str | None
    verified_by: tuple[str, ...]
    receipt: str | None
    outcomes: tuple[Outcome, ...]
    project: str | None = None
    origin: Origin = "use"
    text_form: TextForm | Literal["pruned"] = "full"
    """How much of the text is stored; nothing for a pruned task."""
    local_only: bool = False
    """Whether its content must not leave the machine."""


@dataclass(frozen=True)
class TrackRecord:
    """Counts of a model's good and bad work."""

    model: str
    task_type: TaskType | None
    """None: all types."""
    good: int
    bad: int
