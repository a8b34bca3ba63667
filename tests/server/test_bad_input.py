"""Invalid calls: the error names value, place and remedy, and the call has no side effects."""

import os
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.types import SERVER_INFO_META_KEY, CallToolRequest, CallToolRequestParams, CallToolResult
from running_server import Connect, OpenServer, Script, fenced, text_of

from chargehand.evaluation.peers.reply import Ask, Reply
from chargehand.evaluation.peers.vendors import QWEN
from chargehand.server.surface.middleware import strict_requests
from chargehand.server.surface.toolbox import tools

pytestmark = pytest.mark.anyio

TASK = "Rename the variable n to count in this function: def double(n): return 2 * n"
RIGHT = {QWEN.name: [Reply(fenced("def double(count):\n    return 2 * count"))]}
TASK_TOOLS = ("route_task", "delegate_generation")


def _task_rows(tmp_path: Path) -> int:
    """The number of tasks in the ledger."""
    file = tmp_path / "chargehand-home" / "ledger.sqlite3"
    if not file.exists():
        return 0
    db = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        return db.execute("SELECT COUNT(*) FROM tasks").fetchone()[0]
    finally:
        db.close()


Refusal = Callable[..., Awaitable[str]]


@pytest.fixture
def refusal(open_server: OpenServer, tmp_path: Path) -> Refusal:
    """Makes a call that must be refused, and returns the error's text.

    Asserts that no model was asked, no task recorded, and that the same server answers the next call.
    """

    async def refused(tool: str, arguments: Mapping[str, Any], era: str = "auto") -> str:
        script = Script(dict(RIGHT))
        async with open_server(script, era=era) as server:
            text = await server.refusal(tool, **arguments)
            assert script.asked == []
            assert _task_rows(tmp_path) == 0
            await server.call("route_task", task=TASK)
        return text

    return refused


async def test_an_unknown_tool_is_a_protocol_error_that_lists_the_tools(open_server: OpenServer, era: str):
    async with open_server(Script(), era=era) as server:
        with pytest.raises(MCPError) as refused:
            await server.client.call_tool("generate", {"task": TASK})

    assert refused.value.error.code == -32602
    assert refused.value.error.message == (
        "Unknown tool: 'generate'. Tools: route_task, delegate_generation, validate_code, strategic_review,"
        " report_outcome."
    )


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize("arguments", [["task"], [1], [], "task", 3, True])
async def test_arguments_that_are_not_an_object_are_a_protocol_error(
    open_server: OpenServer, era: str, arguments: object
):
    params: Any = {"name": "route_task", "arguments": arguments}  # no regular client can build this
    request = CallToolRequest.model_construct(method="tools/call", params=params)
    async with open_server(Script(), era=era) as server:
        with pytest.raises(MCPError) as refused:
            await server.client.session.send_request(request, CallToolResult)

    assert refused.value.error.code == -32602
    assert refused.value.error.message == f"route_task: `arguments` must be an object, got {arguments!r}."


async def test_an_unknown_argument_is_named_with_a_suggestion(refusal: Refusal):
    text = await refusal("delegate_generation", {"task": TASK, "contextfiles": ["a.py"], "max_cost": 1})

    assert text.startswith(
        "delegate_generation: unknown argument `contextfiles`. Did you mean `context_files`? It takes: "
    )
    assert "task, resume, context_files" in text


@pytest.mark.parametrize("arguments", [{"bogus": 1}, {"model": "none"}])
async def test_a_refused_call_has_what_results_of_its_era_have(
    open_server: OpenServer, era: str, arguments: dict[str, Any]
):
    request = CallToolRequest(params=CallToolRequestParams(name="route_task", arguments={"task": TASK, **arguments}))
    async with open_server(Script(), era=era) as server:
        refused = await server.client.session.send_request(request, CallToolResult)

    server_info = (refused.meta or {}).get(SERVER_INFO_META_KEY, {})
    is_modern = era == "auto"
    assert refused.is_error
    assert server_info.get("name") == ("chargehand" if is_modern else None)
    assert ("result_type" in refused.model_fields_set) == is_modern


async def test_null_empty_text_and_what_the_host_adds_for_itself_count_as_not_given(open_server: OpenServer, era: str):
    absent = dict.fromkeys(("context_files", "max_seconds", "max_attempts", "local_only", "wait_s"))
    empty = dict.fromkeys(("resume", "context", "task_type", "model", "tests", "output", "target"), "")
    async with open_server(Script(dict(RIGHT)), era=era) as server:
        receipt = await server.call("delegate_generation", task=TASK, **absent, **empty, wait_for_previous=True)
        refusal = await server.refusal("route_task", task=None)

    assert receipt["code"] == "def double(count):\n    return 2 * count\n"
    assert refusal == "route_task: `task` is missing. Add it."


