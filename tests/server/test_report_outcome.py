"""report_outcome over MCP: the user's word, once however often it is said."""

import pytest
from house import OpenHouse, Script
from rename_task import RENAME, RIGHT

pytestmark = pytest.mark.anyio


async def test_a_good_word_raises_what_is_believed_and_a_bad_one_lowers_it(open_house: OpenHouse, era: str):
    async with open_house(Script({"qwen3:30b-a3b": [RIGHT]}), era=era) as house:
        first = await house.call("delegate_generation", task=RENAME)
        second = await house.call("delegate_generation", task=RENAME)
        good = await house.call("report_outcome", task_id=first["task_id"], outcome="accepted")
        bad = await house.call("report_outcome", task_id=second["task_id"], outcome="rejected", note="wrong sign")

    assert (good["model"], good["good"], good["bad"]) == ("qwen3-30b-a3b", 1, 0)
    assert (bad["good"], bad["bad"]) == (1, 1)
    assert good["expected_success"] > bad["expected_success"]


async def test_saying_it_again_changes_nothing(open_house: OpenHouse):
    async with open_house(Script({"qwen3:30b-a3b": [RIGHT]})) as house:
        receipt = await house.call("delegate_generation", task=RENAME)
        once = await house.call("report_outcome", task_id=receipt["task_id"], outcome="accepted")
        twice = await house.call("report_outcome", task_id=receipt["task_id"], outcome="accepted")

    assert once == twice


async def test_an_unknown_task_is_named(open_house: OpenHouse):
    async with open_house(Script()) as house:
        refusal = await house.refusal("report_outcome", task_id="f" * 32, outcome="accepted")

    assert "f" * 32 in refusal
