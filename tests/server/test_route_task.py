"""route_task over MCP: a decision that explains itself, and calls nobody."""

import pytest
from house import OpenHouse, Script

pytestmark = pytest.mark.anyio

TYPO = "Fix the typo in the word recieve"
SYSTEM = (
    "Design a distributed payment platform of five microservices with Kafka, sagas for consistency, multi-region"
    " failover, and a zero-downtime migration from the monolith"
)


async def test_an_easy_task_goes_to_the_local_model(open_house: OpenHouse, era: str):
    async with open_house(Script(), era=era) as house:
        decision = await house.call("route_task", task=TYPO)

    assert decision["model"] == "qwen3-30b-a3b"
    assert (decision["provider"], decision["api_model"]) == ("ollama", "qwen3:30b-a3b")
    assert (decision["role"], decision["source"]) == ("local", "rules")
    assert decision["complexity"]["score"] <= 2
    assert decision["expected"]["cost_usd"] == 0


@pytest.mark.parametrize("policy", ["reference", "balanced", "quality"])
async def test_a_design_of_several_services_goes_to_the_director(
    open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch, policy: str
):
    monkeypatch.setenv("CHARGEHAND_POLICY", policy)
    async with open_house(Script()) as house:
        decision = await house.call("route_task", task=SYSTEM)

    assert decision["complexity"]["score"] >= 8
    assert (decision["model"], decision["role"]) == ("claude-opus-5-5", "director")


async def test_complexity_is_the_sum_of_its_named_factors(open_house: OpenHouse):
    async with open_house(Script()) as house:
        complexity = (await house.call("route_task", task=SYSTEM))["complexity"]

    total = sum(factor["contribution"] for factor in complexity["factors"])
    assert complexity["score"] == pytest.approx(min(10, max(1, total)), abs=0.06)
    assert all(factor["name"] for factor in complexity["factors"])


@pytest.mark.parametrize(
    ("checkpoint", "model"), [("validation", "claude-sonnet-5-5"), ("strategic", "claude-opus-5-5")]
)
async def test_a_checkpoint_has_a_role_of_its_own(open_house: OpenHouse, checkpoint: str, model: str):
    async with open_house(Script()) as house:
        decision = await house.call("route_task", task=TYPO, checkpoint=checkpoint)

    assert (decision["model"], decision["source"]) == (model, "checkpoint")


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("haiku", "claude-haiku-5-5"),
        ("sonnet", "claude-sonnet-5-5"),
        ("opus", "claude-opus-5-5"),
        ("director", "claude-opus-5-5"),
        ("claude-haiku-5-5", "claude-haiku-5-5"),
        ("anthropic/claude-opus-5-5", "claude-opus-5-5"),
        ("local/qwen3-30b-a3b", "qwen3-30b-a3b"),
        ("qwen3:30b-a3b", "qwen3-30b-a3b"),
        ("cerebras/gpt-oss-120b", "gpt-oss-120b"),
    ],
)
async def test_a_named_model_is_the_callers_choice(open_house: OpenHouse, name: str, model: str):
    async with open_house(Script()) as house:
        decision = await house.call("route_task", task=TYPO, model=name)

    assert (decision["model"], decision["source"]) == (model, "override")


@pytest.mark.parametrize("policy", ["reference", "balanced", "quality"])
async def test_the_decision_says_why_not_another(open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch, policy: str):
    monkeypatch.setenv("CHARGEHAND_POLICY", policy)
    async with open_house(Script(), without=("ANTHROPIC_API_KEY",)) as house:
        decision = await house.call("route_task", task=TYPO, model="local")
        escalated = await house.call("route_task", task=SYSTEM)

    assert all(alternative["why_not"] for alternative in decision["alternatives"])
    assert escalated["source"] == "constraint"
    assert any("ANTHROPIC_API_KEY" in warning for warning in escalated["warnings"])


async def test_an_empty_memory_has_nothing_to_say(open_house: OpenHouse):
    async with open_house(Script()) as house:
        decision = await house.call("route_task", task=TYPO)

    assert (decision["similar_tasks"], decision["evidence"]) == (0, 0)
    assert decision["source"] == "rules"


async def test_local_only_stays_on_the_machine(open_house: OpenHouse):
    async with open_house(Script()) as house:
        decision = await house.call("route_task", task=SYSTEM, local_only=True)

    assert decision["provider"] == "ollama"


async def test_a_cap_on_cost_keeps_to_what_it_pays_for(open_house: OpenHouse):
    async with open_house(Script()) as house:
        decision = await house.call("route_task", task=SYSTEM, max_cost_usd=0.001)

    assert decision["expected"]["cost_usd"] <= 0.001
    assert any("max_cost_usd" in alternative["why_not"] for alternative in decision["alternatives"])


async def test_no_model_is_called(open_house: OpenHouse):
    script = Script()
    async with open_house(script) as house:
        await house.call("route_task", task=SYSTEM)
        paths = {exchange.path for exchange in house.vendors.ollama.journal.exchanges}
        cloud = [*house.vendors.anthropic.journal.exchanges, *house.vendors.cerebras.journal.exchanges]

    assert script.asked == []
    assert "/api/chat" not in paths
    assert cloud == []