@pytest.mark.parametrize(
    ("arguments", "argument", "value"),
    [
        ({"task": ["a", "b"]}, "`task`", "['a', 'b']"),
        ({"task": 5}, "`task`", "got 5"),
        ({"task": TASK, "context_files": "a.py"}, "`context_files`", "'a.py'"),
        ({"task": TASK, "context_files": [1]}, "`context_files.0`", "got 1"),
        ({"task": TASK, "context_files": ["a.py"] * 201}, "`context_files`", "200"),
        ({"task": TASK, "task_type": "poetry"}, "`task_type`", "'poetry'"),
        ({"task": TASK, "max_cost_usd": -1}, "`max_cost_usd`", "got -1"),
        ({"task": TASK, "max_cost_usd": 101}, "`max_cost_usd`", "got 101"),
        ({"task": TASK, "max_cost_usd": "lots"}, "`max_cost_usd`", "'lots'"),
        ({"task": TASK, "max_cost_usd": True}, "`max_cost_usd`", "got True"),
        ({"task": TASK, "local_only": "perhaps"}, "`local_only`", "'perhaps'"),
        ({"task": TASK, "model": {"id": "opus"}}, "`model`", "{'id': 'opus'}"),
    ],
)
@pytest.mark.parametrize("tool", TASK_TOOLS)
async def test_an_invalid_value_is_reported_with_its_argument(
    refusal: Refusal, tool: str, arguments: dict[str, Any], argument: str, value: str
):
    text = await refusal(tool, arguments)

    assert text.startswith(f"{tool}: {argument}: ")
    assert value in text
    assert text.endswith(". Correct it and call again.")


@pytest.mark.parametrize(
    "arguments",
    [{"max_attempts": True}, {"max_attempts": 1.5}, {"max_attempts": 0}, {"max_seconds": 0}, {"wait_s": 601}],
)
async def test_a_delegation_limit_out_of_range_is_refused(refusal: Refusal, arguments: dict[str, Any]):
    (name,) = arguments

    text = await refusal("delegate_generation", {"task": TASK, **arguments})

    assert text.startswith(f"delegate_generation: `{name}`: ")
    assert text.endswith(f"got {arguments[name]}. Correct it and call again.")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["max_cost_usd", "max_seconds", "max_attempts", "wait_s"])
async def test_a_number_that_is_not_finite_is_refused(name: str, value: float):
    # JSON cannot express these values and regular clients send null, so the middleware is called directly.
    async def fail_if_called(_: object) -> None:
        pytest.fail("the tool was called")

    params = {"name": "delegate_generation", "arguments": {"task": TASK, name: value}}
    unused: Any = None
    context = ServerRequestContext[Any, Any](
        session=unused, lifespan_context=unused, protocol_version="2025-11-25", method="tools/call", params=params
    )
    result = await strict_requests(tools(), ())(context, fail_if_called)

    assert isinstance(result, CallToolResult)
    assert result.is_error
    assert text_of(result).startswith(f"delegate_generation: `{name}`: ")


@pytest.mark.parametrize(
    ("tool", "task"), [("route_task", ""), *((tool, task) for tool in TASK_TOOLS for task in (" ", "\n\t\u2003\n"))]
)
async def test_a_blank_task_is_refused_as_empty(refusal: Refusal, tool: str, task: str):
    assert await refusal(tool, {"task": task}) == f"{tool}: `task` is empty. Fill it in and call again."


@pytest.mark.parametrize("tool", TASK_TOOLS)
async def test_a_task_of_five_megabytes_is_refused_without_repeating_it(refusal: Refusal, tool: str):
    text = await refusal(tool, {"task": "x" * 5_000_000})

    assert text == (
        f"{tool}: `task`: String should have at most 200000 characters; got 5,000,000 characters."
        " Correct it and call again."
    )


@pytest.mark.in_process("the task is not valid UTF-8, which the SDK's clients cannot send")
@pytest.mark.parametrize("tool", TASK_TOOLS)
async def test_a_task_with_a_lone_surrogate_is_refused(refusal: Refusal, tool: str):
    assert (await refusal(tool, {"task": "rename \ud800"})).startswith(f"{tool}: `task`: ")


@pytest.mark.parametrize(
    ("tool", "missing"),
    [("route_task", "task"), ("report_outcome", "task_id"), ("strategic_review", "goal")],
)
async def test_a_missing_argument_is_named(refusal: Refusal, tool: str, missing: str):
    assert (await refusal(tool, {})).startswith(f"{tool}: `{missing}` is missing. Add it.")


