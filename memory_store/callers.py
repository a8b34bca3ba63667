"""Whose a task is, where several callers share one server."""

from .ledger import Ledger


async def belongs_to(ledger: Ledger, task_id: str, caller: str) -> bool:
    """Whether the caller began it. False for a task without a caller, and for one that nobody knows."""
    return bool(await ledger.rows("SELECT 1 FROM task_callers WHERE task_id = ? AND caller = ?", (task_id, caller)))
