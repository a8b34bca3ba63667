"""Repair, escalation and stopping after a failed attempt, by each candidate's expected benefit and cost."""

from pathlib import Path

import pytest
from rename_task import RENAME, RIGHT, STILL_WRONG, TESTS, WRONG
from running_server import OpenServer, Script, fenced

from chargehand.evaluation.peers.ollama import OllamaModel
from chargehand.evaluation.peers.reply import Ask, HttpFault, Reply
from chargehand.evaluation.peers.vendors import QWEN

pytestmark = pytest.mark.anyio

LOCAL, FAST, ECONOMY, VALIDATOR, DIRECTOR = (
    "qwen3:30b-a3b", "gpt-oss-120b", "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5",
)  # fmt: skip

HARD = "Write a hard distributed consensus resolver with backtracking double(n)."
VERY_HARD = (
    "Design and implement a thread-safe distributed LRU cache with TTL, sharding, async support, and crash recovery,"
    " and double(n)."
)


def all_fail(ask: Ask) -> Reply:
    """A wrong answer, different for each request."""
    return Reply(fenced(f"def double(count):\n    return count - {ask.index}"))


async def run_failing_cascade(open_server: OpenServer, **arguments) -> tuple[list[str], dict]:
    async with open_server(all_fail) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, **arguments)
    return [attempt["model"] for attempt in receipt["attempts"]], receipt


async def test_code_identical_to_an_earlier_attempt_is_not_repaired(open_server: OpenServer):
    script = Script(
        {LOCAL: [WRONG, STILL_WRONG], ECONOMY: [WRONG], FAST: [RIGHT], VALIDATOR: [RIGHT], DIRECTOR: [RIGHT]}
    )
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS)

    assert receipt["status"] == "succeeded"
    assert script.models[:3] == [LOCAL, LOCAL, ECONOMY]
    assert script.models.count(ECONOMY) == 1


@pytest.mark.parametrize("model", ["qwen3-30b-a3b", "claude-haiku-5-5"])
async def test_an_answer_with_half_a_character_is_sent_back_for_repair(open_server: OpenServer, model: str):
    half = Reply(fenced('double = "\ud83d"'), thinking="half of \ud83d")
    async with open_server(lambda ask: half if ask.index == 0 else RIGHT) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, model=model)

    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["failed_check", "passed"]