@pytest.mark.parametrize(
    "arguments", [{}, {"task": TASK, "resume": "0" * 32}], ids=["neither task nor resume", "both task and resume"]
)
async def test_a_delegation_takes_exactly_one_of_task_and_resume(refusal: Refusal, arguments: dict[str, str]):
    text = await refusal("delegate_generation", arguments)

    assert "task, resume: give exactly one" in text


async def test_cancel_without_resume_is_refused(refusal: Refusal):
    assert "cancel: goes with `resume`" in await refusal("delegate_generation", {"task": TASK, "cancel": True})


@pytest.mark.parametrize("task_id", ["0" * 32, "nonsense", "'; DROP TABLE tasks; --"])
@pytest.mark.parametrize(
    ("tool", "name", "other_arguments"),
    [
        ("delegate_generation", "resume", {}),
        ("validate_code", "task_id", {}),
        ("report_outcome", "task_id", {"outcome": "accepted"}),
    ],
)
async def test_an_unknown_task_id_is_named(
    refusal: Refusal, tool: str, name: str, other_arguments: dict[str, str], task_id: str
):
    assert task_id in await refusal(tool, {name: task_id, **other_arguments})


@pytest.mark.parametrize("tool", TASK_TOOLS)
async def test_an_unknown_model_gets_the_three_nearest_names(refusal: Refusal, tool: str):
    text = await refusal(tool, {"task": TASK, "model": "sonett"})

    assert "unknown model 'sonett'. Nearest: sonnet, claude-sonnet-5-5, " in text
    assert text.count(", ") == 2


@pytest.mark.parametrize("model", ["  ", "🦙", "x" * 200])
@pytest.mark.parametrize("tool", TASK_TOOLS)
async def test_a_model_name_that_resembles_none_is_refused(refusal: Refusal, tool: str, model: str):
    assert "unknown model" in await refusal(tool, {"task": TASK, "model": model})


@pytest.mark.parametrize(
    ("tool", "argument", "other_arguments"),
    [
        ("route_task", "context_files", {"task": TASK}),
        ("delegate_generation", "context_files", {"task": TASK}),
        ("strategic_review", "context_files", {"goal": "Ship it.", "progress": "Half."}),
        ("validate_code", "files", {}),
    ],
)
async def test_a_file_outside_the_roots_is_refused_by_every_tool_that_takes_files(
    refusal: Refusal, tmp_path: Path, tool: str, argument: str, other_arguments: dict[str, str]
):
    (tmp_path / "secret.py").write_text("secret = 1\n")

    text = await refusal(tool, {**other_arguments, argument: ["../secret.py"]})

    assert f"{argument}: '../secret.py' is outside the roots ({tmp_path / 'project'})" in text
    assert "add its folder to CHARGEHAND_ROOTS" in text
    assert "secret = 1" not in text


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.py", "does not exist below"),
        ("link.py", "is a link, or leads through one"),
        ("folder/secret.py", "is a link, or leads through one"),
        ("sub", "is not a regular file"),
        ("pipe", "is not a regular file"),
        ("binary", "is not text: it is binary"),
        ("big.txt", "is larger than 2 MB"),
        ("/etc/passwd", "is outside the roots"),
        ("", "is not a path"),
        ("a\0b", "is not a path"),
        ("x" * 100_000, "cannot be opened"),
    ],
)
async def test_an_unusable_file_is_refused_with_the_reason(refusal: Refusal, tmp_path: Path, name: str, reason: str):
    project = tmp_path / "project"
    (project / "sub").mkdir(parents=True)
    (tmp_path / "secret.py").write_text("secret = 1\n")
    (project / "link.py").symlink_to(tmp_path / "secret.py")
    (project / "folder").symlink_to(tmp_path)
    (project / "binary").write_bytes(b"\x7fELF\0\1")
    (project / "big.txt").write_text("x" * 2_000_001)
    os.mkfifo(project / "pipe")

    text = await refusal("delegate_generation", {"task": TASK, "context_files": [name]})

    assert "context_files: " in text
    assert reason in text
    assert len(text) < 800


@pytest.mark.parametrize(
    ("tests", "reason"),
    [
        ("def test_x(:\n    pass", "tests: they do not parse as Python"),
        (
            "#[test]\nfn adds() { assert_eq!(add(1, 2), 3); }",
            "tests: they look like rust, and only Python and JavaScript",
        ),
        ("tests/test_missing.py", "tests: 'tests/test_missing.py' does not exist below"),
        ("../test_out.py", "tests: '../test_out.py' is outside the roots"),
        ("tests/a.test.js", "tests: nothing in 'tests/a.test.js' can fail. Write asserts, or name .py files"),
    ],
)
async def test_tests_that_cannot_run_are_refused_before_generation(refusal: Refusal, tests: str, reason: str):
    assert reason in await refusal("delegate_generation", {"task": TASK, "tests": tests})


