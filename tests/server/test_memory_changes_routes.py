"""Memory over MCP: what failed and what passed on similar tasks decides who is asked next."""

import json
import os
import sys
from pathlib import Path

import anyio
import pytest
from house import House, OpenHouse, Script, fenced
from mcp import Client, StdioServerParameters
from rename_task import TESTS

from chargehand.evaluation.peers.reply import Ask, Reply
from chargehand.evaluation.peers.vendors import vendors

pytestmark = pytest.mark.anyio

LOCAL, ECONOMY = "qwen3:30b-a3b", "claude-haiku-5-5"

NAMES = ("tax rate", "mean price", "net weight", "page count", "user age", "total cost", "cell width", "frame time")


def similar_task(name: str) -> str:
    return f"Rename the variable n to {name.replace(' ', '_')} in the function double, which gives twice its argument"


def local_fails(ask: Ask) -> Reply:
    """The local model gets it wrong, each time in another way; the economy model gets it right."""
    if ask.model == LOCAL:
        return Reply(fenced(f"def double(count):\n    return count - {ask.index}"))
    return Reply(fenced("def double(count):\n    return 2 * count"))


async def learn(house: House, names: tuple[str, ...]) -> None:
    for name in names:
        receipt = await house.call("delegate_generation", task=similar_task(name), tests=TESTS)
        assert receipt["status"] == "succeeded"


async def test_after_a_tier_keeps_failing_the_next_similar_task_goes_to_the_one_that_passed(
    open_house: OpenHouse, era: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_POLICY", "reference")
    async with open_house(local_fails, era=era) as house:
        before = await house.call("route_task", task=similar_task("first"))
        await learn(house, NAMES[:6])
        after = await house.call("route_task", task=similar_task("last one"))
        other = await house.call("route_task", task="Fix the typo in the word recieve")

    assert (before["model"], before["source"]) == ("qwen3-30b-a3b", "rules")
    assert (after["model"], after["source"]) == ("claude-haiku-5-5", "memory")
    assert after["confidence"] > 0.8
    assert after["similar_tasks"] == 6
    assert after["expected"]["success"] > before["expected"]["success"]
    assert (other["model"], other["source"]) == ("qwen3-30b-a3b", "rules")


async def test_the_shell_decides_by_the_same_memory(open_house: OpenHouse):
    async with open_house(local_fails) as house:
        await learn(house, NAMES[:6])
        asked = await house.call("route_task", task=similar_task("last one"))
        route = [sys.executable, "-m", "chargehand.server", "route", similar_task("last one"), "--json"]
        typed = json.loads((await anyio.run_process(route)).stdout)

    assert (typed["model"], typed["source"], typed["similar_tasks"]) == ("claude-haiku-5-5", "memory", 6)
    assert typed["confidence"] == pytest.approx(asked["confidence"], abs=0.01)


async def test_three_successes_are_not_enough_to_overrule_the_reference(
    open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_POLICY", "reference")
    async with open_house(local_fails) as house:
        await learn(house, NAMES[:3])
        decision = await house.call("route_task", task=similar_task("last one"))

    assert (decision["model"], decision["source"]) == ("qwen3-30b-a3b", "rules")
    assert decision["similar_tasks"] == 3


async def test_a_plan_takes_them_for_what_they_are_worth(open_house: OpenHouse):
    async with open_house(local_fails) as house:
        await learn(house, NAMES[:3])
        decision = await house.call("route_task", task=similar_task("last one"))

    assert (decision["model"], decision["source"]) == ("claude-haiku-5-5", "rules")


async def test_the_same_task_again_is_no_new_evidence(open_house: OpenHouse):
    async with open_house(local_fails) as house:
        await learn(house, NAMES[:1] * 7)
        decision = await house.call("route_task", task=similar_task(NAMES[0]))

    assert decision["source"] == "rules"
    assert decision["evidence"] == pytest.approx(1, abs=0.05)


async def test_a_reworded_task_goes_the_same_way(open_house: OpenHouse):
    reworded = (
        "Please could you rename the variable n to total_sum in the function double, which gives twice its argument?"
    )
    async with open_house(local_fails) as house:
        await learn(house, NAMES)
        decision = await house.call("route_task", task=reworded)

    assert (decision["model"], decision["source"]) == ("claude-haiku-5-5", "memory")


async def test_a_rejected_answer_counts_against_its_model(open_house: OpenHouse):
    async with open_house(local_fails) as house:
        for name in NAMES[:6]:
            receipt = await house.call("delegate_generation", task=similar_task(name), tests=TESTS)
            await house.call("report_outcome", task_id=receipt["task_id"], outcome="rejected")
        decision = await house.call("route_task", task=similar_task("last one"))

    assert decision["source"] == "rules"


async def test_memory_never_overrules_a_pin_or_privacy(open_house: OpenHouse):
    async with open_house(local_fails) as house:
        await learn(house, NAMES[:6])
        pinned = await house.call("route_task", task=similar_task("last one"), model="opus")
        private = await house.call("route_task", task=similar_task("last one"), local_only=True)

    assert pinned["source"] == "override"
    assert private["provider"] == "ollama"


async def test_what_one_process_learns_another_knows_at_once_and_after_a_restart(tmp_path: Path):
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

        async with Client(server) as one, Client(server) as other:
            assert await settled(other) == "rules"
            for name in NAMES[:6]:
                await one.call_tool("delegate_generation", {"task": similar_task(name), "tests": TESTS})
            learnt = await source_in(other)
        async with Client(server) as later:
            remembered = await settled(later)

    assert (learnt, remembered) == ("memory", "memory")


async def settled(client: Client) -> str:
    """The source of a decision once memory has answered."""
    with anyio.fail_after(30):
        while True:
            result = await client.call_tool("route_task", {"task": similar_task("last one")})
            decision = result.structured_content or {}
            if not any("memory: warming" in warning for warning in decision["warnings"]):
                return decision["source"]


async def test_an_embedder_that_does_not_answer_leaves_the_rules_in_charge(
    open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_EMBEDDER", "ollama:not-installed")
    right = Reply(fenced("def double(count):\n    return 2 * count"))
    async with open_house(Script({LOCAL: [right]})) as house:
        decision = await house.call("route_task", task=similar_task("x"))
        receipt = await house.call("delegate_generation", task=similar_task("x"), tests=TESTS)

    assert decision["source"] == "rules"
    assert any("ollama pull not-installed" in warning for warning in decision["warnings"])
    assert receipt["status"] == "succeeded"
