"""Rows of the ledger, with default values for whatever a test does not care about."""

import dataclasses
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from chargehand.memory_store.ledger import LEDGER_FILE, Ledger
from chargehand.memory_store.records import Finish, NewAttempt, NewCheck, NewDecision, NewTask, Outcome, Settlement
from chargehand.memory_store.schema import MIGRATIONS

TASK = NewTask("t1", "delegation", "Write a function", "code_generation", 2.5, local_only=False)
ATTEMPT = NewAttempt("t1", "qwen3-14b", "ollama", "sha256:1", thinking=False, reserved_usd=0.0)
SETTLEMENT = Settlement("passed", seconds=1.5, cost_usd=0.0, input_tokens=100, output_tokens=50)
CHECK = NewCheck("t1", None, "tests", "passed", True, 3, 3, 0.4, None)
FINISH = Finish("succeeded", "qwen3-14b", ("tests",), '{"status": "succeeded"}')
DECISION = NewDecision("d1", "t1", "qwen3-14b", "local", "rules", "code_generation", 2.5, 0.4, "because")


def task(task_id: str, **fields: Any) -> NewTask:
    return dataclasses.replace(TASK, id=task_id, **fields)


def attempt(task_id: str, **fields: Any) -> NewAttempt:
    return dataclasses.replace(ATTEMPT, task_id=task_id, **fields)


def settlement(**fields: Any) -> Settlement:
    return dataclasses.replace(SETTLEMENT, **fields)


def finish(**fields: Any) -> Finish:
    return dataclasses.replace(FINISH, **fields)


async def delegate(
    ledger: Ledger,
    task_id: str,
    *tries: tuple[str, bool],
    status: str = "succeeded",
    task_type: Any = "code_generation",
    cost_usd: float = 0.0,
    baseline_usd: float | None = None,
    reported: tuple[Outcome, ...] = (),
) -> None:
    """Record a whole delegation. tries: each attempt's model, and whether its executed check passed."""
    await ledger.begin_task(task(task_id, task_type=task_type))
    for model, passed in tries:
        attempt_id = await ledger.reserve(attempt(task_id, model=model, reserved_usd=cost_usd), daily_cap_usd=None)
        outcome = "passed" if passed else "failed_check"
        await ledger.settle(attempt_id, settlement(outcome=outcome, cost_usd=cost_usd))
        check = dataclasses.replace(
            CHECK, task_id=task_id, attempt_id=attempt_id, outcome="passed" if passed else "failed"
        )
        await ledger.record_check(check)
    final = tries[-1][0] if tries else None
    await ledger.finish_task(task_id, finish(status=status, model=final, baseline_usd=baseline_usd))
    for word in reported:
        await ledger.record_outcome(task_id, word, None)


def old_ledger(home: Path, *, tasks: int = 5) -> None:
    """Write a ledger of version 1 with this many verified delegations."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(sqlite3.connect(home / LEDGER_FILE, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(f"BEGIN; {MIGRATIONS[0]} PRAGMA user_version = 1; COMMIT;")
        db.execute("BEGIN")
        for number in range(tasks):
            name = f"old-{number}"
            db.execute(
                "INSERT INTO tasks (id, kind, begun_at, finished_at, text, task_type, complexity, local_only, status,"
                " model) VALUES (?, 'delegation', ?, ?, ?, 'other', 2, 0, 'succeeded', 'qwen3-14b')",
                (name, number, number + 1, f"Task {number}"),
            )
            attempt_id = db.execute(
                "INSERT INTO attempts (task_id, model, provider, thinking, begun_at, outcome, reserved_usd, cost_usd)"
                " VALUES (?, 'qwen3-14b', 'ollama', 0, ?, 'passed', 0, 0)",
                (name, number),
            ).lastrowid
            db.execute(
                "INSERT INTO checks (task_id, attempt_id, name, outcome, executed, seconds)"
                " VALUES (?, ?, 'tests', 'passed', 1, 0.1)",
                (name, attempt_id),
            )
        db.execute("COMMIT")


def check_of(task_id: str, attempt_id: int | None, **fields: Any) -> NewCheck:
    return dataclasses.replace(CHECK, task_id=task_id, attempt_id=attempt_id, **fields)


def decision_of(task_id: str | None, **fields: Any) -> NewDecision:
    return dataclasses.replace(DECISION, id=f"d-{task_id}", task_id=task_id, **fields)
