"""A delegation that wants to spend more than the user settled asks them first, in both eras."""

from pathlib import Path
from typing import Any

import pytest
from house import OpenHouse, Script, fenced, text_of
from mcp.types import CallToolResult, ElicitRequestParams, ElicitResult

from chargehand.evaluation.peers.reply import Reply

pytestmark = pytest.mark.anyio

RENAME = "Rename the variable n to count in this function: def double(n): return 2 * n"
RIGHT = Reply(fenced("def double(count):\n    return 2 * count"))
YES = ElicitResult(action="accept", content={"allow": True})


@pytest.fixture(autouse=True)
def _asked_above_half_a_dollar(tmp_path: Path) -> None:
    home = tmp_path / "chargehand-home"
    home.mkdir()
    (home / "config.toml").write_text("[budget]\nask_above_usd = 0.5\n")


class User:
    """Whoever sits before the host, and gives one answer to every question."""

    def __init__(self, answer: ElicitResult) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def __call__(self, _: object, params: ElicitRequestParams) -> ElicitResult:
        self.asked.append(params.message)
        return self.answer


async def delegate(
    open_house: OpenHouse, era: str, user: User | None, **arguments: Any
) -> tuple[CallToolResult, list[str]]:
    """The result, and which models were asked."""
    script = Script({"qwen3:30b-a3b": [RIGHT]})
    async with open_house(script, era=era, elicitation_callback=user) as house:
        result = await house.client.call_tool("delegate_generation", {"task": RENAME, **arguments})
    return result, script.models


async def test_the_user_is_asked_once_and_their_yes_is_enough(open_house: OpenHouse, era: str):
    user = User(YES)

    result, models = await delegate(open_house, era, user, max_cost_usd=2)

    assert user.asked == [
        "Your assistant wants Chargehand to spend up to $2 on one task. You settled to be asked above $0.5. Allow it?"
    ]
    assert not result.is_error
    assert models == ["qwen3:30b-a3b"]


@pytest.mark.parametrize(
    "answer",
    [
        ElicitResult(action="accept", content={"allow": False}),
        ElicitResult(action="decline"),
        ElicitResult(action="cancel"),
    ],
    ids=["no", "decline", "cancel"],
)
async def test_without_the_users_yes_nothing_is_spent(open_house: OpenHouse, era: str, answer: ElicitResult):
    result, models = await delegate(open_house, era, User(answer), max_cost_usd=2)

    assert result.is_error
    assert text_of(result).startswith("delegate_generation: max_cost_usd: the user does not allow 2. Give at most 0.5")
    assert models == []


async def test_where_the_host_cannot_ask_it_is_refused(open_house: OpenHouse, era: str):
    result, models = await delegate(open_house, era, None, max_cost_usd=2)

    assert result.is_error
    assert "2 is above [budget] ask_above_usd (0.5), and this host cannot ask its user" in text_of(result)
    assert models == []


@pytest.mark.parametrize("arguments", [{}, {"max_cost_usd": 0.5}, {"max_cost_usd": 0}])
async def test_what_stays_below_is_never_asked(open_house: OpenHouse, era: str, arguments: dict[str, Any]):
    user = User(YES)

    result, models = await delegate(open_house, era, user, **arguments)

    assert not result.is_error
    assert user.asked == []
    assert models == ["qwen3:30b-a3b"]


async def test_what_says_nothing_of_cost_may_spend_no_more_than_goes_unasked(open_house: OpenHouse, tmp_path: Path):
    (tmp_path / "chargehand-home" / "config.toml").write_text("[budget]\nask_above_usd = 0\n")

    result, models = await delegate(open_house, "auto", None, model="claude-haiku-5-5")

    receipt = result.structured_content or {}
    assert receipt["status"] == "over_budget"
    assert "with more, the user is asked" in receipt["notes"][-1]
    assert models == []
