"""Evaluations by a vendor's batches: half the price, each request sent and paid once, even after interruptions."""

from collections.abc import Sequence

import anyio
import anyio.lowlevel
import pytest
from laboratory import ITEMS, Lab
from running_server import Script
from suite_rows import RIGHT, WRONG

from chargehand.evaluation.peers.anthropic_batches import EXPIRED
from chargehand.evaluation.peers.reply import HttpFault, Reply
from chargehand.evaluation.progress import EvaluationProgress
from chargehand.evaluation.suite.task import SuiteTask
from chargehand.memory_store.batched import batched_in
from chargehand.memory_store.evaluations import read_measurements

pytestmark = pytest.mark.anyio

LOCAL, LOCAL_WIRE, HAIKU, SONNET = "qwen3-30b-a3b", "qwen3:30b-a3b", "claude-haiku-5-5", "claude-sonnet-5-5"
BUDGET_USD = 4.0


async def full_price_usd(lab: Lab) -> float:
    """The cost of all Anthropic attempts at the vendor's price without batches."""
    (profile, *_) = lab.services.catalogue.named(HAIKU, lab.services.today)
    rows = await lab.services.ledger.rows(
        "SELECT input_tokens, output_tokens, cache_read_tokens, cache_write_tokens FROM attempts"
        " WHERE provider = 'anthropic' AND cost_usd > 0"
    )
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    return sum(profile.cost_usd(**dict(zip(names, row, strict=True))) for row in rows)


async def spent_usd(lab: Lab) -> float:
    ((spent,),) = await lab.services.ledger.rows("SELECT TOTAL(COALESCE(cost_usd, reserved_usd)) FROM attempts")
    return spent


async def interrupt_evaluation(lab: Lab, items: Sequence[SuiteTask] = ITEMS) -> None:
    """Cancel an evaluation once the vendor processes all its requests."""
    lab.peers.anthropic.batches.ends_at_poll = 0
    async with anyio.create_task_group() as group:

        async def evaluate() -> None:
            await lab.evaluate(HAIKU, in_batches=True, budget_usd=BUDGET_USD, items=items)

        group.start_soon(evaluate)
        with anyio.fail_after(60):
            while processed_requests(lab) < len(items):
                await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    lab.peers.anthropic.batches.ends_at_poll = 1


def processed_requests(lab: Lab) -> int:
    """Requests in batches that this process has asked about more than once."""
    return sum(len(batch.requests) for batch in lab.peers.anthropic.batches.batches.values() if batch.polls > 1)


async def test_a_batch_costs_half_the_price_while_a_local_model_is_measured_with_ordinary_requests(lab):
    async with lab(Script({HAIKU: [RIGHT, WRONG, RIGHT], LOCAL_WIRE: [RIGHT]})) as lab:
        row = await lab.evaluate(HAIKU, LOCAL, in_batches=True, budget_usd=BUDGET_USD)

        assert row.finished_at is not None
        measured = [m for m in await read_measurements(lab.services.ledger) if m.model == HAIKU]
        assert sorted(m.passed for m in measured) == [False, True, True]
        assert sum(m.cost_usd for m in measured) == pytest.approx(await full_price_usd(lab) / 2)
        assert {m.tokens_per_second for m in measured} == {None}
        assert lab.peers.anthropic.journal.to("/v1/messages") == []
        (model, *_) = [m for m in await read_measurements(lab.services.ledger) if m.model == LOCAL]
        assert model.passed


async def test_failed_and_expired_requests_of_a_batch_are_inconclusive_and_cost_nothing(lab):
    progress = EvaluationProgress()
    async with lab(Script({HAIKU: [HttpFault(529), EXPIRED, HttpFault(400, message="odd")]})) as lab:
        row = await lab.evaluate(HAIKU, in_batches=True, budget_usd=BUDGET_USD, progress=progress)

        assert row.finished_at is None
        assert {m.passed for m in await read_measurements(lab.services.ledger)} == {None}
        assert await spent_usd(lab) == 0
        assert HAIKU in progress.given_up


async def test_a_refusal_by_the_model_counts_as_its_failure_and_is_paid_only_after_its_first_word(lab):
    async with lab(Script({HAIKU: [Reply("", stop="refusal"), Reply("I", stop="refusal")]})) as lab:
        await lab.evaluate(HAIKU, in_batches=True, budget_usd=BUDGET_USD, items=ITEMS[:2])

        measured = await read_measurements(lab.services.ledger)
        assert {(one.passed, one.outcome) for one in measured} == {(False, "refused")}
        assert sorted(one.cost_usd > 0 for one in measured) == [False, True]


