"""Delegations as real use records them in the ledger, for tests of what is computed from them."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from chargehand.memory_store.ledger import Ledger
from chargehand.memory_store.records import Finish, NewAttempt, NewCheck, NewTask, Origin, Outcome, Settlement
from chargehand.profiles.vocabulary import TaskType

_NUMBERS = count()


@dataclass(frozen=True)
class Delegation:
    """One delegation: the models asked in turn; the last one gave the final answer."""

    passed: bool | None = True
    """The last model's executed check; the earlier models failed theirs. None: no check could be executed."""
    models: Sequence[str] = ("qwen3-30b-a3b",)
    build: str | None = "sha256:old Q4"
    days_ago: float = 1.0
    task_type: TaskType = "debugging"
    complexity: float = 3.0
    reported: Outcome | None = None
    origin: Origin = "use"
    project: str | None = None
    text: str | None = None
    """None: a text that no other task has."""
    cost_usd: float = 0.0
    output_tokens: int = 300
    stream_seconds: float = 10.0


def delegations(passed: int, of: int, **fields: Any) -> Iterator[Delegation]:
    """`of` delegations a minute apart, the successes spread evenly among the failures."""
    days_ago = fields.pop("days_ago", 1.0)
    for number in range(of):
        passes = (number + 1) * passed // of > number * passed // of
        yield Delegation(passes, days_ago=days_ago - number / 1_440, **fields)


async def write_delegations(home: Path, *delegations: Delegation) -> None:
    """Write them into the ledger of a data folder through its own methods, each at its own time.

    `days_ago` counts from the last midnight (UTC), so that what is a minute apart falls on one day.
    """
    midnight = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    moment = midnight

    ledger = await Ledger.open(home, lambda: moment)
    try:
        for delegation in sorted(delegations, key=lambda delegation: -delegation.days_ago):
            moment = midnight - dt.timedelta(days=delegation.days_ago)
            await _write(ledger, delegation)
    finally:
        await ledger.aclose()


async def _write(ledger: Ledger, delegation: Delegation) -> None:
    number = next(_NUMBERS)
    task_id, text = f"used-{number}", delegation.text or f"Mend number {number}"
    await ledger.begin_task(
        NewTask(
            task_id,
            "delegation",
            text,
            delegation.task_type,
            delegation.complexity,
            local_only=False,
            project=delegation.project,
            origin=delegation.origin,
        )
    )
    for model in delegation.models:
        passed = delegation.passed if model == delegation.models[-1] else False
        attempt = NewAttempt(
            task_id, model, "ollama", delegation.build, thinking=False, reserved_usd=delegation.cost_usd
        )
        attempt_id = await ledger.reserve(attempt, daily_cap_usd=None)
        await ledger.settle(attempt_id, _settled(delegation, passed=passed))
        if passed is not None:
            check = NewCheck(task_id, attempt_id, "tests", "passed", True, 3, 3, 0.4, None)
            await ledger.record_check(check if passed else replace(check, outcome="failed", tests_passed=0))
    status = "unverified" if delegation.passed is None else "succeeded" if delegation.passed else "failed"
    await ledger.finish_task(task_id, Finish(status, delegation.models[-1], (), None))
    if delegation.reported is not None:
        await ledger.record_outcome(task_id, delegation.reported, None)


def _settled(delegation: Delegation, *, passed: bool | None) -> Settlement:
    return Settlement(
        outcome="unverified" if passed is None else "passed" if passed else "failed_check",
        seconds=delegation.stream_seconds + 1,
        cost_usd=delegation.cost_usd,
        output_tokens=delegation.output_tokens,
        load_seconds=0.0,
        first_token_seconds=1.0,
        stream_seconds=delegation.stream_seconds,
    )
