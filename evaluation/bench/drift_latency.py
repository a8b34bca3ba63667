"""Time to search ledgers of several sizes for declines, compared with counting all their outcomes."""

import datetime as dt
import random
import sqlite3
import statistics
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.table import Table

from ...memory_store.engagements import read_engagements
from ...memory_store.ledger import Ledger
from ..profiling.drift import declines
from .output import output

_ROUNDS = 15
_BATCH = 10_000
_MODELS = {"qwen3-30b-a3b": 0.6, "gpt-oss-120b": 0.2, "claude-haiku-5-5": 0.1, "claude-sonnet-5-5": 0.1}
_TYPES = ("code_generation", "debugging", "tests", "refactoring")
_TEXT = "Write a function that parses dates of kind {} for the report, with tests for each of its edge cases. " * 5

_ALL = """
SELECT e.model, e.build, t.task_type, COUNT(*), SUM(e.success) FROM evidence e JOIN tasks t ON t.id = e.task_id
WHERE t.origin = 'use' GROUP BY e.model, e.build, t.task_type
"""


async def measure_drift_latency(sizes: Sequence[int]) -> int:
    """Print milliseconds by number of delegations; returns the exit code."""
    table = Table("delegations", "looked for", "counted", "ratio", title="declines, ms (median of 15)")
    table.caption = "looked for: what `doctor` does; counted: all outcomes by model, build and type, in SQL"
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="chargehand-drift-") as folder:
            ledger = await Ledger.open(Path(folder), lambda: dt.datetime.now(dt.UTC))
            try:
                for begin in range(0, size, _BATCH):
                    await _fill(ledger, begin, min(size, begin + _BATCH))
                looked, counted = await _times(ledger)
            finally:
                await ledger.aclose()
        table.add_row(f"{size:,}", f"{looked:.1f}", f"{counted:.1f}", f"{looked / counted:.2f}")
    output().print(table)
    return 0


async def _times(ledger: Ledger) -> tuple[float, float]:
    """Milliseconds of both, run alternately so that load on the machine affects both."""

    async def look() -> None:
        declines((await read_engagements(ledger, _MODELS)).by_model, {}, ledger.clock().timestamp())

    async def count() -> None:
        await ledger.rows(_ALL)

    looked = [(await _time(look), await _time(count)) for _ in range(_ROUNDS)]
    one, other = zip(*looked, strict=True)
    return statistics.median(one), statistics.median(other)


async def _time(work: Callable[[], Awaitable[None]]) -> float:
    begun = perf_counter()
    await work()
    return (perf_counter() - begun) * 1_000


async def _fill(ledger: Ledger, begin: int, end: int) -> None:
    rows = list(_rows(begin, end))

    def write(db: sqlite3.Connection) -> None:
        db.executemany(
            "INSERT INTO tasks (id, kind, begun_at, text, task_type, complexity, local_only, status, model)"
            " VALUES (:id, 'delegation', :at, :text, :task_type, :complexity, 0, 'succeeded', :model)",
            rows,
        )
        db.executemany(
            "INSERT INTO attempts (id, task_id, model, provider, build, thinking, begun_at, outcome, output_tokens,"
            " stream_seconds, reserved_usd, cost_usd)"
            " VALUES (:number, :id, :model, 'ollama', :build, 0, :at, :outcome, 300, 4.0, 0, 0.001)",
            rows,
        )
        db.executemany(
            "INSERT INTO checks (task_id, attempt_id, name, outcome, executed, seconds)"
            " VALUES (:id, :number, 'tests', :found, 1, 0.1)",
            rows,
        )

    await ledger.write(write)


def _rows(begin: int, end: int) -> Iterator[dict[str, Any]]:
    now = dt.datetime.now(dt.UTC).timestamp()
    for number in range(begin, end):
        chance = random.Random(number)  # noqa: S311 - made-up outcomes are no secret
        (model,) = chance.choices(list(_MODELS), list(_MODELS.values()))
        passed = chance.random() < 0.7
        yield {
            "id": f"{chance.getrandbits(128):032x}",
            "number": number + 1,
            "at": now - (end - number) * 60.0,
            "text": _TEXT.format(*[number] * 5),
            "task_type": chance.choice(_TYPES),
            "complexity": round(chance.uniform(1, 9), 1),
            "model": model,
            "build": "sha256:1 Q4",
            "outcome": "passed" if passed else "failed_check",
            "found": "passed" if passed else "failed",
        }
