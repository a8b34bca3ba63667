"""route_task over MCP: a decision with its reasons, made without calling a model."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from running_server import OpenServer, Script, fenced

from chargehand.evaluation.peers.reply import Reply
from chargehand.evaluation.peers.vendors import QWEN

pytestmark = pytest.mark.anyio

TYPO = "Fix the typo in the word recieve"
CLASS = "Write a class LRUCache with ttl, eviction and thread safety."
SYSTEM = (
    "Design a distributed payment platform of five microservices with Kafka, sagas for consistency, multi-region"
    " failover, and a zero-downtime migration from the monolith"
)


async def test_an_easy_task_goes_to_the_local_model(open_server: OpenServer, era: str):
    async with open_server(Script(), era=era) as server:
        decision = await server.call("route_task", task=TYPO)

    assert decision["model"] == "qwen3-30b-a3b"
    assert (decision["provider"], decision["api_model"]) == ("ollama", "qwen3:30b-a3b")
    assert (decision["role"], decision["source"]) == ("local", "rules")
    assert decision["complexity"]["score"] <= 2
    assert decision["expected"]["cost_usd"] == 0


async def test_another_build_of_a_local_model_is_chosen_with_its_own_name(open_server: OpenServer):
    build = replace(QWEN, name="qwen3:30b-a3b-mlx")
    script = Script({build.name: [Reply(fenced("spelling = 'receive'"))]})
    async with open_server(script, installed=(build,)) as server:
        decision = await server.call("route_task", task=TYPO)
        receipt = await server.call("delegate_generation", task=TYPO, model=decision["model"])

    assert (decision["model"], decision["api_model"]) == ("qwen3-30b-a3b", build.name)
    assert (receipt["model"], script.models) == ("qwen3-30b-a3b", [build.name])


@pytest.mark.parametrize("policy", ["reference", "balanced", "quality"])
async def test_a_multi_service_design_goes_to_the_director(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch, policy: str
):
    monkeypatch.setenv("CHARGEHAND_POLICY", policy)
    async with open_server(Script()) as server:
        decision = await server.call("route_task", task=SYSTEM)

    assert decision["complexity"]["score"] >= 8
    assert (decision["model"], decision["role"]) == ("claude-opus-5-5", "director")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("id: claude-haiku-5-5\nprice: [sk-canary\n", "line 3 is not YAML"),
        ("id: claude-haiku-5-5\nprice: sk-canary\n", "its price is wrong"),
        ("id: claude-haiku-5-5\nsk-canary: 1\n", "it has a field that is unknown"),
        ("sk-canary", "it holds no fields"),
        ("price: {}\n", "it has no id"),
    ],
)
async def test_an_invalid_user_profile_is_reported_without_its_content(
    open_server: OpenServer, content: str, fault: str
):
    folder = Path(os.environ["CHARGEHAND_HOME"]) / "profiles"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(content)
    expected = f"profiles/mine.yaml is not in force: {fault}; `chargehand doctor` says more."

    async with open_server(lambda _: Reply(fenced("count = 1"))) as server:
        decision = await server.call("route_task", task=TYPO)
        receipt = await server.call("delegate_generation", task=TYPO, max_attempts=1)

    assert [warning for warning in decision["warnings"] if "mine.yaml" in warning] == [expected]
    assert [note for note in receipt["notes"] if "mine.yaml" in note] == [expected]
    assert "sk-canary" not in str(decision) + str(receipt)


async def test_validation_and_review_notes_name_an_invalid_user_profile(open_server: OpenServer):
    folder = Path(os.environ["CHARGEHAND_HOME"]) / "profiles"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("price: {}\n")
    expected = "profiles/mine.yaml is not in force: it has no id; `chargehand doctor` says more."

    async with open_server(lambda _: Reply('{"verdict": "continue", "guidance": "Go on."}')) as server:
        validated = await server.call("validate_code", code="count = 1\n")
        reviewed = await server.call("strategic_review", goal="Halve latency", progress="Begun")
        refused = await server.call("strategic_review", goal="Halve latency", progress="Begun", local_only=True)

    for answer in (validated, reviewed, refused):
        assert [note for note in answer["notes"] if "mine.yaml" in note] == [expected]


async def test_only_the_first_three_invalid_user_profiles_are_named(open_server: OpenServer):
    folder = Path(os.environ["CHARGEHAND_HOME"]) / "profiles"
    folder.mkdir(parents=True)
    for number in range(5):
        (folder / f"{number}.yaml").write_text("mine")

    async with open_server(Script()) as server:
        warnings = (await server.call("route_task", task=TYPO))["warnings"]

    (summary,) = (warning for warning in warnings if "not in force" in warning)
    assert "2.yaml" in summary
    assert summary.endswith("; nor are 2 others; `chargehand doctor` says more.")


async def test_complexity_is_the_sum_of_its_named_factors(open_server: OpenServer):
    async with open_server(Script()) as server:
        complexity = (await server.call("route_task", task=SYSTEM))["complexity"]

    total = sum(factor["contribution"] for factor in complexity["factors"])
    assert complexity["score"] == pytest.approx(min(10, max(1, total)), abs=0.06)
    assert all(factor["name"] for factor in complexity["factors"])


@pytest.mark.parametrize(
    ("checkpoint", "model"), [("validation", "claude-sonnet-5-5"), ("strategic", "claude-opus-5-5")]
)
async def test_each_checkpoint_selects_the_model_of_its_role(open_server: OpenServer, checkpoint: str, model: str):
    async with open_server(Script()) as server:
        decision = await server.call("route_task", task=TYPO, checkpoint=checkpoint)

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
async def test_a_model_named_by_the_caller_overrides_routing(open_server: OpenServer, name: str, model: str):
    async with open_server(Script()) as server:
        decision = await server.call("route_task", task=TYPO, model=name)

    assert (decision["model"], decision["source"]) == (model, "override")


@pytest.mark.parametrize("policy", ["reference", "balanced", "quality"])
async def test_a_decision_explains_rejected_alternatives_and_missing_keys(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch, policy: str
):
    monkeypatch.setenv("CHARGEHAND_POLICY", policy)
    async with open_server(Script(), without=("ANTHROPIC_API_KEY",)) as server:
        decision = await server.call("route_task", task=TYPO, model="local")
        escalated = await server.call("route_task", task=SYSTEM)

    assert all(alternative["why_not"] for alternative in decision["alternatives"])
    assert escalated["source"] == "constraint"
    assert any("ANTHROPIC_API_KEY" in warning for warning in escalated["warnings"])


async def test_with_an_empty_memory_the_decision_follows_the_rules(open_server: OpenServer):
    async with open_server(Script()) as server:
        decision = await server.call("route_task", task=TYPO)

    assert (decision["similar_tasks"], decision["evidence"]) == (0, 0)
    assert decision["source"] == "rules"


async def test_local_only_routes_to_a_local_provider(open_server: OpenServer):
    async with open_server(Script()) as server:
        decision = await server.call("route_task", task=SYSTEM, local_only=True)

    assert decision["provider"] == "ollama"


async def test_max_cost_usd_excludes_models_that_cost_more(open_server: OpenServer):
    async with open_server(Script()) as server:
        decision = await server.call("route_task", task=SYSTEM, max_cost_usd=0.001)

    assert decision["expected"]["cost_usd"] <= 0.001
    assert any("max_cost_usd" in alternative["why_not"] for alternative in decision["alternatives"])


async def test_routing_calls_no_model(open_server: OpenServer):
    script = Script()
    async with open_server(script) as server:
        await server.call("route_task", task=SYSTEM)
        paths = {exchange.path for exchange in server.vendors.ollama.journal.exchanges}
        cloud = [*server.vendors.anthropic.journal.exchanges, *server.vendors.cerebras.journal.exchanges]

    assert script.asked == []
    assert "/api/chat" not in paths
    assert cloud == []


@pytest.mark.parametrize("policy", ["reference", "balanced", "quality"])
async def test_a_zero_daily_budget_routes_to_a_free_model_with_a_warning(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch, policy: str
):
    monkeypatch.setenv("CHARGEHAND_POLICY", policy)
    monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", "0")
    async with open_server(Script()) as server:
        decisions = [await server.call("route_task", task=task) for task in (SYSTEM, CLASS)]

    assert [decision["model"] for decision in decisions] == ["qwen3-30b-a3b"] * 2
    for decision in decisions:
        assert "left of CHARGEHAND_DAILY_BUDGET_USD, which resets at 00:00 UTC" in " ".join(decision["warnings"])


async def test_money_spent_today_limits_the_next_decision(open_server: OpenServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", "0.5")
    expensive_reply = Reply(fenced("def double(n):\n    return 2 * n"), thinking="Twice.", thinking_tokens=5_000)
    async with open_server(Script({"claude-opus-5-5": [expensive_reply]})) as server:
        before = await server.call("route_task", task=SYSTEM)
        await server.call("delegate_generation", task="Write double(n).", model="opus")
        after = await server.call("route_task", task=SYSTEM)

    assert before["model"] == "claude-opus-5-5"
    assert after["model"] != "claude-opus-5-5"
    assert any("claude-opus-5-5" in text and "CHARGEHAND_DAILY_BUDGET_USD" in text for text in after["warnings"])
