"""Evaluations and their measurements."""

import sqlite3
from dataclasses import astuple, dataclass, fields
from typing import Any

from ..profiles.vocabulary import TaskType
from .judgement import cost_of_task
from .ledger import Ledger


@dataclass(frozen=True)
class NewEvaluation:
    id: str
    suite: str
    """`own`, or the key of the project whose history the tasks were mined from."""
    seed: int
    budget_usd: float | None
    """Spending limit in US dollars. None: only the day's budget applies."""
    terms: str
    """The requested options as JSON; a resumed run uses the same."""


@dataclass(frozen=True)
class Measurement:
    """One answer of one model to one item; the fields are the columns of `measurements`."""

    evaluation_id: str
    item: str
    """Id of the task in the suite."""
    model: str
    """Profile id."""
    repetition: int
    """Counted from 0."""
    build: str | None
    """Digest and quantization of the weights. None: the vendor does not report them."""
    kind: str
    task_type: TaskType
    language: str
    complexity: float
    """1 to 10, by the product's own scorer."""
    passed: bool | None
    """None: no evidence about the model (unreachable or interrupted)."""
    outcome: str
    """The attempt's outcome: passed, failed_check, truncated, timeout …"""
    task_id: str | None
    """Id of its delegation, of origin `evaluation`."""
    at: float
    """Seconds since 1970 UTC."""
    seconds: float
    """From the first byte sent to the last byte read. 0: not known (batch)."""
    first_token_seconds: float | None
    output_tokens: int
    """Thinking included."""
    thinking_tokens: int
    cost_usd: float

    @property
    def tokens_per_second(self) -> float | None:
        """Output speed after the first chunk. None: too short, or a single chunk."""
        seconds = self.seconds - (self.first_token_seconds or 0.0)
        return self.output_tokens / seconds if self.output_tokens >= LEAST_TOKENS and seconds > 0 else None


LEAST_TOKENS = 16
"""The speed of shorter answers depends more on the connection than on the model."""

_COLUMNS = ", ".join(field.name for field in fields(Measurement))
_PLACES = ", ".join("?" for _ in fields(Measurement))
_KEY = ("evaluation_id", "item", "model", "repetition")
_NEW = ", ".join(
    f"{name} = {'measurements.cost_usd + ' if name == 'cost_usd' else ''}excluded.{name}"
    for name in (field.name for field in fields(Measurement))
    if name not in _KEY
)
_RECORD = (
    f"INSERT INTO measurements ({_COLUMNS}) VALUES ({_PLACES})"  # noqa: S608 - our own columns
    f" ON CONFLICT DO UPDATE SET {_NEW} WHERE measurements.passed IS NULL"
)
_COST_SO_FAR = f"cost_usd + CASE WHEN outcome = ?2 THEN {cost_of_task('measurements.task_id')} ELSE 0 END AS cost_usd"
_READ = ", ".join(_COST_SO_FAR if field.name == "cost_usd" else field.name for field in fields(Measurement))
UNDER_WAY = "under_way"
"""The outcome of a measurement in progress; its delegation is recorded, or will be."""


async def record_measurement(ledger: Ledger, measurement: Measurement) -> None:
    """Store one measurement. Raises a LedgerError.

    A repeat for the same item, model and repetition is ignored, unless `passed` was None before: then it
    replaces the earlier one and their costs are added.
    """

    def write(db: sqlite3.Connection) -> None:
        db.execute(_RECORD, astuple(measurement))

    await ledger.write(write)


async def finish_evaluation(ledger: Ledger, evaluation_id: str, now: float) -> None:
    """Mark an evaluation as finished. Raises a LedgerError."""
    await ledger.write(
        lambda db: db.execute("UPDATE evaluations SET finished_at = ? WHERE id = ?", (now, evaluation_id))
    )


async def read_measurements(ledger: Ledger, *, evaluation_id: str | None = None) -> tuple[Measurement, ...]:
    """The measurements, oldest first, those in progress at their worst case. evaluation_id None: of all evaluations."""
    rows = await ledger.rows(
        f"SELECT {_READ} FROM measurements WHERE ?1 IS NULL OR evaluation_id = ?1"  # noqa: S608 - our own columns
        " ORDER BY at, rowid",
        (evaluation_id, UNDER_WAY),
    )
    names = [field.name for field in fields(Measurement)]
    return tuple(_measurement(dict(zip(names, row, strict=True))) for row in rows)


def _measurement(row: dict[str, Any]) -> Measurement:
    passed = row.pop("passed")
    return Measurement(**row, passed=None if passed is None else bool(passed))
