"""A call that wants to spend more than the user settled asks them first, in both eras."""

import re
from pathlib import Path
from typing import Any

import anyio
import pytest
from house import House, OpenHouse, Script, text_of
from mcp import MCPError
from mcp.types import INVALID_PARAMS, CallToolResult, ElicitRequestParams, ElicitResult, ErrorData, InputRequiredResult
from rename_task import RENAME, RIGHT

from chargehand.evaluation.peers.reply import Reply

pytestmark = pytest.mark.anyio

YES = ElicitResult(action="accept", content={"allow": True})


@pytest.fixture(autouse=True)
def _asked_above_half_a_dollar(tmp_path: Path) -> None:
    home = tmp_path / "chargehand-home"
    home.mkdir()
    (home / "config.toml").write_text("[budget]\nask_above_usd = 0.5\n")


class User:
    """Whoever sits before the host, and gives one answer to every question."""

    def __init__(self, answer: ElicitResult | ErrorData) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def __call__(self, _: object, params: ElicitRequestParams) -> ElicitResult | ErrorData:
        self.asked.append(params.message)
        return self.answer


async def delegate(open_house: OpenHouse, era: str, user: Any, **arguments: Any) -> tuple[CallToolResult, list[str]]:
    """The result, and which models were asked."""
    script = Script({"qwen3:30b-a3b": [RIGHT]})
    async with open_house(script, era=era, elicitation_callback=user) as house:
        result = await house.client.call_tool("delegate_generation", {"task": RENAME, **arguments})
    return result, script.models


async def test_the_user_is_asked_once_and_their_yes_is_enough(open_house: OpenHouse, era: str):
    user = User(YES)

    result, models = await delegate(open_house, era, user, max_cost_usd=2)

    assert user.asked == [
        "Your assistant wants Chargehand to spend up to $2 on one task. You asked to be consulted above $0.5. Allow it?"
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
    assert text_of(result).startswith("delegate_generation: max_cost_usd: the user declined 2. Give at most 0.5")
    assert models == []


async def test_where_the_host_cannot_ask_it_is_refused(open_house: OpenHouse, era: str):
    result, models = await delegate(open_house, era, None, max_cost_usd=2)

    assert result.is_error
    assert "2 is above [budget] ask_above_usd (0.5), and this host could not ask its user" in text_of(result)
    assert models == []


NO_ANSWERS = pytest.mark.parametrize(
    "answer",
    [ElicitResult(action="accept"), ElicitResult(action="accept", content={"allow": "perhaps"})],
    ids=["nothing", "another answer"],
)


@NO_ANSWERS
async def test_a_host_whose_answer_is_none_has_not_asked(open_house: OpenHouse, era: str, answer: ElicitResult):
    result, models = await delegate(open_house, era, User(answer), max_cost_usd=2)

    assert result.is_error
    assert "this host could not ask its user" in text_of(result)
    assert models == []


async def test_a_host_that_answers_with_an_error_has_not_asked(open_house: OpenHouse):
    result, models = await delegate(open_house, "legacy", User(ErrorData(code=-32601, message="no")), max_cost_usd=2)

    assert "this host could not ask its user" in text_of(result)
    assert models == []


async def test_a_user_who_does_not_answer_is_not_waited_for_longer_than_the_call_says(open_house: OpenHouse):
    async def silent(_: object, __: ElicitRequestParams) -> ElicitResult:
        await anyio.sleep_forever()

    result, models = await delegate(open_house, "legacy", silent, max_cost_usd=2, wait_s=0.1)

    assert "this host could not ask its user" in text_of(result)
    assert models == []


@pytest.mark.parametrize(("max_cost_usd", "told"), [(1.1, "$1.1"), (1.00001, "$1.0001")])
async def test_the_sum_that_is_asked_about_is_told_and_never_rounded_down_though_nobody_waits(
    open_house: OpenHouse, max_cost_usd: float, told: str
):
    user = User(YES)

    result, _ = await delegate(open_house, "legacy", user, max_cost_usd=max_cost_usd, wait_s=0)

    assert not result.is_error
    assert [f"up to {told} on one task" in question for question in user.asked] == [True]


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("config.toml", "[privacy]\nlocal_only = 3\n", "config.toml"),
        ("config.toml", '[usage]\nbaseline_model = "gone"\n', "'gone'"),
        ("ledger.sqlite3", "no ledger" * 500, "ledger.sqlite3"),
    ],
)
async def test_what_keeps_a_call_from_being_priced_is_told_by_the_call(
    open_house: OpenHouse, tmp_path: Path, file: str, content: str, says: str
):
    (tmp_path / "chargehand-home" / file).write_text(content)

    result, models = await delegate(open_house, "auto", User(YES), max_cost_usd=2)

    assert result.is_error
    assert says in text_of(result)
    assert models == []