async def test_a_model_not_worth_its_cost_is_skipped_and_the_receipt_says_so(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_POLICY", "frugal")
    models, receipt = await run_failing_cascade(open_server, max_attempts=20)

    assert receipt["status"] == "failed"
    assert "claude-opus-5-5" not in models
    assert receipt["code"].startswith("def double(count):")
    assert any(note.startswith("Stopped: ") and "is not worth about" in note for note in receipt["notes"])


async def test_the_quality_policy_continues_where_frugal_stops(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
):
    asked: dict[str, list[str]] = {}
    for policy in ("frugal", "balanced", "quality"):
        monkeypatch.setenv("CHARGEHAND_POLICY", policy)
        asked[policy], _ = await run_failing_cascade(open_server, max_attempts=20)

    assert len(asked["frugal"]) <= len(asked["balanced"]) <= len(asked["quality"])
    assert "claude-opus-5-5" in asked["quality"]
    assert len(asked["frugal"]) < len(asked["quality"])


@pytest.mark.parametrize("policy", ["reference", "balanced", "frugal", "quality"])
async def test_each_model_gets_at_most_one_repair_directly_after_its_draft(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch, policy: str
):
    monkeypatch.setenv("CHARGEHAND_POLICY", policy)
    models, _ = await run_failing_cascade(open_server)

    assert 1 < len(models) <= 6
    for model in set(models):
        positions = [position for position, other in enumerate(models) if other == model]
        assert positions in ([positions[0]], [positions[0], positions[0] + 1])


@pytest.mark.parametrize("policy", ["reference", "balanced", "frugal", "quality"])
async def test_a_pinned_model_is_repaired_but_never_replaced_under_every_policy(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch, policy: str
):
    monkeypatch.setenv("CHARGEHAND_POLICY", policy)
    models, receipt = await run_failing_cascade(open_server, model="opus")

    assert receipt["status"] == "failed"
    assert models == ["claude-opus-5-5", "claude-opus-5-5"]


@pytest.mark.parametrize("policy", ["reference", "balanced", "frugal", "quality"])
async def test_local_only_uses_only_local_models_under_every_policy(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch, policy: str
):
    monkeypatch.setenv("CHARGEHAND_POLICY", policy)
    models, _ = await run_failing_cascade(open_server, local_only=True)

    assert set(models) == {"qwen3-30b-a3b"}


async def test_a_tiny_max_cost_usd_leaves_only_the_local_model_and_ends_over_budget(open_server: OpenServer):
    models, receipt = await run_failing_cascade(open_server, max_cost_usd=0.00001)

    assert set(models) == {"qwen3-30b-a3b"}
    assert receipt["status"] == "over_budget"
    assert receipt["cost_usd"] == 0
    (note,) = receipt["notes"]
    assert note.startswith("claude-haiku-5-5: not asked: expected to cost $0.000")
    assert note.endswith("more than max_cost_usd 0.00001. Raise it to have it asked.")


@pytest.mark.parametrize("policy", ["reference", "frugal", "quality"])
async def test_a_pinned_free_model_gets_its_repair_however_long_the_expected_wait(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch, policy: str
):
    monkeypatch.setenv("CHARGEHAND_POLICY", policy)
    async with open_server(Script({LOCAL: [WRONG, RIGHT]})) as server:
        receipt = await server.call(
            "delegate_generation", task=VERY_HARD, tests=TESTS, model="local", max_seconds=3600, wait_s=60
        )

    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["failed_check", "passed"]


async def test_a_skipped_repair_of_a_free_model_is_noted_with_its_expected_wait(open_server: OpenServer):
    async with open_server(all_fail, without=("ANTHROPIC_API_KEY", "CEREBRAS_API_KEY")) as server:
        receipt = await server.call("delegate_generation", task=VERY_HARD, tests=TESTS, max_seconds=3600, wait_s=60)

    assert receipt["status"] == "failed"
    assert len(receipt["attempts"]) == 1
    assert "qwen3-30b-a3b's repair is not worth waiting about" in receipt["notes"][-1]
    assert receipt["notes"][-1].endswith('model="qwen3-30b-a3b" asks it alone.')


async def test_another_model_of_the_same_role_is_named_but_not_asked(open_server: OpenServer):
    async with open_server(all_fail, installed=(), without=("ANTHROPIC_API_KEY",)) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS)

    assert {attempt["model"] for attempt in receipt["attempts"]} == {"gpt-oss-120b"}
    assert receipt["notes"][-1] == (
        'Stopped after 2 of 6 attempts: of each role one model is asked. model="qwen-3.8-27b" asks another.'
    )


async def test_a_code_block_that_was_never_closed_is_noted(open_server: OpenServer):
    unclosed = Reply("```python\ndef double(count):\n    return 2 * count\n")
    async with open_server(Script({LOCAL: [unclosed]})) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS)

    assert receipt["status"] == "succeeded"
    assert receipt["notes"] == ["qwen3-30b-a3b: its code block was never closed; the end may be missing."]


async def test_max_cost_usd_used_up_by_the_first_attempt_ends_the_task_over_budget(open_server: OpenServer):
    models, receipt = await run_failing_cascade(open_server, model="sonnet", max_cost_usd=0.005)

    assert models == ["claude-sonnet-5-5"]
    assert receipt["status"] == "over_budget"
    assert any("max_cost_usd 0.005" in note for note in receipt["notes"])


