"""One measurement: a real delegation over real HTTP, whose outcome is conclusive for the model or not."""

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace

import anyio
import pytest
from measurement_rows import insert_evaluation
from running_server import Script, fenced
from suite_rows import RIGHT, RIGHT_PROJECT, SHOUT, WRONG, item, project_item

from chargehand.evaluation.measuring import PATIENCE_S, MeasurementKey, measure
from chargehand.evaluation.peers.reply import HttpFault, Reply, Stall
from chargehand.evaluation.peers.vendors import Vendors, vendors
from chargehand.memory_store.adherence import report_classes
from chargehand.memory_store.evaluations import Measurement, read_measurements
from chargehand.memory_store.usage import report_usage
from chargehand.server.cli import own_services
from chargehand.tools.cascade.delegations import Delegations
from chargehand.tools.services import Services

pytestmark = pytest.mark.anyio

LOCAL, LOCAL_WIRE = "qwen3-30b-a3b", "qwen3:30b-a3b"
HAIKU = "claude-haiku-5-5"


@dataclass
class Bench:
    services: Services
    delegations: Delegations
    peers: Vendors
    waited: list[float] = field(default_factory=list)

    async def measure(self, model: str, task=SHOUT, **more) -> Measurement:
        async def wait(seconds: float) -> None:
            self.waited.append(seconds)

        key = MeasurementKey("e1", task, model)
        return (await measure(self.services, self.delegations, key, wait=wait, **more)).measurement


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch):
    @contextlib.asynccontextmanager
    async def open_bench(script: Script) -> AsyncGenerator[Bench]:
        async with vendors(script) as peers:
            for name, value in peers.environment.items():
                monkeypatch.setenv(name, value)
            async with own_services() as services, anyio.create_task_group() as group:
                await insert_evaluation(services.ledger, "e1", services.now)
                yield Bench(services, Delegations(group), peers)
                group.cancel_scope.cancel()

    return open_bench


async def test_a_right_answer_passes_and_is_recorded_with_its_cost_and_tokens(bench):
    async with bench(Script({HAIKU: [RIGHT]})) as bench:
        measured = await bench.measure(HAIKU)

        assert (measured.passed, measured.outcome, measured.kind) == (True, "passed", "simple_generation")
        assert measured.output_tokens > 0
        assert measured.first_token_seconds is not None
        assert measured.cost_usd > 0
        assert await read_measurements(bench.services.ledger, evaluation_id="e1") == (measured,)
        (row,) = await bench.services.ledger.rows("SELECT id, origin, status FROM tasks")
        assert row == (measured.task_id, "evaluation", "succeeded")


async def test_a_wrong_answer_fails_without_a_repair(bench):
    script = Script({LOCAL_WIRE: [WRONG]})
    async with bench(script) as bench:
        measured = await bench.measure(LOCAL)

    assert (measured.passed, measured.outcome, len(script.asked)) == (False, "failed_check", 1)


async def test_the_model_is_not_shown_the_tests(bench):
    script = Script({LOCAL_WIRE: [RIGHT]})
    async with bench(script) as bench:
        await bench.measure(LOCAL)

    prompt = "\n".join(text for _, text in script.asked[0].messages)
    assert SHOUT.prompt in prompt
    assert "assert" not in prompt


async def test_a_project_change_is_tested_and_its_prompt_has_the_code_without_the_tests(bench):
    script = Script({LOCAL_WIRE: [Reply(RIGHT_PROJECT)]})
    async with bench(script) as bench:
        measured = await bench.measure(LOCAL, project_item())

    prompt = "\n".join(text for _, text in script.asked[0].messages)
    assert measured.passed, measured
    assert "def total(" in prompt
    assert "test_total" not in prompt


async def test_an_unreachable_vendor_is_inconclusive_for_the_model(bench):
    async with bench(Script({HAIKU: [HttpFault(401)]})) as bench:
        measured = await bench.measure(HAIKU)

        assert (measured.passed, measured.outcome) == (None, "unreachable")


