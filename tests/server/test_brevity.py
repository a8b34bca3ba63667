"""The text of a result stays short and says how to get the rest."""

import pytest
from running_server import OpenServer, Script, fenced, text_of

from chargehand.evaluation.peers.reply import Reply
from chargehand.server.surface.brevity import MAX_CHARACTERS, shortened

LONG = "\n".join(f"def f{number}(): return {number}" for number in range(900))


@pytest.mark.anyio
async def test_long_code_is_clipped_in_the_text_but_whole_in_the_structure_and_on_resume(
    open_server: OpenServer, era: str
):
    async with open_server(Script({"qwen3:30b-a3b": [Reply(fenced(LONG))]}), era=era) as server:
        first = await server.client.call_tool("delegate_generation", {"task": "Write 900 functions", "model": "local"})
        receipt = first.structured_content or {}
        resumed = await server.client.call_tool("delegate_generation", {"resume": receipt["task_id"]})

    assert len(text_of(first)) < MAX_CHARACTERS + 400
    assert f'delegate_generation(resume="{receipt["task_id"]}")' in text_of(first).splitlines()[-1]
    assert receipt["code"].strip() == LONG
    assert LONG in text_of(resumed)


@pytest.mark.anyio
async def test_a_host_that_shows_its_model_the_structure_can_have_text_alone(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch, era: str
):
    monkeypatch.setenv("CHARGEHAND_RESULTS", "text")
    async with open_server(Script({"qwen3:30b-a3b": [Reply(fenced("ANSWER = 42"))]}), era=era) as server:
        tools = (await server.client.list_tools()).tools
        result = await server.client.call_tool("delegate_generation", {"task": "Write ANSWER", "model": "local"})

    assert [tool.output_schema for tool in tools] == [None] * len(tools)
    assert result.structured_content is None
    assert "ANSWER = 42" in text_of(result)


def test_a_text_within_the_limit_is_unchanged():
    assert shortened("x" * MAX_CHARACTERS, "more") == "x" * MAX_CHARACTERS


def test_a_clipped_fence_is_closed_and_the_omitted_text_is_counted():
    text = "Head.\n```\n" + "abcdefghi\n" * 1_000 + "```"

    clipped = shortened(text, "Ask again.")

    assert clipped.count("```") == 2
    lines = 10_013 - len(clipped.partition("\n```\n[")[0]) - 1
    assert clipped.endswith(f"more line(s), {lines:,} characters, are left out here. Ask again.]")


def test_a_text_without_line_breaks_is_clipped():
    clipped = shortened("x" * 20_000, "Ask again.")

    assert clipped.startswith("x" * MAX_CHARACTERS + "\n[1 more line(s), 12,000 characters")


def test_a_long_fence_that_holds_a_short_one_is_closed_by_its_own_mark():
    text = "````\n```python\n" + "abcdefghi\n" * 1_000 + "```\n````"

    assert "\n````\n[" in shortened(text, "Ask again.")
