"""Whose a task is, where several callers share one server."""

import sqlite3

from .ledger import Ledger


async def give_to(ledger: Ledger, task_id: str, caller: str) -> None:
    """Record that the task was begun by a caller; whose it is never changes. Raises LedgerUnusable."""

    def write(db: sqlite3.Connection) -> None:
        db.execute(
            "INSERT INTO task_callers (task_id, caller) SELECT id, ? FROM tasks WHERE id = ? ON CONFLICT DO NOTHING",
            (caller, task_id),
        )

    await ledger.write(write)


async def belongs_to(ledger: Ledger, task_id: str, caller: str) -> bool:
    """Whether the caller began it. False for a task without a caller, and for one that nobody knows."""
    return bool(await ledger.rows("SELECT 1 FROM task_callers WHERE task_id = ? AND caller = ?", (task_id, caller)))
