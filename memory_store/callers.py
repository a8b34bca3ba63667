"""Ownership of tasks on a server with several callers."""

from .ledger import Ledger


async def belongs_to(ledger: Ledger, task_id: str, caller: str) -> bool:
    """Whether the caller started the task. False for a task without a caller and for an unknown one."""
    return bool(await ledger.rows("SELECT 1 FROM task_callers WHERE task_id = ? AND caller = ?", (task_id, caller)))
