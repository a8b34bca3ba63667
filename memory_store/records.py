"""What the ledger keeps: a row of each kind, as values."""

from dataclasses import dataclass
from typing import Literal

from ..profiles.vocabulary import TaskType
from .text_form import TextForm

TaskKind = Literal["delegation", "validation", "review"]
Origin = Literal["use", "evaluation", "import"]
"""Where a task comes from: somebody's work, a measurement of ours, or a file of outcomes."""
Outcome = Literal["accepted", "edited", "rejected", "tests_passed", "tests_failed"]

GOOD_OUTCOMES: tuple[Outcome, ...] = ("accepted", "edited", "tests_passed")
"""The user's words that say the work was of use."""
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
    """Key of the project it was done in. None: not known."""
    origin: Origin = "use"
    owner: str | None = None
    """The process that works on it (`ownership.Owner.id`)."""
    caller: str | None = None
    """Whose it is, where several callers share one server. None: the user's of this machine."""
    tests: str | None = None
    """Code that an answer must pass, where text and tests are all it takes to ask it again; kept only beside a text
    that is kept whole. None: there is none, or the task needs more than that."""


@dataclass(frozen=True)
class NewDecision:
    id: str
    task_id: str | None
    """None: asked for by route_task, nothing was delegated."""
    model: str
    role: str
    source: str
    task_type: TaskType
    complexity: float
    confidence: float
    reason: str
    expected_success: float | None = None
    """Of the model, at this task; 0 to 1."""


@dataclass(frozen=True)
class NewAttempt:
    task_id: str
    model: str
    provider: str
    build: str | None
    thinking: bool
    reserved_usd: float
    """The most the request can cost."""


@dataclass(frozen=True)
class Settlement:
    """How an attempt ended, and what it really cost."""

    outcome: str
    seconds: float
    cost_usd: float
    input_tokens: int = 0
    output_tokens: int = 0
    thinking_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    load_seconds: float | None = None
    """Loading the model into memory. None, here and below: no whole reply came."""
    first_token_seconds: float | None = None
    """From the first byte sent to the first piece of the reply, the load included."""
    stream_seconds: float | None = None
    """From the first piece to the last."""


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
    """The whole answer as JSON, for a later `resume`."""
    baseline_model: str | None = None
    baseline_usd: float | None = None
    """What the same work would have cost on the baseline model. None: there is no answer to price."""


@dataclass(frozen=True)
class TaskRow:
    """A task as it stands in the ledger."""

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
    """What is left of the text; of a pruned task nothing is."""
    local_only: bool = False
    """Whether nothing of it may leave the machine."""


@dataclass(frozen=True)
class TrackRecord:
    """How often a model's work was found good and bad."""

    model: str
    task_type: TaskType | None
    """None: over all types."""
    good: int
    bad: int
