"""Running tasks as seen by all processes: progress, cancellation requests and abandoned tasks."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from .judgement import COST_USD
from .ledger import Ledger
from .ownership import Owner

_LONGEST_TASK_S = 7_200
"""Twice the longest allowed task; after it, a running task without an owner (of an older version) is abandoned."""


@dataclass(frozen=True)
class TaskState:
    """A task's state as stored for other processes."""

    kind: str
    status: str
    """`running` until its end is recorded."""
    owner: str | None
    stage: str | None
    """Its last stage recorded by its owner. None: none yet."""
    expected_end: float | None
    """Seconds since 1970 UTC. None: not known."""
    interrupted: int
    """1: its process ended first."""
    elsewhere: int
    """1: imported; only the other machine can record its end."""


@dataclass(frozen=True)
class AttemptRow:
    """One request of a task, as stored in the ledger."""

    id: int
    model: str
    outcome: str | None
    thinking: int
    """1: thinking was requested."""
    input_tokens: int
    output_tokens: int
    cost_usd: float
    """Settled cost, or the worst case."""
    seconds: float | None


async def read_state(ledger: Ledger, task_id: str) -> TaskState | None:
    """A task's state; None when it is unknown."""
    rows = await ledger.rows(
        "SELECT kind, status, owner, stage, expected_end, interrupted, elsewhere FROM tasks WHERE id = ?", (task_id,)
    )
    return TaskState(*rows[0]) if rows else None


async def owned(ledger: Ledger, task_ids: Sequence[str]) -> list[str]:
    """The running tasks among these that have an owner here, oldest first; it may be dead: see `close_abandoned`."""
    rows = await ledger.rows(
        "SELECT id FROM tasks WHERE status = 'running' AND owner IS NOT NULL"
        " AND id IN (SELECT value FROM json_each(?)) ORDER BY begun_at, id",
        (json.dumps(list(task_ids)),),
    )
    return [task_id for (task_id,) in rows]


async def keep_local(ledger: Ledger, task_id: str) -> None:
    """Record that a task's content must not leave the machine from now on, for all processes."""
    await ledger.write(lambda db: db.execute("UPDATE tasks SET local_only = 1 WHERE id = ?", (task_id,)))


async def attempts_of(ledger: Ledger, task_id: str) -> list[AttemptRow]:
    """A task's attempts, oldest first."""
    rows = await ledger.rows(
        f"SELECT id, model, outcome, thinking, input_tokens, output_tokens, {COST_USD}, seconds"  # noqa: S608 - a constant
        " FROM attempts a WHERE task_id = ? ORDER BY id",
        (task_id,),
    )
    return [AttemptRow(*row) for row in rows]


async def write_stage(ledger: Ledger, task_id: str, stage: str, expected_end: float | None) -> None:
    """Record a task's stage for other processes. expected_end: seconds since 1970 UTC; None: not known."""

    def write(db: sqlite3.Connection) -> None:
        db.execute("UPDATE tasks SET stage = ?, expected_end = ? WHERE id = ?", (stage, expected_end, task_id))

    await ledger.write(write)


async def request_cancellation(ledger: Ledger, task_id: str, now: float) -> None:
    """Request the cancellation of a running task from its owner. now: seconds since 1970 UTC."""

    def write(db: sqlite3.Connection) -> None:
        db.execute(
            "UPDATE tasks SET cancel_wished_at = ? WHERE id = ? AND status = 'running' AND cancel_wished_at IS NULL",
            (now, task_id),
        )

    await ledger.write(write)


async def is_cancellation_requested(ledger: Ledger, task_id: str) -> bool:
    """Whether any process requested the task's cancellation. Raises LedgerError."""
    rows = await ledger.rows("SELECT 1 FROM tasks WHERE id = ? AND cancel_wished_at IS NOT NULL", (task_id,))
    return bool(rows)


async def close_abandoned(ledger: Ledger, owner: Owner, now: float) -> None:
    """End the running tasks of dead processes and settle their open requests at the worst case.

    Any process may call it at any time; each task is ended once. now: seconds since 1970 UTC.
    """
    owners = await ledger.rows(
        "SELECT DISTINCT owner FROM tasks WHERE status = 'running' AND owner IS NOT NULL"
        " UNION SELECT owner FROM tickets"
    )
    dead = [name for (name,) in owners if not await owner.is_alive(name)]
    unknown = await ledger.rows(
        f"SELECT 1 FROM tasks WHERE status = 'running' AND {_OWNERLESS}",  # noqa: S608 - a constant
        (now - _LONGEST_TASK_S,),
    )
    if not dead and not unknown:
        return

    def write(db: sqlite3.Connection) -> None:
        for name in dead:
            _close(db, "owner = ?", (name,), now)
            db.execute("DELETE FROM tickets WHERE owner = ?", (name,))
        _close(db, _OWNERLESS, (now - _LONGEST_TASK_S,), now)

    await ledger.write(write)


async def close_task(ledger: Ledger, task_id: str, now: float) -> None:
    """End one abandoned task likewise; no effect on a task that has ended."""
    await ledger.write(lambda db: _close(db, "id = ?", (task_id,), now))


def _close(db: sqlite3.Connection, which: str, parameters: tuple[object, ...], now: float) -> None:
    db.execute(_SETTLE_AT_WORST.format(which=which), parameters)
    db.execute(_END_INTERRUPTED.format(which=which), (now, *parameters))


_OWNERLESS = "owner IS NULL AND NOT elsewhere AND begun_at < ?"

_SETTLE_AT_WORST = """
UPDATE attempts SET cost_usd = reserved_usd, outcome = 'cancelled'
WHERE cost_usd IS NULL AND task_id IN (SELECT id FROM tasks WHERE status = 'running' AND {which})
"""

_END_INTERRUPTED = """
UPDATE tasks SET finished_at = ?, interrupted = 1,
    status = CASE WHEN cancel_wished_at IS NULL THEN 'failed' ELSE 'cancelled' END
WHERE status = 'running' AND {which}
"""
