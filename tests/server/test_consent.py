"""A call that may spend more than `ask_above_usd` asks the user first, in both protocol eras."""

import re
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import MCPError
from mcp.types import INVALID_PARAMS, CallToolResult, ElicitRequestParams, ElicitResult, ErrorData, InputRequiredResult
from rename_task import RENAME, RIGHT
from running_server import OpenServer, RunningServer, Script, text_of

from chargehand.evaluation.peers.reply import Reply

pytestmark = pytest.mark.anyio

YES = ElicitResult(action="accept", content={"allow": True})


@pytest.fixture(autouse=True)
def _ask_above_half_a_dollar(tmp_path: Path) -> None:
    home = tmp_path / "chargehand-home"
    home.mkdir()
    (home / "config.toml").write_text("[budget]\nask_above_usd = 0.5\n")


class User:
    """A user at the host who gives the same answer to every question."""

    def __init__(self, answer: ElicitResult | ErrorData) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.form: dict[str, Any] = {}
        """The schema of the last question."""

    async def __call__(self, _: object, params: ElicitRequestParams) -> ElicitResult | ErrorData:
        self.asked.append(params.message)
        self.form = getattr(params, "requested_schema", {})
        return self.answer


async def delegate(open_server: OpenServer, era: str, user: Any, **arguments: Any) -> tuple[CallToolResult, list[str]]:
    """The result, and the models that were asked."""
    script = Script({"qwen3:30b-a3b": [RIGHT]})
    async with open_server(script, era=era, elicitation_callback=user) as server:
        result = await server.client.call_tool("delegate_generation", {"task": RENAME, **arguments})
    return result, script.models


async def test_the_user_is_asked_once_and_a_yes_allows_the_call(open_server: OpenServer, era: str):
    user = User(YES)

    result, models = await delegate(open_server, era, user, max_cost_usd=2)

    assert user.asked == [
        "Your assistant wants Chargehand to spend up to $2 on one task. You asked to be consulted above $0.5. Allow it?"
    ]
    assert user.form["properties"]["allow"]["default"] is True, "in a form, accepting alone would not be enough"
    assert user.form["required"] == ["allow"]
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
async def test_without_the_users_consent_no_model_is_asked(open_server: OpenServer, era: str, answer: ElicitResult):
    result, models = await delegate(open_server, era, User(answer), max_cost_usd=2)

    assert result.is_error
    assert text_of(result).startswith(
        "delegate_generation: max_cost_usd: 2 was not allowed. The user declined, or the host"
    )
    assert "Give at most 0.5, do it yourself, or ask the user to raise [budget] ask_above_usd" in text_of(result)
    assert models == []


async def test_the_call_is_refused_when_the_host_cannot_ask_its_user(open_server: OpenServer, era: str):
    result, models = await delegate(open_server, era, None, max_cost_usd=2)

    assert result.is_error
    assert "2 is above [budget] ask_above_usd (0.5), and this host could not ask its user" in text_of(result)
    assert models == []


INVALID_ANSWERS = pytest.mark.parametrize(
    "answer",
    [ElicitResult(action="accept"), ElicitResult(action="accept", content={"allow": "perhaps"})],
    ids=["nothing", "another answer"],
)


@INVALID_ANSWERS
async def test_an_invalid_answer_of_the_host_counts_as_not_asked(
    open_server: OpenServer, era: str, answer: ElicitResult
):
    result, models = await delegate(open_server, era, User(answer), max_cost_usd=2)

    assert result.is_error
    assert "this host could not ask its user" in text_of(result)
    assert models == []


async def test_an_error_from_the_host_counts_as_not_asked(open_server: OpenServer):
    result, models = await delegate(open_server, "legacy", User(ErrorData(code=-32601, message="no")), max_cost_usd=2)

    assert "this host could not ask its user" in text_of(result)
    assert models == []


async def test_an_unanswered_question_times_out_after_wait_s(open_server: OpenServer):
    async def never_answers(_: object, __: ElicitRequestParams) -> ElicitResult:
        await anyio.sleep_forever()

    result, models = await delegate(open_server, "legacy", never_answers, max_cost_usd=2, wait_s=0.1)

    assert "this host could not ask its user" in text_of(result)
    assert models == []


@pytest.mark.parametrize(("max_cost_usd", "amount"), [(1.1, "$1.1"), (1.00001, "$1.0001")])
async def test_the_question_states_the_sum_never_rounded_down_even_with_wait_s_0(
    open_server: OpenServer, max_cost_usd: float, amount: str
):
    user = User(YES)

    result, _ = await delegate(open_server, "legacy", user, max_cost_usd=max_cost_usd, wait_s=0)

    assert not result.is_error
    assert [f"up to {amount} on one task" in question for question in user.asked] == [True]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.toml", "[privacy]\nlocal_only = 3\n", "config.toml"),
        ("config.toml", '[usage]\nbaseline_model = "gone"\n', "'gone'"),
        ("ledger.sqlite3", "no ledger" * 500, "ledger.sqlite3"),
    ],
)
async def test_an_error_that_prevents_pricing_is_returned_by_the_call(
    open_server: OpenServer, tmp_path: Path, file: str, content: str, message: str
):
    (tmp_path / "chargehand-home" / file).write_text(content)

    result, models = await delegate(open_server, "auto", User(YES), max_cost_usd=2)

    assert result.is_error
    assert message in text_of(result)
    assert models == []


