"""An evaluation over MCP: its measurements decide which model is asked next, and the decision says so."""

import datetime as dt
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest
from measurement_rows import insert_evaluation
from running_server import OpenServer, RunningServer, Script, fenced

from chargehand.evaluation.peers.ollama import OllamaModel
from chargehand.evaluation.peers.reply import Reply
from chargehand.evaluation.peers.vendors import QWEN
from chargehand.memory_store.evaluations import Measurement, record_measurement
from chargehand.memory_store.ledger import Ledger

pytestmark = pytest.mark.anyio

LOCAL, ECONOMY = "qwen3-30b-a3b", "claude-haiku-5-5"
EASY = "Rename the variable n to count in this function: def double(n): return 2 * n"
HARD = (
    "Design and implement a thread-safe LRU cache with expiry, per-key locks and statistics, in Python: concurrent"
    " readers must not block each other, an entry that is being computed is computed once, and memory is bounded by"
    " the sum of the sizes of all entries. Keep the asymptotic cost of every operation at O(1), and prove it."
)
BUILD = f"{QWEN.digest[:12]} {QWEN.quantization}"
TASKS_OF_A_SUITE = 40
NUMBERS = count(1)


@asynccontextmanager
async def ledger_of(tmp_path: Path) -> AsyncGenerator[Ledger]:
    """The server's ledger, opened as another process would open it."""
    ledger = await Ledger.open(tmp_path / "chargehand-home", lambda: dt.datetime.now(dt.UTC))
    try:
        yield ledger
    finally:
        await ledger.aclose()


async def evaluate(
    tmp_path: Path, model: str, *, passed: bool, tasks: int = TASKS_OF_A_SUITE, build: str | None = BUILD
) -> None:
    """Records measurements of a model at tasks of complexity 1 to 8, all passed or all failed."""
    async with ledger_of(tmp_path) as ledger:
        now = dt.datetime.now(dt.UTC).timestamp()
        evaluation_id = f"e{next(NUMBERS)}"
        await insert_evaluation(ledger, evaluation_id, now)
        for number in range(tasks):
            await record_measurement(
                ledger,
                Measurement(
                    evaluation_id=evaluation_id,
                    item=f"task-{number}@1",
                    model=model,
                    repetition=0,
                    build=build,
                    kind="simple_generation",
                    task_type="code_generation",
                    language="python",
                    complexity=1.0 + (4 + 3 * number) % 8,
                    passed=passed,
                    outcome="passed" if passed else "failed_check",
                    task_id=None,
                    at=now,
                    seconds=1.0,
                    first_token_seconds=0.1,
                    output_tokens=50,
                    thinking_tokens=0,
                    cost_usd=0.0,
                ),
            )


async def route(server: RunningServer, task: str) -> dict:
    return await server.call("route_task", task=task, task_type="code_generation")


async def test_a_model_that_got_worse_loses_its_route_after_one_evaluation(open_server: OpenServer, tmp_path: Path):
    async with open_server(Script()) as server:
        for _ in range(3):
            await evaluate(tmp_path, LOCAL, passed=True)
        before = await route(server, EASY)
        await evaluate(tmp_path, LOCAL, passed=False)
        after = await route(server, EASY)

    assert before["model"] == LOCAL
    assert after["model"] != LOCAL
    (local,) = (other for other in after["alternatives"] if other["model"] == LOCAL)
    assert local["expected"]["success"] < 0.5
    assert local["expected"]["measured_tasks"] == TASKS_OF_A_SUITE


async def test_a_model_that_got_better_wins_a_route(open_server: OpenServer, tmp_path: Path):
    async with open_server(Script()) as server:
        before = await route(server, HARD)
        await evaluate(tmp_path, LOCAL, passed=True)
        after = await route(server, HARD)

    assert before["model"] != LOCAL
    assert after["model"] == LOCAL
    assert f"measured on {TASKS_OF_A_SUITE} tasks" in after["reason"]
    assert (before["expected"]["measured_tasks"], after["expected"]["measured_tasks"]) == (0, TASKS_OF_A_SUITE)


async def test_measurements_of_an_old_build_do_not_apply_to_a_new_one(open_server: OpenServer, tmp_path: Path):
    fresh = OllamaModel(QWEN.name, QWEN.context_tokens, QWEN.capabilities, digest="fedcba9876543210" * 4)
    async with open_server(Script(), installed=(fresh,)) as server:
        before = await route(server, EASY)
        await evaluate(tmp_path, LOCAL, passed=False)
        after = await route(server, EASY)

    assert before["model"] == after["model"] == LOCAL
    assert after["expected"]["measured_tasks"] == 0


async def test_two_failures_do_not_change_the_route(open_server: OpenServer, tmp_path: Path):
    async with open_server(Script()) as server:
        await evaluate(tmp_path, LOCAL, passed=False, tasks=2)
        after = await route(server, EASY)

    assert after["model"] == LOCAL
    assert "measured on 2 tasks" in after["reason"]


async def test_an_evaluation_outweighs_one_remembered_success(open_server: OpenServer, tmp_path: Path):
    right = Reply(fenced("def double(n):\n    return 2 * n"))
    async with open_server(Script({QWEN.name: [right]})) as server:
        await server.call("delegate_generation", task=EASY, tests="assert double(2) == 4", model=LOCAL)
        await evaluate(tmp_path, LOCAL, passed=False)
        after = await route(server, EASY + "  # twice")

    assert after["model"] != LOCAL


async def test_an_expectation_without_measurements_is_marked_as_estimated(open_server: OpenServer, tmp_path: Path):
    async with open_server(Script()) as server:
        before = await route(server, EASY)
        await evaluate(tmp_path, LOCAL, passed=True)
        after = await route(server, EASY)

    assert (before["expected"]["is_estimated"], after["expected"]["is_estimated"]) == (True, False)


async def test_an_estimate_names_its_basis(open_server: OpenServer, tmp_path: Path):
    async with open_server(Script()) as server:
        before = await server.call("route_task", task=HARD, model="opus")
        of_role = await route(server, EASY)
        await evaluate(tmp_path, "claude-3-opus", passed=True, build=None)
        after = await server.call("route_task", task=HARD, model="opus")

    assert "(estimated from its role)" in of_role["reason"]
    assert "estimated_from" not in before["expected"]
    assert after["model"] == before["model"] == "claude-opus-5-5"
    assert after["expected"]["is_estimated"]
    assert after["expected"]["estimated_from"] == "claude-3-opus"
    assert after["expected"]["success"] > before["expected"]["success"]
