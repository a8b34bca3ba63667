"""Evaluations of several models at once, over real HTTP: budgets, failing vendors, and resuming after interruptions."""

import re

import anyio
import pytest
from laboratory import ITEMS
from running_server import Script, fenced
from suite_rows import RIGHT, WRONG, item

from chargehand.evaluation.evaluating import GIVEN_UP_AFTER, evaluate
from chargehand.evaluation.lanes import AT_ONCE
from chargehand.evaluation.peers.reply import HttpFault, Reply, Stall
from chargehand.evaluation.progress import EvaluationProgress
from chargehand.evaluation.report import Report
from chargehand.evaluation.terms import EvaluationTerms
from chargehand.memory_store.evaluation_runs import EvaluationInProgress, spent_usd
from chargehand.server.cli import own_services

pytestmark = pytest.mark.anyio

LOCAL, LOCAL_WIRE = "qwen3-30b-a3b", "qwen3:30b-a3b"
HAIKU, SONNET = "claude-haiku-5-5", "claude-sonnet-5-5"
OSS, OSS_WIRE = "gpt-oss-120b", "gpt-oss-120b"


async def test_three_models_of_three_vendors_are_measured_on_every_item(lab):
    script = Script({LOCAL_WIRE: [RIGHT], HAIKU: [WRONG], OSS_WIRE: [RIGHT]})
    async with lab(script) as lab:
        row = await lab.evaluate(LOCAL, HAIKU, OSS)

        assert row.finished_at is not None
        expected = [(i.id, m, passed) for i in ITEMS for m, passed in ((LOCAL, True), (HAIKU, False), (OSS, True))]
        assert await lab.measured() == sorted(expected)
        assert len(script.asked) == 9


async def test_each_item_is_measured_as_often_as_repeat_says(lab):
    async with lab(Script({LOCAL_WIRE: [RIGHT, WRONG]})) as lab:
        await lab.evaluate(LOCAL, items=ITEMS[:1], repeat=3)

        assert sorted(passed for *_, passed in await lab.measured()) == [False, False, True]


async def test_spending_stays_within_the_budget_and_unaffordable_requests_are_counted(lab):
    progress = EvaluationProgress()
    many = tuple(item(f"{number}@1", wrong=()) for number in range(12))
    long_reply = Reply(fenced("# " + "x " * 30_000))
    async with lab(Script({SONNET: [long_reply], HAIKU: [long_reply]})) as lab:
        budget_usd = 0.06
        row = await lab.evaluate(SONNET, HAIKU, items=many, progress=progress, budget_usd=budget_usd)

        spent = await spent_usd(lab.services.ledger, row.id)
        assert 0 < spent <= budget_usd
        assert spent == pytest.approx(await lab.services.ledger.spent_today_usd())
        ((largest_reservation_usd,),) = await lab.services.ledger.rows("SELECT MAX(reserved_usd) FROM attempts")
        assert largest_reservation_usd <= budget_usd
        assert progress.unaffordable[SONNET] > 0
        assert row.finished_at is not None
        assert all(
            outcome == "truncated" for (outcome,) in await lab.services.ledger.rows("SELECT outcome FROM measurements")
        )


async def test_the_report_counts_answers_that_were_not_requested(lab):
    async with lab(Script({LOCAL_WIRE: [RIGHT]})) as lab:
        row = await lab.evaluate(LOCAL, items=ITEMS[:1])

    report = Report.of(row, [], EvaluationProgress(unaffordable={HAIKU: 1, SONNET: 2}))

    assert [remark.split(":")[1] for remark in report.remarks] == [
        " 1 answer was not requested",
        " 2 answers were not requested",
    ]


async def test_an_exhausted_daily_budget_leaves_the_evaluation_unfinished(lab, monkeypatch):
    monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", "0.001")
    progress = EvaluationProgress()
    async with lab(Script({LOCAL_WIRE: [RIGHT]})) as lab:
        row = await lab.evaluate(LOCAL, HAIKU, progress=progress)

        assert row.finished_at is None
        assert progress.given_up[HAIKU].startswith(
            "$0.001000 is left of the day's budget of $0.001 (CHARGEHAND_DAILY_BUDGET_USD), and an answer may cost"
        )
        assert await lab.measured() == [(i.id, LOCAL, True) for i in ITEMS]


async def test_a_vendor_that_keeps_failing_is_given_up_and_the_other_models_continue(lab):
    progress = EvaluationProgress()
    many = tuple(item(f"{number:02}@1", wrong=()) for number in range(14))
    script = Script({HAIKU: [RIGHT, RIGHT, HttpFault(400)], LOCAL_WIRE: [RIGHT]})
    async with lab(script) as lab:
        row = await lab.evaluate(LOCAL, HAIKU, items=many, progress=progress)

        assert row.finished_at is None
        assert re.match(r"error: Anthropic at \S+ refuses the form of the request", progress.given_up[HAIKU])
        # Two right answers, whose checks may each end after two failures and reset the count of failures; then
        # three failures, and the requests that were in flight.
        assert script.models.count(HAIKU) <= 2 + 2 * (GIVEN_UP_AFTER - 1) + GIVEN_UP_AFTER + AT_ONCE - 1
        assert [m for _, m, passed in await lab.measured() if passed].count(LOCAL) == len(many)


