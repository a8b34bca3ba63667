"""report_outcome over MCP: an outcome changes the expected success, and counts once however often it is reported."""

import pytest
from rename_task import RENAME, RIGHT
from running_server import OpenServer, Script

pytestmark = pytest.mark.anyio


async def test_an_accepted_outcome_raises_expected_success_and_a_rejected_one_lowers_it(
    open_server: OpenServer, era: str
):
    async with open_server(Script({"qwen3:30b-a3b": [RIGHT]}), era=era) as server:
        first = await server.call("delegate_generation", task=RENAME)
        second = await server.call("delegate_generation", task=RENAME)
        good = await server.call("report_outcome", task_id=first["task_id"], outcome="accepted")
        bad = await server.call("report_outcome", task_id=second["task_id"], outcome="rejected", note="wrong sign")

    assert (good["model"], good["good"], good["bad"]) == ("qwen3-30b-a3b", 1, 0)
    assert (bad["good"], bad["bad"]) == (1, 1)
    assert good["expected_success"] > bad["expected_success"]


async def test_reporting_the_same_outcome_again_changes_nothing(open_server: OpenServer):
    async with open_server(Script({"qwen3:30b-a3b": [RIGHT]})) as server:
        receipt = await server.call("delegate_generation", task=RENAME)
        once = await server.call("report_outcome", task_id=receipt["task_id"], outcome="accepted")
        twice = await server.call("report_outcome", task_id=receipt["task_id"], outcome="accepted")

    assert once == twice


async def test_an_unknown_task_id_is_named(open_server: OpenServer):
    async with open_server(Script()) as server:
        refusal = await server.refusal("report_outcome", task_id="f" * 32, outcome="accepted")

    assert "f" * 32 in refusal
