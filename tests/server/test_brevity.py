"""The text of an answer stays short, and says how to get the rest."""

import pytest
from house import OpenHouse, Script, fenced, text_of

from chargehand.evaluation.peers.reply import Reply
from chargehand.server.surface.brevity import MAX_CHARACTERS, shortened

LONG = "\n".join(f"def f{number}(): return {number}" for number in range(900))


@pytest.mark.anyio
async def test_long_code_is_cut_in_the_text_whole_in_the_structure_and_whole_for_whoever_comes_back(
    open_house: OpenHouse, era: str
):
    async with open_house(Script({"qwen3:30b-a3b": [Reply(fenced(LONG))]}), era=era) as house:
        first = await house.client.call_tool("delegate_generation", {"task": "Write 900 functions", "model": "local"})
        receipt = first.structured_content or {}
        again = await house.client.call_tool("delegate_generation", {"resume": receipt["task_id"]})

    assert len(text_of(first)) < MAX_CHARACTERS + 400
    assert f'delegate_generation(resume="{receipt["task_id"]}")' in text_of(first).splitlines()[-1]
    assert receipt["code"].strip() == LONG
    assert LONG in text_of(again)


def test_a_text_that_fits_is_left_alone():
    assert shortened("x" * MAX_CHARACTERS, "more") == "x" * MAX_CHARACTERS


def test_a_cut_fence_is_closed_and_what_is_left_out_is_counted():
    text = "Head.\n```\n" + "abcdefghi\n" * 1_000 + "```"

    cut = shortened(text, "Ask again.")

    assert cut.count("```") == 2
    lines = 10_013 - len(cut.partition("\n```\n[")[0]) - 1
    assert cut.endswith(f"more line(s), {lines:,} characters, are left out here. Ask again.]")


def test_a_text_without_line_ends_is_cut_too():
    cut = shortened("x" * 20_000, "Ask again.")

    assert cut.startswith("x" * MAX_CHARACTERS + "\n[1 more line(s), 12,000 characters")


def test_a_long_fence_that_holds_a_short_one_is_closed_by_its_own_mark():
    text = "````\n```python\n" + "abcdefghi\n" * 1_000 + "```\n````"

    assert "\n````\n[" in shortened(text, "Ask again.")
