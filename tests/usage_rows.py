"""Delegations as real use leaves them in the books, for tests of what is made of them."""

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
class Work:
    """One delegation: the models that were asked, one after the other, the last of whom delivered."""

    passed: bool | None = True
    """The last one's executed check; all before it failed theirs. None: nothing could be executed."""
    models: Sequence[str] = ("qwen3-30b-a3b",)
    build: str | None = "sha256:old Q4"
    days_ago: float = 1.0
    task_type: TaskType = "debugging"
    complexity: float = 3.0
    word: Outcome | None = None
    origin: Origin = "use"
    project: str | None = None
    text: str | None = None
    """None: a task of its own."""
    cost_usd: float = 0.0
    output_tokens: int = 300
    stream_seconds: float = 10.0


def works(passed: int, of: int, **fields: Any) -> Iterator[Work]:
    """So many delegations, successes and failures in even order, a minute apart."""
    days_ago = fields.pop("days_ago", 1.0)
    for number in range(of):
        is_good = (number + 1) * passed // of > number * passed // of
        yield Work(is_good, days_ago=days_ago - number / 1_440, **fields)


async def write_works(home: Path, *all_of: Work) -> None:
    """Write them into the ledger of a data folder by its own methods, each at its own time."""
    now = dt.datetime.now(dt.UTC)
    moment = now

    ledger = await Ledger.open(home, lambda: moment)
    try:
        for work in sorted(all_of, key=lambda w: -w.days_ago):
            moment = now - dt.timedelta(days=work.days_ago)
            await _write(ledger, work)
    finally:
        await ledger.aclose()


async def _write(ledger: Ledger, work: Work) -> None:
    number = next(_NUMBERS)
    task_id, text = f"used-{number}", work.text or f"Mend number {number}"
    await ledger.begin_task(
        NewTask(
            task_id,
            "delegation",
            text,
            work.task_type,
            work.complexity,
            local_only=False,
            project=work.project,
            origin=work.origin,
        )
    )
    for model in work.models:
        passed = work.passed if model == work.models[-1] else False
        attempt = NewAttempt(task_id, model, "ollama", work.build, thinking=False, reserved_usd=work.cost_usd)
        attempt_id = await ledger.reserve(attempt, daily_cap_usd=None)
        await ledger.settle(attempt_id, _settled(work, passed=passed))
        if passed is not None:
            check = NewCheck(task_id, attempt_id, "tests", "passed", True, 3, 3, 0.4, None)
            await ledger.record_check(check if passed else replace(check, outcome="failed", tests_passed=0))
    status = "unverified" if work.passed is None else "succeeded" if work.passed else "failed"
    await ledger.finish_task(task_id, Finish(status, work.models[-1], (), None))
    if work.word is not None:
        await ledger.record_outcome(task_id, work.word, None)


def _settled(work: Work, *, passed: bool | None) -> Settlement:
    return Settlement(
        outcome="unverified" if passed is None else "passed" if passed else "failed_check",
        seconds=work.stream_seconds + 1,
        cost_usd=work.cost_usd,
        output_tokens=work.output_tokens,
        load_seconds=0.0,
        first_token_seconds=1.0,
        stream_seconds=work.stream_seconds,
    )
