"""Overruns: a timeout counts against a model on similar tasks only, until a faster reply or time lifts it."""

from typing import Any

import pytest
from ledger_rows import attempt, settlement, task

from chargehand.memory_store.ledger import Ledger
from chargehand.memory_store.overruns import least_seconds, read_overruns

pytestmark = pytest.mark.anyio

BUILD = "sha256:1"


async def _add_attempt(
    ledger: Ledger,
    task_id: str,
    *,
    complexity: float = 5.0,
    thinking: bool = False,
    kind: Any = "delegation",
    **fields: Any,
) -> None:
    await ledger.begin_task(task(task_id, kind=kind, complexity=complexity))
    attempt_id = await ledger.reserve(attempt(task_id, thinking=thinking), daily_cap_usd=None)
    await ledger.settle(
        attempt_id, settlement(**({"outcome": "timeout", "seconds": 40.0, "input_tokens": 1_000} | fields))
    )


async def _least_seconds(
    ledger: Ledger,
    clock,
    *,
    complexity: float = 5.0,
    thinking: bool = False,
    prompt_tokens: int = 1_000,
    build: str = BUILD,
) -> float | None:
    found = await read_overruns(ledger, {"qwen3-14b": build}, clock().timestamp())
    return least_seconds(found.get("qwen3-14b", ()), complexity, thinking=thinking, prompt_tokens=prompt_tokens)


async def test_the_longest_timeout_raises_the_least_expected_time_above_itself(ledger: Ledger, clock):
    before = await _least_seconds(ledger, clock)
    await _add_attempt(ledger, "a", seconds=20.0)
    await _add_attempt(ledger, "b", seconds=40.0)
    await _add_attempt(ledger, "c", seconds=30.0)

    assert (before, await _least_seconds(ledger, clock)) == (None, 50.0)


async def test_an_overrun_does_not_apply_to_easier_tasks_shorter_prompts_or_without_thinking(ledger: Ledger, clock):
    await _add_attempt(ledger, "a", thinking=True)

    assert await _least_seconds(ledger, clock, thinking=True, complexity=8.0, prompt_tokens=9_000) == 50.0
    assert await _least_seconds(ledger, clock, thinking=True, complexity=3.0) is None
    assert await _least_seconds(ledger, clock, thinking=True, prompt_tokens=500) == 50.0
    assert await _least_seconds(ledger, clock, thinking=True, prompt_tokens=400) is None
    assert await _least_seconds(ledger, clock, thinking=False) is None


@pytest.mark.parametrize(("complexity", "seconds", "least"), [(5.0, 10.0, None), (5.0, 40.0, 50.0), (2.0, 10.0, 50.0)])
async def test_a_later_reply_to_an_equally_hard_task_lifts_the_overrun_if_it_was_faster(
    ledger: Ledger, clock, complexity, seconds, least
):
    await _add_attempt(ledger, "a")
    await _add_attempt(
        ledger,
        "b",
        outcome="passed",
        complexity=complexity,
        seconds=seconds,
        first_token_seconds=1.0,
        stream_seconds=9.0,
    )

    assert await _least_seconds(ledger, clock) == least


async def test_overruns_of_other_builds_and_of_reviews_do_not_count(ledger: Ledger, clock):
    await _add_attempt(ledger, "a")
    await _add_attempt(ledger, "b", kind="review", seconds=90.0)

    assert await _least_seconds(ledger, clock) == 50.0
    assert await _least_seconds(ledger, clock, build="sha256:2") is None


async def test_an_overrun_expires_after_forty_further_requests_to_the_model(ledger: Ledger, clock):
    await _add_attempt(ledger, "a")
    for number in range(40):
        await _add_attempt(ledger, f"easy{number}", complexity=1.0, outcome="passed", first_token_seconds=1.0)

    assert await _least_seconds(ledger, clock) is None


async def test_an_overrun_expires_after_a_week(ledger: Ledger, clock):
    await _add_attempt(ledger, "a")
    clock.advance(days=8)

    assert await _least_seconds(ledger, clock) is None