async def test_test_files_in_different_roots_are_refused(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    files = [tmp_path / name / "test_it.py" for name in ("one", "other")]
    for file in files:
        file.parent.mkdir()
        file.write_text("def test_it(): assert double(1) == 2\n")
    monkeypatch.setenv("CHARGEHAND_ROOTS", os.pathsep.join(str(file.parent) for file in files))
    async with connect() as client:
        result = await client.call_tool("delegate_generation", {"task": TASK, "tests": "\n".join(map(str, files))})

    assert result.is_error
    assert "tests: the files are in different roots. Name files of one project." in text_of(result)


async def test_without_roots_the_error_explains_chargehand_roots(
    connect: Connect, era: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "nobodys").mkdir()
    monkeypatch.chdir(tmp_path / "nobodys")
    async with connect(era) as client:
        refused = await client.call_tool("route_task", {"task": TASK, "context_files": ["a.py"]})
        routed = await client.call_tool("route_task", {"task": TASK})

    assert refused.is_error
    assert "context_files: no folder may be read. Set CHARGEHAND_ROOTS" in text_of(refused)
    assert not routed.is_error


async def test_an_invalid_config_is_explained_and_calls_succeed_once_it_is_fixed(
    open_server: OpenServer, era: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    config = tmp_path / "config.toml"
    config.write_text("[privacy\n")
    monkeypatch.setenv("CHARGEHAND_CONFIG", str(config))
    async with open_server(Script(dict(RIGHT)), era=era) as server:
        invalid_toml = await server.refusal("delegate_generation", task=TASK)
        config.write_text("daily_budget = 1\n")
        unknown = await server.refusal("delegate_generation", task=TASK)
        assert _task_rows(tmp_path) == 0
        config.write_text("daily_budget_usd = 1\n")
        receipt = await server.call("delegate_generation", task=TASK)

    assert f"{config}: it is not TOML" in invalid_toml
    assert f"{config}: daily_budget is not a setting. Did you mean daily_budget_usd?" in unknown
    assert receipt["status"] == "unverified"
    assert _task_rows(tmp_path) == 1


async def test_an_invalid_variable_is_explained_without_disclosing_a_key(
    open_server: OpenServer, era: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", "-3")
    async with open_server(Script(), era=era) as server:
        text = await server.refusal("route_task", task=TASK)

    assert "CHARGEHAND_DAILY_BUDGET_USD: " in text
    assert "got '-3'" in text
    assert '"env" block of your host\'s MCP config, or in your shell for a command there' in text
    assert server.vendors.environment["ANTHROPIC_API_KEY"] not in text


async def test_a_damaged_ledger_is_named_and_left_unchanged(open_server: OpenServer, era: str, tmp_path: Path):
    file = tmp_path / "chargehand-home" / "ledger.sqlite3"
    file.parent.mkdir()
    file.write_bytes(b"this is no database, but somebody may want it back" * 100)
    before = file.read_bytes()
    async with open_server(Script(dict(RIGHT)), era=era) as server:
        text = await server.refusal("delegate_generation", task=TASK)
        assert file.read_bytes() == before
        file.rename(tmp_path / "away.sqlite3")
        receipt = await server.call("delegate_generation", task=TASK)

    assert str(file) in text
    assert receipt["status"] == "unverified"


async def test_a_text_argument_that_is_valid_json_is_taken_literally(open_server: OpenServer, era: str):
    asked: list[Ask] = []

    def answer(ask: Ask) -> Reply:
        asked.append(ask)
        return Reply(fenced("{}", "json"))

    async with open_server(answer, era=era) as server:
        for text in ('{"a": 1}', "[1, 2]", "null", "true", "17", '"x"'):
            checked = await server.call("validate_code", code=text, language="json", depth="static")
            await server.call("delegate_generation", task=text, max_attempts=1)

            assert checked["verdict"] == "pass"
            assert f">\n{text}\n</task-" in asked[-1].messages[-1][1]


async def test_a_list_sent_as_json_text_is_accepted(open_server: OpenServer, era: str, tmp_path: Path):
    async with open_server(Script(), era=era) as server:
        (tmp_path / "project" / "a.py").write_text("a = 1\n")
        routed = await server.call("route_task", task=TASK, context_files='["a.py"]')

    assert routed["model"]


async def test_a_folder_given_as_target_is_refused(open_server: OpenServer, tmp_path: Path):
    async with open_server(Script()) as server:
        (tmp_path / "project" / "pkg").mkdir()
        refusal = await server.refusal("delegate_generation", task="Write it", target="pkg")

    assert refusal.endswith("target: 'pkg' is not a regular file. Name a file.")