async def test_a_refused_key_is_reported_and_its_model_is_given_up_at_once(lab):
    progress = EvaluationProgress()
    many = tuple(item(f"{number:02}@1", wrong=()) for number in range(8))
    script = Script({HAIKU: [HttpFault(401)]})
    async with lab(script) as lab:
        await lab.evaluate(HAIKU, items=many, progress=progress)

        assert re.match(r"unreachable: Anthropic at \S+ does not accept the key\.", progress.given_up[HAIKU])
        # The requests in flight when the first was refused.
        assert script.models.count(HAIKU) < 5


async def test_a_model_without_conclusive_results_is_reported_with_the_reason_even_for_one_item(lab):
    progress = EvaluationProgress()
    async with lab(Script({HAIKU: [HttpFault(400)]})) as lab:
        row = await lab.evaluate(HAIKU, items=ITEMS[:1], progress=progress)

        assert row.finished_at is None
        assert re.match(r"error: Anthropic at \S+ refuses the form of the request", progress.given_up[HAIKU])


async def test_a_resumed_evaluation_repeats_only_inconclusive_measurements(lab):
    script = Script({HAIKU: [HttpFault(400), HttpFault(400), HttpFault(400), RIGHT], LOCAL_WIRE: [RIGHT]})
    async with lab(script) as lab:
        first = await lab.evaluate(LOCAL, HAIKU)
        progress = EvaluationProgress()
        second = await lab.evaluate(LOCAL, HAIKU, progress=progress)

        assert (first.id, progress.resumed) == (second.id, True)
        assert second.finished_at is not None
        assert script.models.count(LOCAL_WIRE) == 3
        assert all(passed for *_, passed in await lab.measured())


async def test_a_finished_evaluation_and_one_with_other_terms_are_not_resumed(lab):
    async with lab(Script({LOCAL_WIRE: [RIGHT]})) as lab:
        first = await lab.evaluate(LOCAL, items=ITEMS[:1])
        second = await lab.evaluate(LOCAL, items=ITEMS[:1])
        other_terms = await lab.evaluate(LOCAL, items=ITEMS[:1], repeat=2)

        assert len({first.id, second.id, other_terms.id}) == 3


async def test_a_rate_limit_is_waited_for_and_does_not_count_as_a_failure(lab):
    limited = HttpFault(429, headers={"retry-after": "3"})
    async with lab(Script({OSS_WIRE: [limited, RIGHT]})) as lab:
        await lab.evaluate(OSS)

        assert lab.waited == [3.0]
        assert await lab.measured() == [(i.id, OSS, True) for i in ITEMS]


async def test_an_item_with_a_broken_check_is_reported_and_not_sent_to_any_model(lab):
    progress = EvaluationProgress()
    wrong = item("wrong@1", tests="assert shout('ab') == 'xx'")
    unreadable = item("unreadable@1", tests="assert shout('ab' ==")
    script = Script({LOCAL_WIRE: [RIGHT]})
    async with lab(script) as lab:
        await lab.evaluate(LOCAL, items=(*ITEMS, wrong, unreadable), progress=progress)

        assert set(progress.broken) == {"wrong@1", "unreadable@1"}
        assert "the reference fails" in progress.broken["wrong@1"]
        assert len(script.asked) == 3


async def test_after_its_check_is_mended_only_the_left_out_item_is_requested(lab):
    progress = EvaluationProgress()
    wrong = item("wrong@1", tests="assert shout('ab') == 'xx'")
    script = Script({LOCAL_WIRE: [RIGHT]})
    async with lab(script) as lab:
        first = await lab.evaluate(LOCAL, items=(*ITEMS, wrong))
        second = await lab.evaluate(LOCAL, items=(*ITEMS, item("wrong@1")), progress=progress)

        assert first.finished_at is None
        assert (second.id, second.finished_at is not None) == (first.id, True)
        assert len(script.asked) == 4


async def test_an_interrupted_evaluation_resumes_where_it_stopped(lab):
    script = Script({LOCAL_WIRE: [RIGHT, Stall(RIGHT, anyio.Event(), after=1), RIGHT]})
    async with lab(script) as lab:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(lab.evaluate, LOCAL)
                while len(script.asked) < 2:
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
        interrupted = await lab.measured()
        row = await lab.evaluate(LOCAL)

        assert sorted(str(passed) for *_, passed in interrupted) == ["None", "True"]
        assert row.finished_at is not None
        assert await lab.measured() == [(i.id, LOCAL, True) for i in ITEMS]
        assert len(script.asked) == 4


async def test_a_second_evaluation_is_refused_while_one_runs(lab):
    script = Script({LOCAL_WIRE: [Stall(RIGHT, anyio.Event(), after=1)]})
    async with lab(script) as lab, own_services() as other:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(lab.evaluate, LOCAL)
                while not script.asked:
                    await anyio.lowlevel.checkpoint()
                terms = EvaluationTerms(suite="own", seed=2, models=(LOCAL,))
                with pytest.raises(EvaluationInProgress, match="is already running"):
                    await evaluate(other, lab.delegations, ITEMS, (LOCAL,), terms, progress=EvaluationProgress())
                group.cancel_scope.cancel()
        assert len(await lab.services.ledger.rows("SELECT id FROM evaluations")) == 1
