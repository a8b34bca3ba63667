"""The pace of a model, from its latest replies on this machine."""

from typing import Any

import pytest
from ledger_rows import attempt, settlement, task

from chargehand.memory_store.ledger import Ledger
from chargehand.memory_store.pace import Pace, read_paces

pytestmark = pytest.mark.anyio

BUILD = "sha256:1"


async def _add_reply(ledger: Ledger, task_id: str, *, complexity: float = 3.0, **fields: Any) -> None:
    await ledger.begin_task(task(task_id, complexity=complexity, origin=fields.pop("origin", "use")))
    attempt_fields = {name: fields.pop(name) for name in ("build", "thinking", "model") if name in fields}
    attempt_id = await ledger.reserve(attempt(task_id, **attempt_fields), daily_cap_usd=None)
    usual = {"load_seconds": 0.0, "first_token_seconds": 1.0, "stream_seconds": 10.0, "output_tokens": 200}
    await ledger.settle(attempt_id, settlement(**(usual | fields)))


async def _pace(ledger: Ledger, clock, build: str = BUILD) -> Pace | None:
    return (await read_paces(ledger, {"qwen3-14b": build, "never-asked": None}, clock().timestamp())).get("qwen3-14b")


async def test_a_pace_needs_at_least_three_replies(ledger: Ledger, clock):
    await _add_reply(ledger, "a")
    await _add_reply(ledger, "b")
    before = await _pace(ledger, clock)
    await _add_reply(ledger, "c")
    after = await _pace(ledger, clock)

    assert before is None
    assert after is not None
    assert after.first_token_seconds(thinking=False) == 1.0
    assert after.seconds_per_token(thinking=False) == 0.05
    assert after.output_tokens(3.0, thinking=False) == 200
    assert after.load_seconds == 0.0


async def test_the_speed_of_thinking_counts_the_time_before_the_first_chunk(ledger: Ledger, clock):
    for name in "abc":
        await _add_reply(ledger, name)
    without = await _pace(ledger, clock)
    for name in "def":
        await _add_reply(ledger, name, thinking=True, first_token_seconds=30.0, output_tokens=2_000)
    pace = await _pace(ledger, clock)

    assert without is not None
    assert without.thinking_tokens_per_second() is None
    assert pace is not None
    assert pace.thinking_tokens_per_second() == 50.0


async def test_load_time_is_not_part_of_the_time_to_first_token(ledger: Ledger, clock):
    for load_seconds in (0.0, 10.0, 20.0, 30.0):
        await _add_reply(ledger, f"{load_seconds}", load_seconds=load_seconds, first_token_seconds=load_seconds + 1)

    pace = await _pace(ledger, clock)
    assert pace is not None
    assert (pace.load_seconds, pace.first_token_seconds(thinking=False)) == (20.0, 1.0)


async def test_one_slow_reply_does_not_change_the_pace(ledger: Ledger, clock):
    for name in "abcd":
        await _add_reply(ledger, name)
    await _add_reply(ledger, "slow", stream_seconds=1_000.0)

    pace = await _pace(ledger, clock)
    assert pace is not None
    assert pace.seconds_per_token(thinking=False) == 0.05


async def test_newer_replies_outweigh_old_ones(ledger: Ledger, clock):
    for name in "abcde":
        await _add_reply(ledger, name, stream_seconds=100.0)
    clock.advance(days=60)
    for name in "fgh":
        await _add_reply(ledger, name, stream_seconds=10.0)

    pace = await _pace(ledger, clock)
    assert pace is not None
    assert pace.seconds_per_token(thinking=False) == 0.05


async def test_replies_in_evaluations_count(ledger: Ledger, clock):
    for name in "abc":
        await _add_reply(ledger, name, origin="evaluation")

    pace = await _pace(ledger, clock)
    assert pace is not None
    assert pace.seconds_per_token(thinking=False) == 0.05


async def test_replies_of_another_build_do_not_count(ledger: Ledger, clock):
    for name in "abc":
        await _add_reply(ledger, name, build="sha256:old")
    await _add_reply(ledger, "d")

    assert await _pace(ledger, clock) is None


async def test_tokens_and_waits_are_estimated_from_tasks_of_similar_complexity_and_same_thinking(ledger: Ledger, clock):
    for name in "abc":
        await _add_reply(ledger, name, complexity=2.0, output_tokens=100)
        await _add_reply(ledger, name * 2, complexity=8.0, output_tokens=3_000, thinking=True, first_token_seconds=9.0)

    pace = await _pace(ledger, clock)
    assert pace is not None
    assert pace.output_tokens(3.0, thinking=False) == 100
    assert pace.output_tokens(7.5, thinking=True) == 3_000
    assert pace.output_tokens(7.5, thinking=False) is None
    assert pace.output_tokens(5.0, thinking=True) is None
    assert [pace.first_token_seconds(thinking=thinking) for thinking in (False, True)] == [1.0, 9.0]


async def test_incomplete_replies_and_reviews_do_not_count(ledger: Ledger, clock):
    for name in "abc":
        await _add_reply(ledger, name, first_token_seconds=None, stream_seconds=None, load_seconds=None)
        await _add_reply(ledger, f"uncounted-{name}", output_tokens=0)
    await ledger.begin_task(task("review", kind="review"))
    for _ in range(3):
        attempt_id = await ledger.reserve(attempt("review"), daily_cap_usd=None)
        complete = settlement(load_seconds=0.0, first_token_seconds=1.0, stream_seconds=1.0)
        await ledger.settle(attempt_id, complete)

    assert await _pace(ledger, clock) is None
