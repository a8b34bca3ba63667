"""Costs of batched requests that outlive their process: booked once, whichever attempt takes the answer."""

import pytest
from ledger_rows import attempt, settlement, task
from measurement_rows import insert_evaluation, measurement

from chargehand.memory_store.batched import Batched, batched_by, note_batched, release, take_over
from chargehand.memory_store.evaluations import Measurement, record_measurement
from chargehand.memory_store.ledger import Ledger

pytestmark = pytest.mark.anyio

WORST_USD = 0.25


def cancelled(repetition: int, task_id: str, cost_usd: float) -> Measurement:
    ends = {"passed": None, "outcome": "cancelled", "cost_usd": cost_usd}
    return measurement("sort@1", repetition=repetition, task_id=task_id, **ends)


async def begin_attempt(ledger: Ledger, repetition: int, task_id: str) -> int:
    """Begin a suite task for a repetition; returns its attempt id."""
    await record_measurement(ledger, cancelled(repetition, task_id, 0.0))
    await ledger.begin_task(task(task_id, origin="evaluation"))
    return await ledger.reserve(attempt(task_id, model="m", reserved_usd=WORST_USD), daily_cap_usd=None)


async def begin_and_interrupt(ledger: Ledger, repetition: int, name: str, batch_id: str | None) -> None:
    """A repetition that is interrupted while its request is at the vendor, or about to be sent."""
    attempt_id = await begin_attempt(ledger, repetition, f"before-{repetition}")
    await note_batched(ledger, [Batched(name, "the same question", attempt_id, "anthropic", batch_id, 0.0)])
    await ledger.settle(attempt_id, settlement(outcome="cancelled", cost_usd=WORST_USD))
    await record_measurement(ledger, cancelled(repetition, f"before-{repetition}", WORST_USD))


async def test_a_batched_answer_taken_over_by_another_repetition_is_not_booked_twice(ledger):
    await insert_evaluation(ledger, "e1", 0.0)
    await begin_and_interrupt(ledger, 0, "handed-in", "batch_1")
    await begin_and_interrupt(ledger, 1, "never-left", None)

    await release(ledger, ["never-left"])
    second = await begin_attempt(ledger, 1, "after-1")
    await take_over(ledger, "handed-in", second)

    assert await ledger.rows("SELECT repetition, cost_usd FROM measurements ORDER BY 1") == [(0, 0.0), (1, 0.0)]
    assert await ledger.rows("SELECT TOTAL(cost_usd) FROM attempts") == [(0.0,)]
    assert [(b.name, b.attempt_id) for b in await batched_by(ledger, "anthropic")] == [("handed-in", second)]