@pytest.mark.parametrize("arguments", [{}, {"max_cost_usd": 0.5}, {"max_cost_usd": 0}])
async def test_what_stays_below_is_never_asked(open_house: OpenHouse, era: str, arguments: dict[str, Any]):
    user = User(YES)

    result, models = await delegate(open_house, era, user, **arguments)

    assert not result.is_error
    assert user.asked == []
    assert models == ["qwen3:30b-a3b"]


async def question_about(house: House, **arguments: Any) -> InputRequiredResult:
    asked = await house.client.session.call_tool(
        "delegate_generation", {"task": RENAME, **arguments}, allow_input_required=True
    )
    assert isinstance(asked, InputRequiredResult)
    return asked


async def answered(
    house: House, question: InputRequiredResult, state: str | None, **arguments: Any
) -> CallToolResult | InputRequiredResult:
    return await house.client.session.call_tool(
        "delegate_generation",
        {"task": RENAME, **arguments},
        input_responses=dict.fromkeys(question.input_requests or {}, YES),
        request_state=state,
        allow_input_required=True,
    )


async def test_a_yes_whose_seal_was_tampered_with_is_refused_and_nothing_is_spent(open_house: OpenHouse):
    script = Script({"qwen3:30b-a3b": [RIGHT]})
    async with open_house(script, era="2026-07-28", elicitation_callback=User(YES)) as house:
        question = await question_about(house, max_cost_usd=2)
        state = question.request_state or ""
        middle = len(state) // 2
        other = "A" if state[middle] != "A" else "B"

        with pytest.raises(MCPError) as refused:
            await answered(house, question, state[:middle] + other + state[middle + 1 :], max_cost_usd=2)

    assert refused.value.error.code == INVALID_PARAMS
    assert script.models == []


async def test_a_yes_to_one_sum_is_no_yes_to_a_greater_one(open_house: OpenHouse):
    script = Script({"qwen3:30b-a3b": [RIGHT]})
    async with open_house(script, era="2026-07-28", elicitation_callback=User(YES)) as house:
        question = await question_about(house, max_cost_usd=2)

        with pytest.raises(MCPError) as refused:
            await answered(house, question, question.request_state, max_cost_usd=200)

    assert refused.value.error.code == INVALID_PARAMS
    assert script.models == []


async def test_what_says_nothing_of_cost_may_spend_no_more_than_goes_unasked(open_house: OpenHouse, tmp_path: Path):
    (tmp_path / "chargehand-home" / "config.toml").write_text("[budget]\nask_above_usd = 0\n")

    result, models = await delegate(open_house, "auto", None, model="claude-haiku-5-5")

    receipt = result.structured_content or {}
    assert receipt["status"] == "over_budget"
    assert "for a higher limit the user is asked" in receipt["notes"][-1]
    assert models == []


CODE = "def double(count):\n    return 2 * count\n"
REVIEW = Reply('{"verdict": "pass", "findings": []}')
DIRECTION = Reply('{"verdict": "continue", "guidance": "Go on."}')

# A call that asks a senior model, that model, and what the user is told it is for.
SENIORS = pytest.mark.parametrize(
    ("tool", "arguments", "model", "purpose"),
    [
        ("validate_code", {"code": CODE, "depth": "review"}, "claude-sonnet-5-5", "a review of code"),
        ("validate_code", {"code": CODE}, "claude-sonnet-5-5", "a review of code"),
        ("strategic_review", {"goal": "Ship it", "progress": "Half"}, "claude-opus-5-5", "one strategic review"),
    ],
    ids=["validation", "validation by default", "strategic review"],
)


async def ask_a_senior(
    open_house: OpenHouse, era: str, user: User | None, tool: str, arguments: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """The answer, and which models were asked."""
    script = Script({"claude-sonnet-5-5": [REVIEW], "claude-opus-5-5": [DIRECTION]})
    async with open_house(script, era=era, installed=(), elicitation_callback=user) as house:
        answer = await house.call(tool, **arguments)
    return answer, script.models


@pytest.fixture
def asked_above_next_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "chargehand-home" / "config.toml").write_text("[budget]\nask_above_usd = 0.0001\n")


