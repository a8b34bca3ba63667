"""What a delegation costs: within its caps, and by what its vendors counted, however it ends."""

import pytest
from house import OpenHouse, Script, fenced

from chargehand.evaluation.peers.reply import Reply

pytestmark = pytest.mark.anyio

DIRECTOR = "claude-opus-5-5"

TASK = "Write double(n), which doubles a number."
TESTS = "assert double(4) == 8"
RIGHT = Reply(fenced("def double(n):\n    return 2 * n"))
WRONG = Reply(fenced("def double(n):\n    return n ** 2"), thinking="x1 = y2 ; " * 4_400)


@pytest.mark.parametrize("is_of_the_day", [False, True], ids=["of the call", "of the day"])
async def test_thinking_that_a_repair_sends_back_counts_against_the_cap(
    open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch, is_of_the_day: bool
):
    cap_usd = 0.25
    if is_of_the_day:
        monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", str(cap_usd))

    async with open_house(Script({DIRECTOR: [WRONG, RIGHT]})) as house:
        cap = {} if is_of_the_day else {"max_cost_usd": cap_usd}
        receipt = await house.call("delegate_generation", task=TASK, tests=TESTS, model="opus", **cap)

    assert receipt["attempts"][0]["output_tokens"] > 11_000
    assert (receipt["status"], len(receipt["attempts"])) == ("over_budget", 1)
    assert receipt["cost_usd"] <= cap_usd