@pytest.mark.parametrize("arguments", [{}, {"max_cost_usd": 0.5}, {"max_cost_usd": 0}])
async def test_a_call_within_ask_above_usd_asks_no_question(
    open_server: OpenServer, era: str, arguments: dict[str, Any]
):
    user = User(YES)

    result, models = await delegate(open_server, era, user, **arguments)

    assert not result.is_error
    assert user.asked == []
    assert models == ["qwen3:30b-a3b"]


async def request_question(server: RunningServer, **arguments: Any) -> InputRequiredResult:
    result = await server.client.session.call_tool(
        "delegate_generation", {"task": RENAME, **arguments}, allow_input_required=True
    )
    assert isinstance(result, InputRequiredResult)
    return result


async def send_answer(
    server: RunningServer, question: InputRequiredResult, state: str | None, **arguments: Any
) -> CallToolResult | InputRequiredResult:
    return await server.client.session.call_tool(
        "delegate_generation",
        {"task": RENAME, **arguments},
        input_responses=dict.fromkeys(question.input_requests or {}, YES),
        request_state=state,
        allow_input_required=True,
    )


async def test_a_yes_with_a_tampered_request_state_is_refused(open_server: OpenServer):
    script = Script({"qwen3:30b-a3b": [RIGHT]})
    async with open_server(script, era="2026-07-28", elicitation_callback=User(YES)) as server:
        question = await request_question(server, max_cost_usd=2)
        state = question.request_state or ""
        middle = len(state) // 2
        other = "A" if state[middle] != "A" else "B"

        with pytest.raises(MCPError) as refused:
            await send_answer(server, question, state[:middle] + other + state[middle + 1 :], max_cost_usd=2)

    assert refused.value.error.code == INVALID_PARAMS
    assert script.models == []


async def test_consent_to_one_sum_does_not_cover_a_greater_one(open_server: OpenServer):
    script = Script({"qwen3:30b-a3b": [RIGHT]})
    async with open_server(script, era="2026-07-28", elicitation_callback=User(YES)) as server:
        question = await request_question(server, max_cost_usd=2)

        with pytest.raises(MCPError) as refused:
            await send_answer(server, question, question.request_state, max_cost_usd=200)

    assert refused.value.error.code == INVALID_PARAMS
    assert script.models == []


async def test_a_call_without_max_cost_usd_may_spend_at_most_ask_above_usd(open_server: OpenServer, tmp_path: Path):
    (tmp_path / "chargehand-home" / "config.toml").write_text("[budget]\nask_above_usd = 0\n")

    result, models = await delegate(open_server, "auto", None, model="claude-haiku-5-5")

    receipt = result.structured_content or {}
    assert receipt["status"] == "over_budget"
    assert "for a higher limit the user is asked" in receipt["notes"][-1]
    assert models == []


CODE = "def double(count):\n    return 2 * count\n"
REVIEW = Reply('{"verdict": "pass", "findings": []}')
DIRECTION = Reply('{"verdict": "continue", "guidance": "Go on."}')

# Calls that use a senior model: the tool, its arguments, the model, and the purpose named to the user.
SENIOR_CALLS = pytest.mark.parametrize(
    ("tool", "arguments", "model", "purpose"),
    [
        ("validate_code", {"code": CODE, "depth": "review"}, "claude-sonnet-5-5", "a review of code"),
        ("validate_code", {"code": CODE}, "claude-sonnet-5-5", "a review of code"),
        ("strategic_review", {"goal": "Ship it", "progress": "Half"}, "claude-opus-5-5", "one strategic review"),
    ],
    ids=["validation", "validation by default", "strategic review"],
)