async def test_an_interrupted_batch_is_booked_at_its_maximum_cost_then_fetched_and_paid_once(lab):
    script = Script({HAIKU: [RIGHT]})
    async with lab(script) as lab:
        await interrupt_evaluation(lab)
        maximum_usd = await spent_usd(lab)
        (first,) = {m.evaluation_id for m in await read_measurements(lab.services.ledger)}
        assert len(await batched_in(lab.services.ledger, first)) == len(ITEMS)

        row = await lab.evaluate(HAIKU, budget_usd=BUDGET_USD)

        assert row.id == first
        assert row.finished_at is not None
        measured = await read_measurements(lab.services.ledger)
        assert {m.passed for m in measured} == {True}
        assert len(script.asked) == len(ITEMS)
        assert await spent_usd(lab) == pytest.approx(await full_price_usd(lab) / 2)
        assert sum(m.cost_usd for m in measured) == pytest.approx(await spent_usd(lab))
        assert maximum_usd > 10 * await spent_usd(lab)
        assert await batched_in(lab.services.ledger, first) == frozenset()


async def test_a_batch_whose_creation_response_was_lost_is_found_and_not_created_twice(lab):
    script = Script({HAIKU: [RIGHT]})
    async with lab(script) as lab:
        lab.peers.anthropic.batches.fails_after_create = True
        first = await lab.evaluate(HAIKU, in_batches=True, items=ITEMS[:1], budget_usd=BUDGET_USD)
        lab.peers.anthropic.batches.fails_after_create = False

        second = await lab.evaluate(HAIKU, items=ITEMS[:1], budget_usd=BUDGET_USD)

        assert (first.finished_at, second.id) == (None, first.id)
        assert second.finished_at is not None
        assert len(lab.peers.anthropic.batches.batches) == 1
        assert len(script.asked) == 1
        assert await spent_usd(lab) == pytest.approx(await full_price_usd(lab) / 2)


async def test_a_batch_that_was_never_created_costs_nothing_and_is_requested_again(lab):
    script = Script({HAIKU: [RIGHT]})
    async with lab(script) as lab:
        lab.peers.anthropic.batches.faults = [HttpFault(500)]
        await lab.evaluate(HAIKU, in_batches=True, items=ITEMS[:1], budget_usd=BUDGET_USD)

        row = await lab.evaluate(HAIKU, in_batches=True, items=ITEMS[:1], budget_usd=BUDGET_USD)

        assert row.finished_at is not None
        assert len(lab.peers.anthropic.batches.batches) == 1
        assert await spent_usd(lab) == pytest.approx(await full_price_usd(lab) / 2)


async def test_a_refused_batch_costs_nothing_and_reports_the_reason(lab):
    progress = EvaluationProgress()
    async with lab(Script({HAIKU: [RIGHT]})) as lab:
        lab.peers.anthropic.batches.faults = [HttpFault(401)] * len(ITEMS)
        await lab.evaluate(HAIKU, in_batches=True, budget_usd=BUDGET_USD, progress=progress)

        assert await spent_usd(lab) == 0
        assert "ANTHROPIC_API_KEY" in progress.given_up[HAIKU]
        ((remaining,),) = await lab.services.ledger.rows("SELECT COUNT(*) FROM batched")
        assert remaining == 0


async def test_nothing_is_requested_again_while_the_vendor_fails_to_list_its_batches(lab):
    progress = EvaluationProgress()
    async with lab(Script({HAIKU: [RIGHT]})) as lab:
        lab.peers.anthropic.batches.fails_after_create = True
        await lab.evaluate(HAIKU, in_batches=True, items=ITEMS[:1], budget_usd=BUDGET_USD)
        lab.peers.anthropic.batches.fails_after_create = False
        lab.peers.anthropic.batches.faults = [HttpFault(500)]

        await lab.evaluate(HAIKU, in_batches=True, items=ITEMS[:1], budget_usd=BUDGET_USD, progress=progress)

        assert "nothing is asked again" in progress.given_up[HAIKU]
        assert len(lab.peers.anthropic.batches.batches) == 1


async def test_failed_polls_of_a_batch_are_retried(lab):
    async with lab(Script({HAIKU: [RIGHT]})) as lab:
        await interrupt_evaluation(lab, items=ITEMS[:1])
        lab.peers.anthropic.batches.faults = [HttpFault(529), HttpFault(500)]

        row = await lab.evaluate(HAIKU, items=ITEMS[:1], budget_usd=BUDGET_USD)

        assert row.finished_at is not None


async def test_requests_that_the_budget_does_not_cover_are_not_submitted(lab):
    progress = EvaluationProgress()
    async with lab(Script({HAIKU: [RIGHT]})) as lab:
        await lab.evaluate(HAIKU, in_batches=True, budget_usd=0.0, progress=progress)

        assert progress.unaffordable == {HAIKU: len(ITEMS)}
        assert lab.peers.anthropic.batches.batches == {}
