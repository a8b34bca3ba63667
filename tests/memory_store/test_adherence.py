"""Usage by task type: tasks offered, delegated and kept, and whether delegating them pays."""

import dataclasses

import pytest
from ledger_rows import DECISION, attempt, delegate, task

from chargehand.memory_store.adherence import ClassUsage, losing_class, report_classes, reports_on_unchecked

pytestmark = pytest.mark.anyio


async def test_an_empty_ledger_has_no_task_types(ledger):
    assert await report_classes(ledger) == ()
    assert await losing_class(ledger, "tests") is None


async def test_task_types_are_counted_by_the_last_reported_outcome_of_this_machines_tasks(ledger, clock):
    offer = dataclasses.replace(DECISION, task_id=None)
    for number in range(3):
        await ledger.record_decision(dataclasses.replace(offer, id=f"offer{number}"))
    await delegate(ledger, "t1", ("m", True), cost_usd=0.25, baseline_usd=1.0, reported=("accepted",))
    await delegate(ledger, "t2", ("m", True), cost_usd=0.25, baseline_usd=1.0, reported=("accepted", "rejected"))
    await delegate(ledger, "t3", ("m", True), cost_usd=0.25, baseline_usd=1.0, reported=("edited",))
    await delegate(ledger, "t4", ("m", True), cost_usd=0.25, baseline_usd=1.0)
    for word in ("accepted", "edited"):
        clock.advance(seconds=1)
        await ledger.record_outcome("t3", word, None)
    await delegate(ledger, "t5", ("m", False), status="failed", task_type="tests", reported=("tests_failed",))
    await delegate(ledger, "t8", ("m", False), status="over_budget", task_type="review", cost_usd=0.25)
    await ledger.record_decision(dataclasses.replace(DECISION, id="own", task_id="t1"))
    for task_id, change in (("t6", "origin = 'evaluation'"), ("t7", "elsewhere = 1")):
        await delegate(ledger, task_id, ("m", True), cost_usd=0.25, baseline_usd=1.0, reported=("accepted",))
        await ledger.rows(f"UPDATE tasks SET {change} WHERE id = ?", (task_id,))

    assert await report_classes(ledger) == (
        ClassUsage("code_generation", 3, 4, 1, 1, 1, 1, 4, 1.0, 1.0, 3.0),
        ClassUsage("review", 0, 1, 0, 0, 0, 1, 1, 0.25, 0.25, 0.0),
        ClassUsage("tests", 0, 1, 0, 0, 1, 0, 1, 0.0, 0.0, 0.0),
    )


async def test_a_task_type_loses_money_only_after_enough_finished_tasks(ledger):
    for number in range(4):
        await delegate(ledger, f"t{number}", ("m", False), status="failed", task_type="tests", cost_usd=0.5)
    before = await losing_class(ledger, "tests")
    await delegate(ledger, "t4", ("m", True), task_type="tests", cost_usd=0.5, baseline_usd=1.0)

    losing = await losing_class(ledger, "tests")

    assert before is None
    assert losing is not None
    assert losing.lost_usd == 1.5
    assert await losing_class(ledger, "code_generation") is None


async def test_running_and_unjudged_tasks_do_not_count_as_losses(ledger):
    for number in range(5):
        await delegate(ledger, f"good{number}", ("m", True), task_type="tests", cost_usd=0.1, baseline_usd=0.15)
        await delegate(ledger, f"open{number}", ("m", True), task_type="tests", cost_usd=0.5, status="unverified")
    await ledger.begin_task(task("running", task_type="tests"))
    await ledger.reserve(attempt("running", reserved_usd=0.66), daily_cap_usd=None)

    unjudged = await losing_class(ledger, "tests")
    for number in range(5):
        await ledger.record_outcome(f"open{number}", "rejected", None)
    await ledger.refresh()

    assert unjudged is None
    assert [kind.cost_usd for kind in await report_classes(ledger)] == [pytest.approx(3.66)]
    assert await losing_class(ledger, "tests") is not None


async def test_failures_that_cost_nothing_lose_no_money(ledger):
    for number in range(9):
        await delegate(ledger, f"t{number}", ("m", False), status="failed", task_type="tests", reported=("rejected",))

    assert await losing_class(ledger, "tests") is None


async def test_a_user_reports_on_unchecked_answers_if_most_of_them_have_an_outcome(ledger):
    for number in range(5):
        await delegate(ledger, f"checked{number}", ("m", True), reported=("accepted",))
    nothing_reported = await reports_on_unchecked(ledger)
    for number in range(5):
        await delegate(ledger, f"told{number}", ("m", True), status="unverified", reported=("edited",))
        await delegate(ledger, f"elsewhere{number}", ("m", True), status="unverified")
    await ledger.rows("UPDATE tasks SET elsewhere = 1 WHERE id LIKE 'elsewhere%'")
    await delegate(ledger, "here", ("m", True), status="unverified")
    most_reported = await reports_on_unchecked(ledger)
    for number in range(6):
        await delegate(ledger, f"silent{number}", ("m", True), status="unverified")
    few_reported = await reports_on_unchecked(ledger)

    assert (nothing_reported, most_reported, few_reported) == (False, True, False)
