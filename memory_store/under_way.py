"""Tasks under way, as other processes see them: where they are, the wish to end them, and who has died over them."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from .judgement import COST_USD
from .ledger import Ledger
from .ownership import Owner

_LONGEST_TASK_S = 7_200
"""Twice what a contract may take: of a task without an owner, begun by an older version, nobody knows more."""


@dataclass(frozen=True)
class TaskState:
    """A task as whoever did not begin it sees it."""

    kind: str
    status: str
    """`running` until its end is written."""
    owner: str | None
    stage: str | None
    """Where it was when that last changed, as its owner wrote it. None: nothing is written yet."""
    expected_end: float | None
    """Seconds since 1970 UTC. None: not known."""
    interrupted: int
    """1: its process ended before it did."""
    elsewhere: int
    """1: it came with an import, so another machine has to say how it ended."""


@dataclass(frozen=True)
class AttemptRow:
    """One request of a task, as the books have it."""

    id: int
    model: str
    outcome: str | None
    thinking: int
    """1: it was asked to think."""
    input_tokens: int
    output_tokens: int
    cost_usd: float
    """Settled, or the worst case."""
    seconds: float | None


async def read_state(ledger: Ledger, task_id: str) -> TaskState | None:
    """Where a task is; None when the ledger does not know it."""
    rows = await ledger.rows(
        "SELECT kind, status, owner, stage, expected_end, interrupted, elsewhere FROM tasks WHERE id = ?", (task_id,)
    )
    return TaskState(*rows[0]) if rows else None


async def owned(ledger: Ledger, task_ids: Sequence[str]) -> list[str]:
    """Which of these a process of this machine is at work on, in order; see `close_abandoned` for the dead."""
    rows = await ledger.rows(
        "SELECT id FROM tasks WHERE status = 'running' AND owner IS NOT NULL"
        " AND id IN (SELECT value FROM json_each(?)) ORDER BY begun_at, id",
        (json.dumps(list(task_ids)),),
    )
    return [task_id for (task_id,) in rows]


async def keep_local(ledger: Ledger, task_id: str) -> None:
    """Record that nothing of a task may leave the machine from now on, in this process and any other."""
    await ledger.write(lambda db: db.execute("UPDATE tasks SET local_only = 1 WHERE id = ?", (task_id,)))


async def attempts_of(ledger: Ledger, task_id: str) -> list[AttemptRow]:
    """In order."""
    rows = await ledger.rows(
        f"SELECT id, model, outcome, thinking, input_tokens, output_tokens, {COST_USD}, seconds"  # noqa: S608 - a constant
        " FROM attempts a WHERE task_id = ? ORDER BY id",
        (task_id,),
    )
    return [AttemptRow(*row) for row in rows]


async def write_stage(ledger: Ledger, task_id: str, stage: str, expected_end: float | None) -> None:
    """Let the others see where a task is."""

    def write(db: sqlite3.Connection) -> None:
        db.execute("UPDATE tasks SET stage = ?, expected_end = ? WHERE id = ?", (stage, expected_end, task_id))

    await ledger.write(write)


async def wish_cancelled(ledger: Ledger, task_id: str, now: float) -> None:
    """Ask the owner of a task to end it. now: seconds since 1970 UTC."""

    def write(db: sqlite3.Connection) -> None:
        db.execute(
            "UPDATE tasks SET cancel_wished_at = ? WHERE id = ? AND status = 'running' AND cancel_wished_at IS NULL",
            (now, task_id),
        )

    await ledger.write(write)


async def is_wished_cancelled(ledger: Ledger, task_id: str) -> bool:
    """Whether somebody asked for the end of the task with `wish_cancelled`, from any process. Raises LedgerError."""
    rows = await ledger.rows("SELECT 1 FROM tasks WHERE id = ? AND cancel_wished_at IS NOT NULL", (task_id,))
    return bool(rows)


async def close_abandoned(ledger: Ledger, owner: Owner, now: float) -> None:
    """Close the books of every task of this machine whose process has died: its open requests at their worst case.

    It may be called by all processes at any time; each task is closed once. now: seconds since 1970 UTC.
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
    """Close the books of one task on which nobody works any more; one that has ended stays as it is."""
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
