"""The export format: a task with all its rows as one line of JSON.

See docs/memory-format.md. A file starts with a `Header`, followed by one `PortableTask` per line, ordered
by start time.
"""

import base64
import binascii
import struct
from operator import mul
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ...profiles.vocabulary import TaskType
from ..records import Origin, Outcome, TaskKind
from ..text_form import TextForm

FORMAT = "chargehand-memory"
VERSION = 1

_OFF_BY_AT_MOST = 1e-2

_Name = Annotated[str, Field(min_length=1, max_length=500)]
_Moment = Annotated[float, Field(ge=0, le=253_402_300_799, allow_inf_nan=False)]
"""Seconds since 1970 UTC, up to the year 9999."""
_Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0, le=2**53)]
_Rate = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


def _unit_vector(encoded: str) -> str:
    try:
        blob = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise ValueError("should be base64") from error
    if not blob or len(blob) % 4:
        raise ValueError("should be one or more float32 numbers of 4 bytes each")
    values = struct.unpack(f"<{len(blob) // 4}f", blob)
    # Only the zero vector, that of an empty text, may have another length.
    if any(values) and not abs(sum(map(mul, values, values)) - 1.0) < _OFF_BY_AT_MOST:
        raise ValueError("should be finite numbers of unit length together")
    return encoded


class _Line(BaseModel):
    # Error messages that quote values could leak a key or a prompt.
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)


class Header(_Line):
    """The first line of a file."""

    format: Literal["chargehand-memory"]
    version: int
    tasks: _Count
    """Number of lines that follow; fewer mean that the file was truncated."""


class PortableDecision(_Line):
    id: _Name
    made_at: _Moment
    model: _Name
    role: str
    source: str
    task_type: TaskType
    complexity: _Amount
    confidence: _Rate
    reason: str
    expected_success: _Rate | None = None


class PortableAttempt(_Line):
    model: _Name
    provider: str
    build: str | None
    thinking: bool
    begun_at: _Moment
    seconds: _Amount | None
    outcome: str | None
    input_tokens: _Count
    output_tokens: _Count
    thinking_tokens: _Count
    cache_read_tokens: _Count
    cache_write_tokens: _Count
    reserved_usd: _Amount
    cost_usd: _Amount | None


class PortableCheck(_Line):
    attempt: _Count | None
    """Index of its attempt, from 0. None: it belongs to no attempt."""
    name: str
    outcome: str
    executed: bool
    tests_passed: _Count | None
    tests_total: _Count | None
    seconds: _Amount
    first_failure: str | None


class PortableOutcome(_Line):
    outcome: Outcome
    note: str | None
    recorded_at: _Moment


class PortableImportedOutcome(_Line):
    model: _Name
    success: _Rate
    cost_usd: _Amount | None
    at: _Moment


class PortableEmbedding(_Line):
    embedder: _Name
    vector: Annotated[str, AfterValidator(_unit_vector)]
    """float32, little-endian, of unit length, in base64."""

    @property
    def blob(self) -> bytes:
        return base64.b64decode(self.vector)


class PortableTask(_Line):
    """A task and its rows; lists are in the order in which their entries were recorded."""

    id: _Name
    kind: TaskKind
    begun_at: _Moment
    finished_at: _Moment | None
    text: str
    text_form: TextForm
    task_type: TaskType
    complexity: _Amount
    local_only: bool
    status: _Name
    model: str | None
    verified_by: tuple[str, ...]
    baseline_model: str | None
    baseline_usd: _Amount | None
    receipt: str | None
    project: str | None
    origin: Origin
    tests: str | None = None
    """Code that an answer must pass; only with the full text."""
    decisions: tuple[PortableDecision, ...] = ()
    attempts: tuple[PortableAttempt, ...] = ()
    checks: tuple[PortableCheck, ...] = ()
    outcomes: tuple[PortableOutcome, ...] = ()
    imported_outcomes: tuple[PortableImportedOutcome, ...] = ()
    embeddings: tuple[PortableEmbedding, ...] = ()

    @model_validator(mode="after")
    def _checks_have_their_attempts(self) -> Self:
        if any(check.attempt is not None and check.attempt >= len(self.attempts) for check in self.checks):
            raise ValueError(f"checks: attempt should be below {len(self.attempts)}, the number of attempts")
        return self


DECISION_COLUMNS = tuple(PortableDecision.model_fields)
ATTEMPT_COLUMNS = tuple(PortableAttempt.model_fields)
CHECK_COLUMNS = tuple(name for name in PortableCheck.model_fields if name != "attempt")
OUTCOME_COLUMNS = tuple(PortableOutcome.model_fields)
IMPORTED_COLUMNS = tuple(PortableImportedOutcome.model_fields)
_LISTS = ("decisions", "attempts", "checks", "outcomes", "imported_outcomes", "embeddings")
TASK_COLUMNS = tuple(name for name in PortableTask.model_fields if name not in _LISTS)