async def test_a_rate_limited_request_is_retried_after_the_requested_wait(bench):
    script = Script({HAIKU: [HttpFault(429, headers={"retry-after": "7"}), RIGHT]})
    async with bench(script) as bench:
        measured = await bench.measure(HAIKU)

        assert (measured.passed, bench.waited) == (True, [7.0])
        assert await read_measurements(bench.services.ledger) == (measured,)


@pytest.mark.parametrize("status", [500, 529])
async def test_a_temporary_vendor_failure_is_retried_with_growing_waits(bench, status: int):
    script = Script({HAIKU: [HttpFault(status), HttpFault(status), HttpFault(status), RIGHT]})
    async with bench(script) as bench:
        measured = await bench.measure(HAIKU)

        assert (measured.passed, bench.waited) == (True, [2.0, 4.0, 8.0])


async def test_retries_of_a_failing_vendor_end_within_the_time_limit(bench):
    async with bench(Script({HAIKU: [HttpFault(500)]})) as bench:
        measured = await bench.measure(HAIKU)

        assert (measured.passed, measured.outcome) == (None, "error")
        assert 200 < sum(bench.waited) <= PATIENCE_S


async def test_a_failing_local_server_is_not_retried(bench):
    async with bench(Script({LOCAL_WIRE: [HttpFault(500)]})) as bench:
        measured = await bench.measure(LOCAL)

        assert (measured.passed, measured.outcome, bench.waited) == (None, "error", [])


async def test_a_requested_wait_beyond_the_limit_is_inconclusive_and_the_item_can_be_measured_again(bench):
    script = Script({HAIKU: [HttpFault(429, headers={"retry-after": "700"}), RIGHT]})
    async with bench(script) as bench:
        first = await bench.measure(HAIKU)
        second = await bench.measure(HAIKU)

        assert (first.passed, first.outcome, second.passed, bench.waited) == (None, "rate_limited", True, [])
        assert await read_measurements(bench.services.ledger) == (
            replace(second, cost_usd=first.cost_usd + second.cost_usd),
        )


async def test_a_conclusive_measurement_is_not_overwritten(bench):
    async with bench(Script({LOCAL_WIRE: [RIGHT, WRONG]})) as bench:
        first = await bench.measure(LOCAL)
        await bench.measure(LOCAL)

        assert await read_measurements(bench.services.ledger) == (first,)


async def test_an_answer_truncated_by_the_daily_budget_is_inconclusive_for_the_model(bench, monkeypatch):
    monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", "0.001")
    long_reply = Reply(fenced("# " + "x " * 30_000))
    async with bench(Script({HAIKU: [long_reply]})) as bench:
        measured = await bench.measure(HAIKU)

    assert (measured.passed, measured.outcome) == (None, "truncated")


async def test_a_cancelled_measurement_is_recorded_with_its_cost(bench):
    script = Script({HAIKU: [Stall(RIGHT, anyio.Event(), after=2)]})
    async with bench(script) as bench:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(bench.measure, HAIKU)
                while not script.asked:
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()

        (measured,) = await read_measurements(bench.services.ledger)
        assert (measured.passed, measured.outcome) == (None, "cancelled")
        assert measured.cost_usd == pytest.approx(await bench.services.ledger.spent_today_usd())


async def test_measurements_do_not_affect_memory_track_records_or_reported_savings(bench):
    async with bench(Script({HAIKU: [RIGHT], LOCAL_WIRE: [WRONG]})) as bench:
        paid = await bench.measure(HAIKU)
        await bench.measure(LOCAL, item("other@1"))
        ledger = bench.services.ledger

        usage = await report_usage(ledger)
        assert (usage.tasks, usage.models, usage.baseline_usd, usage.cost_usd, usage.lost_usd) == ({}, (), 0, 0, 0)
        assert usage.evaluations_usd == pytest.approx(paid.cost_usd)
        assert await report_classes(ledger) == ()
        assert await ledger.rows("SELECT * FROM embeddings") == []
        assert await bench.services.memory.missing() == 0
        assert (await ledger.track_record(HAIKU, None)).good == 0
        assert await ledger.spent_today_usd() == pytest.approx(paid.cost_usd)
