"""Memory over MCP: failures and successes on similar tasks decide which model is asked next."""

import json
import os
import sys
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters
from rename_task import TESTS
from running_server import OpenServer, RunningServer, Script, fenced

from chargehand.evaluation.peers.reply import Ask, Reply
from chargehand.evaluation.peers.vendors import vendors

pytestmark = pytest.mark.anyio

LOCAL, ECONOMY = "qwen3:30b-a3b", "claude-haiku-5-5"

NAMES = ("tax rate", "mean price", "net weight", "page count", "user age", "total cost", "cell width", "frame time")


def similar_task(name: str) -> str:
    return f"Rename the variable n to {name.replace(' ', '_')} in the function double, which gives twice its argument"


def local_fails(ask: Ask) -> Reply:
    """The local model answers wrongly, each time differently; the economy model answers correctly."""
    if ask.model == LOCAL:
        return Reply(fenced(f"def double(count):\n    return count - {ask.index}"))
    return Reply(fenced("def double(count):\n    return 2 * count"))


async def learn(server: RunningServer, names: tuple[str, ...]) -> None:
    for name in names:
        receipt = await server.call("delegate_generation", task=similar_task(name), tests=TESTS)
        assert receipt["status"] == "succeeded"


async def test_after_repeated_failures_a_similar_task_goes_to_the_model_that_passed(
    open_server: OpenServer, era: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_POLICY", "reference")
    async with open_server(local_fails, era=era) as server:
        before = await server.call("route_task", task=similar_task("first"))
        await learn(server, NAMES[:6])
        after = await server.call("route_task", task=similar_task("last one"))
        other = await server.call("route_task", task="Fix the typo in the word recieve")

    assert (before["model"], before["source"]) == ("qwen3-30b-a3b", "rules")
    assert (after["model"], after["source"]) == ("claude-haiku-5-5", "memory")
    assert after["confidence"] > 0.8
    assert after["similar_tasks"] == 6
    assert after["expected"]["success"] > before["expected"]["success"]
    assert (other["model"], other["source"]) == ("qwen3-30b-a3b", "rules")


async def test_the_route_command_uses_the_same_memory_as_route_task(open_server: OpenServer):
    async with open_server(local_fails) as server:
        await learn(server, NAMES[:6])
        from_server = await server.call("route_task", task=similar_task("last one"))
        route = [sys.executable, "-m", "chargehand.server", "route", similar_task("last one"), "--json"]
        from_shell = json.loads((await anyio.run_process(route)).stdout)

    assert (from_shell["model"], from_shell["source"], from_shell["similar_tasks"]) == ("claude-haiku-5-5", "memory", 6)
    assert from_shell["confidence"] == pytest.approx(from_server["confidence"], abs=0.01)


async def test_three_successes_do_not_overrule_the_reference_policy(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_POLICY", "reference")
    async with open_server(local_fails) as server:
        await learn(server, NAMES[:3])
        decision = await server.call("route_task", task=similar_task("last one"))

    assert (decision["model"], decision["source"]) == ("qwen3-30b-a3b", "rules")
    assert decision["similar_tasks"] == 3


async def test_under_the_default_policy_three_successes_change_the_route(open_server: OpenServer):
    async with open_server(local_fails) as server:
        await learn(server, NAMES[:3])
        decision = await server.call("route_task", task=similar_task("last one"))

    assert (decision["model"], decision["source"]) == ("claude-haiku-5-5", "rules")


async def test_repeating_the_same_task_adds_no_evidence(open_server: OpenServer):
    async with open_server(local_fails) as server:
        await learn(server, NAMES[:1] * 7)
        decision = await server.call("route_task", task=similar_task(NAMES[0]))

    assert decision["source"] == "rules"
    assert decision["evidence"] == pytest.approx(1, abs=0.05)


async def test_a_reworded_task_is_routed_like_the_remembered_ones(open_server: OpenServer):
    reworded = (
        "Please could you rename the variable n to total_sum in the function double, which gives twice its argument?"
    )
    async with open_server(local_fails) as server:
        await learn(server, NAMES)
        decision = await server.call("route_task", task=reworded)

    assert (decision["model"], decision["source"]) == ("claude-haiku-5-5", "memory")


async def test_a_rejected_answer_counts_against_its_model(open_server: OpenServer):
    async with open_server(local_fails) as server:
        for name in NAMES[:6]:
            receipt = await server.call("delegate_generation", task=similar_task(name), tests=TESTS)
            await server.call("report_outcome", task_id=receipt["task_id"], outcome="rejected")
        decision = await server.call("route_task", task=similar_task("last one"))

    assert decision["source"] == "rules"


async def test_memory_never_overrules_a_pin_or_privacy(open_server: OpenServer):
    async with open_server(local_fails) as server:
        await learn(server, NAMES[:6])
        pinned = await server.call("route_task", task=similar_task("last one"), model="opus")
        private = await server.call("route_task", task=similar_task("last one"), local_only=True)

    assert pinned["source"] == "override"
    assert private["provider"] == "ollama"


async def test_outcomes_are_shared_between_running_servers_and_survive_a_restart(tmp_path: Path):
    async with vendors(local_fails) as peers:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CHARGEHAND_HOME": str(tmp_path / "data")}
        server = StdioServerParameters(
            command=sys.executable,
            args=["-m", "chargehand.server"],
            env=environment | peers.environment,
            cwd=tmp_path,
        )

        async def source_in(client: Client) -> str:
            decision = (await client.call_tool("route_task", {"task": similar_task("last one")})).structured_content
            return (decision or {})["source"]

        async with Client(server) as first, Client(server) as second:
            assert await source_when_warm(second) == "rules"
            for name in NAMES[:6]:
                await first.call_tool("delegate_generation", {"task": similar_task(name), "tests": TESTS})
            shared = await source_in(second)
        async with Client(server) as later:
            remembered = await source_when_warm(later)

    assert (shared, remembered) == ("memory", "memory")


async def source_when_warm(client: Client) -> str:
    """The source of a decision once memory has warmed up."""
    with anyio.fail_after(60):
        while True:
            result = await client.call_tool("route_task", {"task": similar_task("last one")})
            decision = result.structured_content or {}
            if not any("memory: warming" in warning for warning in decision["warnings"]):
                return decision["source"]


async def test_an_unavailable_embedder_leaves_routing_to_the_rules(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_EMBEDDER", "ollama:not-installed")
    right = Reply(fenced("def double(count):\n    return 2 * count"))
    async with open_server(Script({LOCAL: [right]})) as server:
        decision = await server.call("route_task", task=similar_task("x"))
        receipt = await server.call("delegate_generation", task=similar_task("x"), tests=TESTS)

    assert decision["source"] == "rules"
    assert any("ollama pull not-installed" in warning for warning in decision["warnings"])
    assert receipt["status"] == "succeeded"