@SENIORS
async def test_a_senior_model_that_costs_more_than_goes_unasked_is_asked_once_the_user_allows_it(
    open_house: OpenHouse, asked_above_next_to_nothing: None, era: str, tool: str, arguments, model: str, purpose: str
):
    user = User(YES)

    answer, models = await ask_a_senior(open_house, era, user, tool, arguments)

    (question,) = user.asked
    told = re.fullmatch(
        rf"Your assistant wants Chargehand to spend up to \$(0\.\d+) on {purpose}\. You asked to be consulted above"
        r" \$0\.0001\. Allow it\?",
        question,
    )
    assert told, question
    assert (answer["status"], models) == ("done", [model])
    assert 0 < answer["cost_usd"] <= float(told[1])


async def test_the_user_is_asked_about_the_validation_of_a_delegated_answer(
    open_house: OpenHouse, asked_above_next_to_nothing: None
):
    user = User(YES)
    script = Script({"qwen3:30b-a3b": [RIGHT], "claude-sonnet-5-5": [REVIEW]})
    async with open_house(script, elicitation_callback=user) as house:
        receipt = await house.call("delegate_generation", task=RENAME)
        await house.call("validate_code", task_id=receipt["task_id"])

    assert (len(user.asked), script.models) == (1, ["qwen3:30b-a3b", "claude-sonnet-5-5"])


@SENIORS
async def test_without_the_users_yes_no_senior_model_is_paid(
    open_house: OpenHouse, asked_above_next_to_nothing: None, era: str, tool: str, arguments, model: str, purpose: str
):
    user = User(ElicitResult(action="decline"))

    answer, models = await ask_a_senior(open_house, era, user, tool, arguments)

    assert (len(user.asked), models) == (1, [])
    assert "The user was asked and declined." in answer["notes"]


@SENIORS
async def test_where_the_host_cannot_ask_no_senior_model_is_paid_and_the_reason_is_given(
    open_house: OpenHouse, asked_above_next_to_nothing: None, era: str, tool: str, arguments, model: str, purpose: str
):
    answer, models = await ask_a_senior(open_house, era, None, tool, arguments)

    assert answer["status"] == ("done" if arguments == {"code": CODE} else "over_budget")
    assert "and this host could not ask its user. Ask the user to raise [budget] ask_above_usd" in answer["notes"][-1]
    assert models == []


@NO_ANSWERS
async def test_no_senior_model_is_paid_after_an_answer_that_is_none(
    open_house: OpenHouse, asked_above_next_to_nothing: None, era: str, answer: ElicitResult
):
    told, models = await ask_a_senior(open_house, era, User(answer), "validate_code", {"code": CODE, "depth": "review"})

    assert told["status"] == "over_budget"
    assert "and this host could not ask its user" in told["notes"][-1]
    assert models == []


@SENIORS
async def test_a_senior_model_within_what_goes_unasked_is_asked_at_once(
    open_house: OpenHouse, era: str, tool: str, arguments, model: str, purpose: str
):
    user = User(YES)

    _, models = await ask_a_senior(open_house, era, user, tool, arguments)

    assert (user.asked, models) == ([], [model])


@pytest.mark.parametrize(
    "arguments", [{"code": "def double(:\n", "language": "python"}, {"code": CODE, "depth": "static"}]
)
async def test_a_validation_that_needs_no_senior_model_asks_nobody(
    open_house: OpenHouse, asked_above_next_to_nothing: None, era: str, arguments: dict[str, Any]
):
    user = User(YES)

    answer, models = await ask_a_senior(open_house, era, user, "validate_code", arguments)

    assert (user.asked, models) == ([], [])
    assert answer["verdict"] in ("pass", "fail")


async def test_the_choice_of_a_model_at_a_checkpoint_asks_nobody(
    open_house: OpenHouse, asked_above_next_to_nothing: None, era: str
):
    user = User(YES)

    answer, models = await ask_a_senior(
        open_house, era, user, "route_task", {"task": "Ship it", "checkpoint": "strategic"}
    )

    assert answer["source"] == "checkpoint"
    assert (user.asked, models) == ([], [])
