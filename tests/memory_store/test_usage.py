"""The usage report: what was spent, saved and lost."""

import pytest
from ledger_rows import attempt, delegate, finish, settlement, task

from chargehand.memory_store.usage import ModelUsage, UsageReport, report_usage

pytestmark = pytest.mark.anyio


async def test_an_empty_ledger_reports_nothing(ledger):
    assert await report_usage(ledger) == UsageReport({}, (), 0, 0, 0, 0)


async def test_verified_work_saves_the_baseline_price_minus_everything_spent(ledger):
    await delegate(ledger, "t1", ("m", True), cost_usd=0.25, baseline_usd=1.0)
    await delegate(ledger, "t2", ("m", False), status="failed", cost_usd=0.25)

    report = await report_usage(ledger)

    assert report.tasks == {"failed": 1, "succeeded": 1}
    assert (report.cost_usd, report.baseline_usd, report.lost_usd) == (0.5, 1.0, 0.25)
    assert report.saved_usd == 0.5
    assert report.models == (ModelUsage("m", 2, 1, 1, 200, 100, 0.5),)


async def test_a_loss_is_reported_as_negative_savings(ledger):
    await delegate(ledger, "t1", ("m", True), cost_usd=2.0, baseline_usd=0.5)

    assert (await report_usage(ledger)).saved_usd == -1.5


async def test_unverified_work_saves_nothing_until_it_is_accepted(ledger):
    await delegate(ledger, "t1", ("m", True), status="unverified", baseline_usd=1.0)
    before = (await report_usage(ledger)).saved_usd

    await ledger.record_outcome("t1", "accepted", None)

    assert (before, (await report_usage(ledger)).saved_usd) == (0, 1.0)


async def test_rejected_work_saves_nothing_although_its_checks_passed(ledger):
    await delegate(ledger, "t1", ("m", True), cost_usd=0.25, baseline_usd=1.0, reported=("rejected",))

    report = await report_usage(ledger)

    assert (report.saved_usd, report.lost_usd) == (-0.25, 0.25)


async def test_an_unsettled_attempt_counts_at_its_reserved_cost(ledger):
    await ledger.begin_task(task("t1"))
    await ledger.reserve(attempt("t1", model="dead", reserved_usd=0.75), daily_cap_usd=None)

    report = await report_usage(ledger)

    assert (report.cost_usd, report.unsettled_usd, report.saved_usd) == (0.75, 0.75, -0.75)
    assert report.lost_usd == 0  # the task is still running
    assert report.models == (ModelUsage("dead", 1, 0, 0, 0, 0, 0.75),)


async def test_a_settled_attempt_counts_at_its_actual_cost(ledger):
    await ledger.begin_task(task("t1"))
    attempt_id = await ledger.reserve(attempt("t1", reserved_usd=0.75), daily_cap_usd=None)
    await ledger.settle(attempt_id, settlement(cost_usd=0.25))

    report = await report_usage(ledger)

    assert (report.cost_usd, report.unsettled_usd) == (0.25, 0)


async def test_an_unverified_attempt_counts_as_neither_passed_nor_failed(ledger):
    await ledger.begin_task(task("t1"))
    attempt_id = await ledger.reserve(attempt("t1", model="m"), daily_cap_usd=None)
    await ledger.settle(attempt_id, settlement(outcome="unverified"))

    assert (await report_usage(ledger)).models == (ModelUsage("m", 1, 0, 0, 100, 50, 0),)


async def test_a_review_counts_as_cost_but_neither_as_a_task_nor_as_savings(ledger):
    await ledger.begin_task(task("r1", kind="review"))
    attempt_id = await ledger.reserve(attempt("r1", model="director", reserved_usd=1), daily_cap_usd=None)
    await ledger.settle(attempt_id, settlement(outcome="unverified", cost_usd=0.5))
    await ledger.finish_task("r1", finish(status="succeeded", baseline_usd=9.0))

    report = await report_usage(ledger)

    assert report.tasks == {}
    assert report.saved_usd == -0.5


async def test_the_report_can_start_at_a_given_time(ledger, clock):
    await delegate(ledger, "t1", ("old", True), cost_usd=1.0, baseline_usd=2.0)
    clock.advance(days=1)
    await delegate(ledger, "t2", ("new", True), cost_usd=0.5, baseline_usd=2.0)

    report = await report_usage(ledger, since=clock().timestamp())

    assert [m.model for m in report.models] == ["new"]
    assert (report.cost_usd, report.saved_usd) == (0.5, 1.5)


async def test_a_task_counts_with_its_whole_cost_in_the_period_in_which_it_began(ledger, clock):
    await ledger.begin_task(task("t1"))
    clock.advance(days=1)
    midnight = clock().timestamp()
    attempt_id = await ledger.reserve(attempt("t1", reserved_usd=1), daily_cap_usd=None)
    await ledger.settle(attempt_id, settlement(cost_usd=0.5))
    await ledger.finish_task("t1", finish(baseline_usd=2.0))

    whole, later = await report_usage(ledger), await report_usage(ledger, since=midnight)

    assert (whole.cost_usd, whole.saved_usd) == (0.5, 1.5)
    assert (later.cost_usd, later.saved_usd, later.models) == (0, 0, ())


async def test_models_are_listed_by_descending_cost(ledger):
    await delegate(ledger, "t1", ("cheap", True), cost_usd=0.1)
    await delegate(ledger, "t2", ("dear", True), cost_usd=0.9)

    assert [m.model for m in (await report_usage(ledger)).models] == ["dear", "cheap"]
