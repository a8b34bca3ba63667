"""Ledgers that tests of the server start from."""

import datetime as dt
from pathlib import Path

from chargehand.memory_store.ledger import Ledger
from chargehand.memory_store.records import Finish, NewAttempt, NewTask, Settlement
from chargehand.profiles.vocabulary import TaskType


async def losing_ledger(home: Path, task_type: TaskType) -> None:
    """Write six failed delegations of a task type, at half a dollar each."""
    ledger = await Ledger.open(home, lambda: dt.datetime.now(dt.UTC))
    try:
        for number in range(6):
            task_id = f"lost{number}"
            await ledger.begin_task(NewTask(task_id, "delegation", "Translate it", task_type, 2.0, local_only=False))
            attempt = NewAttempt(task_id, "claude-haiku-5-5", "anthropic", None, thinking=False, reserved_usd=0.5)
            attempt_id = await ledger.reserve(attempt, daily_cap_usd=None)
            await ledger.settle(attempt_id, Settlement("failed_check", seconds=1.0, cost_usd=0.5))
            await ledger.finish_task(task_id, Finish("failed", "claude-haiku-5-5", (), None))
    finally:
        await ledger.aclose()