async def ask_a_senior(
    open_server: OpenServer, era: str, user: User | None, tool: str, arguments: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """The answer, and the models that were asked."""
    script = Script({"claude-sonnet-5-5": [REVIEW], "claude-opus-5-5": [DIRECTION]})
    async with open_server(script, era=era, installed=(), elicitation_callback=user) as server:
        answer = await server.call(tool, **arguments)
    return answer, script.models


@pytest.fixture
def ask_above_almost_nothing(tmp_path: Path) -> None:
    (tmp_path / "chargehand-home" / "config.toml").write_text("[budget]\nask_above_usd = 0.0001\n")


@SENIOR_CALLS
async def test_a_senior_model_above_ask_above_usd_is_used_once_the_user_consents(
    open_server: OpenServer, ask_above_almost_nothing: None, era: str, tool: str, arguments, model: str, purpose: str
):
    user = User(YES)

    answer, models = await ask_a_senior(open_server, era, user, tool, arguments)

    (question,) = user.asked
    match = re.fullmatch(
        rf"Your assistant wants Chargehand to spend up to \$(0\.\d+) on {purpose}\. You asked to be consulted above"
        r" \$0\.0001\. Allow it\?",
        question,
    )
    assert match, question
    assert (answer["status"], models) == ("done", [model])
    assert 0 < answer["cost_usd"] <= float(match[1])


async def test_the_user_is_asked_about_the_validation_of_a_delegated_answer(
    open_server: OpenServer, ask_above_almost_nothing: None
):
    user = User(YES)
    script = Script({"qwen3:30b-a3b": [RIGHT], "claude-sonnet-5-5": [REVIEW]})
    async with open_server(script, elicitation_callback=user) as server:
        receipt = await server.call("delegate_generation", task=RENAME)
        await server.call("validate_code", task_id=receipt["task_id"])

    assert (len(user.asked), script.models) == (1, ["qwen3:30b-a3b", "claude-sonnet-5-5"])


@SENIOR_CALLS
async def test_without_the_users_consent_no_senior_model_is_used(
    open_server: OpenServer, ask_above_almost_nothing: None, era: str, tool: str, arguments, model: str, purpose: str
):
    user = User(ElicitResult(action="decline"))

    answer, models = await ask_a_senior(open_server, era, user, tool, arguments)

    assert (len(user.asked), models) == (1, [])
    assert any(note.startswith("The user declined, or the host declined for them") for note in answer["notes"])


@SENIOR_CALLS
async def test_no_senior_model_is_used_when_the_host_cannot_ask_and_the_reason_is_given(
    open_server: OpenServer, ask_above_almost_nothing: None, era: str, tool: str, arguments, model: str, purpose: str
):
    answer, models = await ask_a_senior(open_server, era, None, tool, arguments)

    assert answer["status"] == ("done" if arguments == {"code": CODE} else "over_budget")
    assert "and this host could not ask its user. Ask the user to raise [budget] ask_above_usd" in answer["notes"][-1]
    assert models == []


@INVALID_ANSWERS
async def test_no_senior_model_is_used_after_an_invalid_answer(
    open_server: OpenServer, ask_above_almost_nothing: None, era: str, answer: ElicitResult
):
    validation, models = await ask_a_senior(
        open_server, era, User(answer), "validate_code", {"code": CODE, "depth": "review"}
    )

    assert validation["status"] == "over_budget"
    assert "and this host could not ask its user" in validation["notes"][-1]
    assert models == []


@SENIOR_CALLS
async def test_a_senior_model_within_ask_above_usd_is_used_without_a_question(
    open_server: OpenServer, era: str, tool: str, arguments, model: str, purpose: str
):
    user = User(YES)

    _, models = await ask_a_senior(open_server, era, user, tool, arguments)

    assert (user.asked, models) == ([], [model])


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("validate_code", {"code": "def double(:\n", "language": "python"}),
        ("validate_code", {"code": CODE, "depth": "static"}),
        ("validate_code", {"code": CODE, "local_only": True}),
        ("strategic_review", {"goal": "Ship it", "progress": "Half", "local_only": True}),
    ],
    ids=["broken", "static", "validation here", "review here"],
)
async def test_a_call_that_asks_no_vendors_model_asks_no_question(
    open_server: OpenServer, ask_above_almost_nothing: None, tool: str, arguments: dict[str, Any]
):
    user = User(YES)

    _, models = await ask_a_senior(open_server, "auto", user, tool, arguments)

    assert (user.asked, models) == ([], [])


@pytest.mark.parametrize(
    ("tool", "arguments", "files"),
    [
        ("validate_code", {"files": ["short.py"]}, {"files": ["short.py", "long.py"]}),
        ("strategic_review", {"goal": "Ship it", "progress": "Half"}, {"context_files": ["long.py"]}),
    ],
    ids=["validation", "strategic review"],
)
async def test_the_sum_in_the_question_covers_the_files_that_the_model_is_shown(
    open_server: OpenServer, ask_above_almost_nothing: None, tmp_path: Path, tool: str, arguments, files
):
    user = User(ElicitResult(action="decline"))
    async with open_server(Script(), installed=(), elicitation_callback=user) as server:
        (tmp_path / "project" / "short.py").write_text(CODE)
        (tmp_path / "project" / "long.py").write_text(CODE * 500)
        await server.call(tool, **arguments)
        await server.call(tool, **(arguments | files))

    without, with_files = (float(re.findall(r"\$([\d.]+) on", question)[0]) for question in user.asked)
    assert with_files > without


async def test_routing_a_checkpoint_asks_no_question(open_server: OpenServer, ask_above_almost_nothing: None, era: str):
    user = User(YES)

    answer, models = await ask_a_senior(
        open_server, era, user, "route_task", {"task": "Ship it", "checkpoint": "strategic"}
    )

    assert answer["source"] == "checkpoint"
    assert (user.asked, models) == ([], [])