async def test_an_exhausted_daily_budget_leaves_the_local_model_and_is_noted_once(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", "0")
    models, receipt = await run_failing_cascade(open_server)

    assert models == ["qwen3-30b-a3b"] * 2
    assert receipt["status"] == "over_budget"
    (budget_note,) = [note for note in receipt["notes"] if "CHARGEHAND_DAILY_BUDGET_USD" in note]
    assert "more than the $0.0000 left of CHARGEHAND_DAILY_BUDGET_USD, which resets at 00:00 UTC" in budget_note
    assert "max_cost_usd" not in budget_note


@pytest.mark.parametrize("cap_usd", ["0", "0.001"])
async def test_a_free_model_is_asked_when_the_daily_budget_rules_out_stronger_ones(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch, cap_usd: str
):
    monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", cap_usd)
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        hard = {"task": HARD, "task_type": "architecture"}
        tested = await server.call("delegate_generation", **hard, tests=TESTS)
        untested = await server.call("delegate_generation", **hard)

    assert (tested["status"], tested["model"]) == ("succeeded", "qwen3-30b-a3b")
    assert [attempt["model"] for attempt in untested["attempts"]] == ["qwen3-30b-a3b"]
    assert any("CHARGEHAND_DAILY_BUDGET_USD" in note for note in untested["notes"])


async def test_a_repair_is_planned_with_the_daily_budget_left_after_the_failed_attempt(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", "0.25")
    costly = Reply(WRONG.text, thinking="Twice.", thinking_tokens=5_000)
    script = Script({VALIDATOR: [costly, RIGHT]})
    async with open_server(script) as server:
        receipt = await server.call(
            "delegate_generation", task=HARD, task_type="architecture", tests=TESTS, model="sonnet"
        )

    assert (receipt["status"], script.models) == ("over_budget", [VALIDATOR])
    (note,) = receipt["notes"]
    assert note == (
        "claude-sonnet-5-5: not asked: about $0.2430 is more than the $0.1995 left of CHARGEHAND_DAILY_BUDGET_USD,"
        " which resets at 00:00 UTC. Raise it to have it asked."
    )


async def test_an_unavailable_model_is_replaced_by_another_of_its_role(open_server: OpenServer):
    def answer_for(ask: Ask) -> Reply | HttpFault:
        if ask.model == "qwen-3.8-27b":
            return RIGHT
        return HttpFault(503, message="busy") if ask.model == FAST else WRONG

    async with open_server(answer_for, without=("ANTHROPIC_API_KEY",)) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS)

    assert receipt["status"] == "succeeded"
    assert [a["outcome"] for a in receipt["attempts"] if a["model"] == "gpt-oss-120b"] == ["rate_limited"]
    assert receipt["model"] == "qwen-3.8-27b"


def rate_limited(seconds: float) -> HttpFault:
    return HttpFault(429, headers={"retry-after": str(seconds)})


async def test_a_pinned_model_is_retried_after_a_short_retry_after(open_server: OpenServer):
    script = Script({ECONOMY: [rate_limited(0.01), WRONG, rate_limited(0.02), RIGHT]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, model="haiku")

    assert receipt["status"] == "succeeded"
    outcomes = [attempt["outcome"] for attempt in receipt["attempts"]]
    assert outcomes == ["rate_limited", "failed_check", "rate_limited", "passed"]


async def test_a_rate_limited_model_is_not_retried_when_another_can_be_asked(open_server: OpenServer):
    script = Script({LOCAL: [WRONG, STILL_WRONG], ECONOMY: [rate_limited(0.01)], VALIDATOR: [RIGHT], FAST: [RIGHT]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS)

    assert receipt["status"] == "succeeded"
    assert script.models.count(ECONOMY) <= 1


@pytest.mark.parametrize(("wait_s", "max_seconds"), [(3600, 300), (30, 20)])
async def test_a_retry_after_that_is_too_long_ends_the_task_after_one_attempt(
    open_server: OpenServer, wait_s: float, max_seconds: float
):
    script = Script({ECONOMY: [rate_limited(wait_s)]})
    async with open_server(script) as server:
        call = {"task": RENAME, "tests": TESTS, "model": "haiku", "max_seconds": max_seconds}
        receipt = await server.call("delegate_generation", **call)

    assert receipt["status"] == "failed"
    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["rate_limited"]


async def test_an_unusually_long_answer_is_doubted_and_another_model_is_asked(open_server: OpenServer):
    rambling = Reply("Let me think about this once more. " * 200 + fenced("def double(count):\n    return count ** 2"))
    others = {model: [RIGHT] for model in (FAST, ECONOMY, VALIDATOR, DIRECTOR)}
    script = Script({LOCAL: [RIGHT, RIGHT, RIGHT, rambling], **others})
    async with open_server(script) as server:
        for _ in range(3):
            usual = await server.call("delegate_generation", task=RENAME)
        doubted = await server.call("delegate_generation", task=RENAME)

    assert usual["status"] == "unverified"
    assert len(usual["attempts"]) == 1
    assert doubted["status"] == "unverified"
    assert [attempt["outcome"] for attempt in doubted["attempts"]] == ["unverified", "unverified"]
    assert doubted["model"] != "qwen3-30b-a3b"
    assert any("times what it usually takes" in note for note in doubted["notes"])


async def test_a_doubted_answer_is_returned_when_no_other_model_can_be_asked(open_server: OpenServer):
    rambling = Reply("Let me think about this once more. " * 200 + fenced("def double(count):\n    return count ** 2"))
    script = Script({LOCAL: [RIGHT, RIGHT, RIGHT, rambling]})
    async with open_server(script) as server:
        for _ in range(3):
            await server.call("delegate_generation", task=RENAME, local_only=True)
        doubted = await server.call("delegate_generation", task=RENAME, local_only=True)

    assert doubted["status"] == "unverified"
    assert doubted["code"] == "def double(count):\n    return count ** 2\n"
    assert any("times what it usually takes" in note for note in doubted["notes"])


@pytest.mark.parametrize(("outcome", "starts_local"), [("accepted", True), ("rejected", False)])
async def test_rejections_of_passed_answers_keep_the_next_task_off_the_local_model(
    open_server: OpenServer, outcome: str, starts_local: bool
):
    task = "Implement an algorithm that doubles the weights of a shortest path in a graph under concurrent updates"
    script = Script({model: [RIGHT] * 20 for model in (LOCAL, FAST, ECONOMY, VALIDATOR, DIRECTOR)})
    async with open_server(script) as server:
        for number in range(12):
            other = await server.call("delegate_generation", task=f"{RENAME} {number}", tests=TESTS, model="opus")
            await server.call("report_outcome", task_id=other["task_id"], outcome=outcome)
        receipt = await server.call("delegate_generation", task=task, tests=TESTS)

    assert (receipt["model"] == "qwen3-30b-a3b") is starts_local


async def test_a_url_that_contains_max_cost_usd_is_not_taken_for_a_spent_budget(
    open_server: OpenServer, tmp_path: Path
):
    profiles = tmp_path / "chargehand-home" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "own.yaml").write_text(
        "id: own\nname: Own\nprovider: openai_compatible\napi_model: own\nbase_url: http://127.0.0.1:9/max_cost_usd\n"
        "lifecycle: {status: active, source: my own server, seen: 2026-11-25}\n"
    )
    async with open_server(Script()) as server:
        receipt = await server.call("delegate_generation", task=RENAME, model="own")

    assert receipt["status"] == "failed"
    assert any("127.0.0.1:9/max_cost_usd" in note for note in receipt["notes"])


CODER = OllamaModel("qwen2.5-coder:32b", context_tokens=32_768, family="qwen2", digest="f" * 64)
KEYS = ("ANTHROPIC_API_KEY", "CEREBRAS_API_KEY")


@pytest.mark.parametrize("answers", [[Reply("I cannot do that, sorry.")], [Reply("")], [WRONG, STILL_WRONG]])
async def test_a_second_free_model_is_asked_after_the_first_fails(open_server: OpenServer, answers: list[Reply]):
    script = Script({LOCAL: answers, CODER.name: [RIGHT]})
    async with open_server(script, installed=(QWEN, CODER), without=KEYS) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, max_attempts=6, wait_s=60)

    assert receipt["status"] == "succeeded"
    assert script.models == [*[LOCAL] * len(answers), CODER.name]


async def test_the_receipt_says_why_the_cascade_stopped_before_max_attempts(open_server: OpenServer):
    script = Script({LOCAL: [Reply("")]})
    async with open_server(script, without=KEYS) as server:
        unpinned = await server.call("delegate_generation", task=RENAME, tests=TESTS, max_attempts=6, wait_s=60)
        pinned = await server.call("delegate_generation", task=RENAME, tests=TESTS, model="qwen3-30b-a3b", wait_s=60)

    assert unpinned["notes"][-1] == "Stopped after 1 of 6 attempts: no other model can be asked."
    assert pinned["notes"][-1].endswith('model="qwen3-30b-a3b" was named, so no other is asked.')
