"""strategic_review over MCP: short guidance, a limited number of times per day."""

import json
import re

import pytest
from running_server import OpenServer, Script

from chargehand.evaluation.peers.reply import HttpFault, Reply
from chargehand.evaluation.peers.vendors import QWEN

pytestmark = pytest.mark.anyio

DIRECTOR = "claude-opus-5-5"


def direction(verdict: str, guidance: str, thinking_tokens: int = 300) -> Reply:
    return Reply(json.dumps({"verdict": verdict, "guidance": guidance}), thinking_tokens=thinking_tokens)


async def test_the_director_gets_goal_progress_question_and_files_and_gives_guidance(
    open_server: OpenServer, era: str, tmp_path
):
    script = Script({DIRECTOR: [direction("redirect", "Drop the cache; measure first.")]})
    async with open_server(script, era=era) as server:
        (tmp_path / "project" / "plan.md").write_text("# The plan\n")
        answer = await server.call(
            "strategic_review", goal="Halve latency", progress="Cache half built", question="Go on?",
            context_files=["plan.md"],
        )  # fmt: skip

    assert (answer["status"], answer["verdict"]) == ("done", "redirect")
    assert answer["guidance"] == "Drop the cache; measure first."
    assert answer["model"] == "claude-opus-5-5"
    assert answer["reviews_left"] == 19
    assert answer["output_tokens"] > 300
    prompt = "\n".join(text for _, text in script.asked[0].messages)
    assert all(text in prompt for text in ("Halve latency", "Cache half built", "Go on?", "# The plan"))


async def test_the_request_leaves_room_for_thinking_at_low_effort(open_server: OpenServer):
    script = Script({DIRECTOR: [direction("continue", "Go on.")]})
    async with open_server(script) as server:
        await server.call("strategic_review", goal="g", progress="p")

    body = script.asked[0].body
    assert body["max_tokens"] >= 4_000
    assert body["output_config"]["effort"] == "low"


async def test_long_guidance_is_clipped_at_a_sentence_with_a_note(open_server: OpenServer):
    long = "First measure where the time goes. " * 12
    async with open_server(Script({DIRECTOR: [direction("continue", long)]})) as server:
        answer = await server.call("strategic_review", goal="g", progress="p")

    assert answer["guidance"].endswith("goes.")
    assert len(answer["guidance"]) <= 160
    assert any("cut" in note for note in answer["notes"])


async def test_an_exhausted_daily_review_limit_is_refused_with_its_reset_time(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_REVIEWS_PER_DAY", "1")
    async with open_server(Script({DIRECTOR: [direction("continue", "Go on.")]})) as server:
        first = await server.call("strategic_review", goal="g", progress="p")
        refusal = await server.refusal("strategic_review", goal="g", progress="p")

    assert first["reviews_left"] == 0
    assert "00:00 UTC" in refusal
    assert "CHARGEHAND_REVIEWS_PER_DAY" in refusal


async def test_a_failed_review_does_not_count_against_the_limit(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_REVIEWS_PER_DAY", "1")
    async with open_server(Script({DIRECTOR: [HttpFault(529), direction("stop", "Stop.")]})) as server:
        refusal = await server.refusal("strategic_review", goal="g", progress="p")
        answer = await server.call("strategic_review", goal="g", progress="p")

    assert "claude-opus-5-5" in refusal
    assert "another model. Try again" in refusal
    assert answer["verdict"] == "stop"


async def test_a_rejected_key_is_reported_without_advice_to_retry(open_server: OpenServer):
    async with open_server(Script({DIRECTOR: [HttpFault(401)]})) as server:
        refusal = await server.refusal("strategic_review", goal="g", progress="p")

    assert "Correct ANTHROPIC_API_KEY" in refusal
    assert refusal.endswith("for a command there. Or go on without a review.")


async def test_an_unusable_reply_is_reported_with_its_cost(open_server: OpenServer):
    async with open_server(Script({DIRECTOR: [Reply("Carry on!")]})) as server:
        refusal = await server.refusal("strategic_review", goal="g", progress="p")

    assert re.search(r"not the JSON asked for\. It cost \$0\.\d+\. Try again", refusal)


async def test_a_local_only_review_without_a_local_model_is_refused(open_server: OpenServer):
    script = Script()
    async with open_server(script, installed=()) as server:
        answer = await server.call("strategic_review", goal="g", progress="p", local_only=True)

    assert (answer["status"], answer["reviews_left"]) == ("refused", 20)
    assert script.asked == []


async def test_a_review_above_the_daily_budget_is_over_budget_without_a_local_model(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", "0")
    async with open_server(Script(), installed=()) as server:
        answer = await server.call("strategic_review", goal="g", progress="p")

    assert (answer["status"], answer["reviews_left"]) == ("over_budget", 20)


async def test_a_review_that_the_rest_of_the_day_does_not_pay_for_is_refused_at_once(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", "0.04")
    script = Script({DIRECTOR: [direction("continue", "Go on.", thinking_tokens=1_000)]})
    async with open_server(script, installed=()) as server:
        first, second = [await server.call("strategic_review", goal="g", progress="p") for _ in range(2)]

    assert (first["status"], second["status"]) == ("done", "over_budget")
    assert any("is left of CHARGEHAND_DAILY_BUDGET_USD" in note for note in second["notes"])


async def test_a_review_above_the_daily_budget_falls_back_to_the_local_model(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", "0")
    script = Script({QWEN.name: [direction("continue", "Go on.")]})
    async with open_server(script) as server:
        answer = await server.call("strategic_review", goal="g", progress="p")

    assert (answer["status"], answer["model"], answer["reviews_left"]) == ("done", "qwen3-30b-a3b", 19)
    assert any(
        note.startswith("claude-opus-5-5: $0.0000 is left of CHARGEHAND_DAILY_BUDGET_USD") for note in answer["notes"]
    )


async def test_a_review_above_ask_above_usd_is_over_budget_without_a_request(open_server: OpenServer, tmp_path):
    home = tmp_path / "chargehand-home"
    home.mkdir()
    (home / "config.toml").write_text("[budget]\nask_above_usd = 0.0001\n")
    script = Script({DIRECTOR: [direction("continue", "Go on.")]})
    async with open_server(script) as server:
        answer = await server.call("strategic_review", goal="g", progress="p")

    assert (answer["status"], script.asked) == ("over_budget", [])
    assert "is left of [budget] ask_above_usd, too little" in answer["notes"][0]
