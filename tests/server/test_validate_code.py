"""validate_code over MCP: free checks first, then a reviewer whose findings must quote the code."""

import json
from pathlib import Path

import anyio
import pytest
from running_server import OpenServer, Script, fenced, text_of

from chargehand.evaluation.peers.reply import HttpFault, Reply, Stall
from chargehand.evaluation.peers.vendors import QWEN

pytestmark = pytest.mark.anyio

VALIDATOR = "claude-sonnet-5-5"
GOOD = "def double(n):\n    return 2 * n\n"
BROKEN = "def double(n)\n    return 2 * n\n"


def review(verdict: str, *findings: tuple[str, str], thinking_tokens: int = 20) -> Reply:
    entries = [{"severity": "error", "quote": quote, "message": message} for quote, message in findings]
    return Reply(json.dumps({"verdict": verdict, "findings": entries}), thinking_tokens=thinking_tokens)


async def test_a_syntax_error_fails_validation_without_a_model_call(open_server: OpenServer, era: str):
    script = Script()
    async with open_server(script, era=era) as server:
        answer = await server.call("validate_code", code=BROKEN, depth="review")

    assert (answer["status"], answer["verdict"]) == ("done", "fail")
    assert answer["findings"][0]["line"] == 1
    assert answer["findings"][0]["quote"] == "def double(n)"
    assert answer["findings"][0]["source"] == "ruff"
    assert script.asked == []
    assert answer["cost_usd"] == 0


async def test_static_depth_calls_no_model(open_server: OpenServer):
    script = Script()
    async with open_server(script) as server:
        answer = await server.call("validate_code", code=GOOD, depth="static")

    assert answer["verdict"] == "pass"
    assert [check["name"] for check in answer["checks_run"]] == ["parse", "lint"]
    assert script.asked == []


async def test_code_in_a_language_without_a_parser_is_uncertain(open_server: OpenServer):
    async with open_server(Script()) as server:
        answer = await server.call("validate_code", code="SELECT 1", language="sql", depth="static")

    assert answer["verdict"] == "uncertain"
    assert any("not checked" in note for note in answer["notes"])


async def test_failing_tests_fail_validation_without_a_model_call(open_server: OpenServer):
    script = Script()
    async with open_server(script) as server:
        answer = await server.call("validate_code", code=GOOD, tests="assert double(2) == 5")

    assert answer["verdict"] == "fail"
    assert "double(2) == 5" in answer["findings"][0]["message"]
    assert script.asked == []


async def test_code_that_needs_a_package_missing_in_the_sandbox_is_uncertain(open_server: OpenServer):
    code = "import numpy\n\n" + GOOD
    async with open_server(Script()) as server:
        answer = await server.call("validate_code", code=code, tests="assert double(2) == 4", depth="static")

    assert answer["verdict"] == "uncertain"
    assert any("module numpy is missing" in note for note in answer["notes"])


@pytest.mark.parametrize(("heading", "verdict"), [("## Install", "pass"), ("## Licence", "fail")])
async def test_tests_can_read_a_validated_file_that_is_not_python(
    open_server: OpenServer, tmp_path: Path, heading: str, verdict: str
):
    project = tmp_path / "project"
    project.mkdir()
    (project / "settings.json").write_text('{"headings": ["## Install"]}')
    tests = f"import json\nassert {heading!r} in json.load(open('settings.json'))['headings']"
    async with open_server(Script()) as server:
        answer = await server.call("validate_code", files=["settings.json"], tests=tests, depth="static")

    assert answer["verdict"] == verdict
    assert [check["name"] for check in answer["checks_run"]] == ["parse", "tests"]


async def test_a_file_that_the_copy_of_the_project_leaves_out_fails_no_code(open_server: OpenServer, tmp_path: Path):
    project = tmp_path / "project"
    project.mkdir(exist_ok=True)
    (project / "doubling.py").write_text(GOOD)
    (project / "cert.pem").write_text("x")
    tests = "assert double(4) == 8\nassert open({!r}).read()"
    async with open_server(Script()) as server:
        there, nowhere = [
            await server.call("validate_code", files=["doubling.py"], tests=tests.format(file), depth="static")
            for file in ("cert.pem", "no.pem")
        ]

    assert (there["verdict"], nowhere["verdict"]) == ("uncertain", "fail")
    assert any("they need cert.pem, which the copy that they run in leaves out" in note for note in there["notes"])


async def test_the_reviewer_gets_task_and_code_and_answers_by_schema(open_server: OpenServer):
    script = Script({VALIDATOR: [review("fail", ("2 * n", "Overflows for strings."))]})
    async with open_server(script) as server:
        answer = await server.call("validate_code", code=GOOD, task="Double a number")

    assert answer["verdict"] == "fail"
    assert answer["model"] == "claude-sonnet-5-5"
    assert answer["findings"] == [
        {"severity": "error", "line": 2, "quote": "2 * n", "message": "Overflows for strings.", "source": VALIDATOR}
    ]
    body = script.asked[0].body
    assert body["output_config"]["format"]["type"] == "json_schema"
    assert body["output_config"]["effort"] == "low"
    assert body["messages"][-1]["content"][-1]["cache_control"]["type"] == "ephemeral"
    prompt = "\n".join(text for _, text in script.asked[0].messages)
    assert GOOD in prompt
    assert "Double a number" in prompt
    assert answer["output_tokens"] > 20
    assert answer["cost_usd"] > 0


async def test_a_finding_whose_quote_is_not_in_the_code_is_dropped(open_server: OpenServer):
    script = Script({VALIDATOR: [review("fail", ("eval(n)", "Runs its input."), ("", "Quotes nothing."))]})
    async with open_server(script) as server:
        answer = await server.call("validate_code", code=GOOD)

    assert answer["verdict"] == "uncertain"
    assert answer["findings"] == []
    assert any("quote is not in the code" in note for note in answer["notes"])


async def test_a_finding_names_its_file_and_line(open_server: OpenServer, tmp_path: Path):
    reply = review("fail", ("return 2 * n", "Doubles."), ("# other.py", "This is no code."))
    async with open_server(Script({VALIDATOR: [reply]})) as server:
        (tmp_path / "project" / "other.py").write_text("import os\n\nprint(os)\n")
        (tmp_path / "project" / "good.py").write_text(GOOD)
        answer = await server.call("validate_code", files=["other.py", "good.py"])

    assert [(finding["path"], finding["line"]) for finding in answer["findings"]] == [("good.py", 2)]
    assert any("1 finding(s) dropped" in note for note in answer["notes"])
    assert [check["name"] for check in answer["checks_run"]] == ["parse", "lint", "review"]


async def test_a_check_of_several_files_names_the_failing_and_the_unchecked_file(
    open_server: OpenServer, tmp_path: Path
):
    async with open_server(Script()) as server:
        (tmp_path / "project" / "good.py").write_text(GOOD)
        (tmp_path / "project" / "notes.md").write_text("# Notes\n")
        (tmp_path / "project" / "bad.py").write_text(BROKEN)
        answer = await server.call("validate_code", files=["good.py", "notes.md", "bad.py"], depth="static")

    parse = answer["checks_run"][0]
    assert [check["name"] for check in answer["checks_run"]] == ["parse", "lint"]
    assert parse["first_failure"].startswith("bad.py: line 1")
    assert parse["note"].startswith("notes.md: not checked")


@pytest.mark.parametrize(
    ("name", "text", "verdict"),
    [
        ("Badge.vue", "<script setup>\nconst props = defineProps({ count: Number });\n</script>\n", "uncertain"),
        ("tsconfig.json", '{\n  // strict\n  "a": ["/*", 1,], /* b */\n}\n', "pass"),
        ("tsconfig.json", '{\n  // strict\n  "a": [\n', "fail"),
        ("tool", "#!/usr/bin/env python3\nif True:\n    print(\n", "fail"),
    ],
)
async def test_a_file_is_checked_as_what_it_is(
    open_server: OpenServer, tmp_path: Path, name: str, text: str, verdict: str
):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / name).write_text(text)
    async with open_server(Script()) as server:
        answer = await server.call("validate_code", files=[name], depth="static")

    assert answer["verdict"] == verdict, answer


async def test_a_pass_verdict_with_only_a_warning_stands(open_server: OpenServer):
    finding = {"severity": "warning", "quote": "2 * n", "message": "Use a shift."}
    reply = Reply(json.dumps({"verdict": "pass", "findings": [finding]}))
    async with open_server(Script({VALIDATOR: [reply]})) as server:
        answer = await server.call("validate_code", code=GOOD)

    assert (answer["verdict"], len(answer["findings"])) == ("pass", 1)


async def test_a_pass_verdict_with_an_error_becomes_uncertain(open_server: OpenServer):
    async with open_server(Script({VALIDATOR: [review("pass", ("2 * n", "Wrong factor."))]})) as server:
        answer = await server.call("validate_code", code=GOOD)

    assert answer["verdict"] == "uncertain"
    assert answer["findings"][0]["message"] == "Wrong factor."
    assert answer["checks_run"][-1]["note"] == "the reviewer says pass, and reports an error"


async def test_a_review_of_more_than_100_visible_tokens_is_clipped_with_a_note(open_server: OpenServer):
    long = "This goes wrong in many ways that take many words to tell. " * 6
    script = Script({VALIDATOR: [review("fail", ("2 * n", long), ("double", long))]})
    async with open_server(script) as server:
        answer = await server.call("validate_code", code=GOOD)

    (finding,) = answer["findings"]
    assert len(finding["message"]) < 330
    assert any("100 are allowed" in note for note in answer["notes"])


async def test_a_pass_verdict_of_the_reviewer_passes_validation(open_server: OpenServer):
    async with open_server(Script({VALIDATOR: [review("pass")]})) as server:
        answer = await server.call("validate_code", code=GOOD)

    assert answer["verdict"] == "pass"


@pytest.mark.parametrize("reply", ["Looks fine to me!", '{"a":' + "[" * 3_000 + "}"], ids=["words", "nested"])
async def test_a_review_that_is_not_the_requested_json_is_uncertain(open_server: OpenServer, reply: str):
    async with open_server(Script({VALIDATOR: [Reply(reply)]})) as server:
        answer = await server.call("validate_code", code=GOOD)

    assert answer["verdict"] == "uncertain"
    assert any("not the JSON asked for" in note for note in answer["notes"])
    assert answer["checks_run"][-1]["note"] == "claude-sonnet-5-5: its answer was not the JSON asked for"


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ({"verdict": "approved", "findings": []}, "uncertain"),
        ({"verdict": "pass", "findings": None}, "pass"),
        ({"verdict": "fail", "findings": [5, {"severity": "error", "quote": 3, "message": "x"}]}, "uncertain"),
        ({"verdict": "fail", "findings": [{"severity": "huge", "quote": "2 * n", "message": "x"}]}, "uncertain"),
    ],
)
async def test_malformed_parts_of_a_review_are_ignored(open_server: OpenServer, reply: dict, verdict: str):
    async with open_server(Script({VALIDATOR: [Reply(json.dumps(reply))]})) as server:
        answer = await server.call("validate_code", code=GOOD)

    assert (answer["verdict"], answer["findings"]) == (verdict, [])


async def test_a_truncated_review_is_uncertain_even_if_it_contains_a_verdict(open_server: OpenServer):
    cut = Reply('{"verdict": "pass", "findings": []}', stop="length")
    async with open_server(Script({VALIDATOR: [cut]})) as server:
        answer = await server.call("validate_code", code=GOOD)

    assert answer["verdict"] == "uncertain"
    assert "was cut after" in answer["notes"][-1]


async def test_an_overloaded_reviewer_makes_the_verdict_uncertain_with_a_reason(open_server: OpenServer):
    async with open_server(Script({VALIDATOR: [HttpFault(529)]})) as server:
        answer = await server.call("validate_code", code=GOOD)

    assert answer["verdict"] == "uncertain"
    assert any("claude-sonnet-5-5" in note for note in answer["notes"])
    assert "has no capacity" in answer["checks_run"][-1]["note"]


async def test_without_a_reviewer_the_free_checks_decide(open_server: OpenServer):
    script = Script()
    async with open_server(script, without=("ANTHROPIC_API_KEY",)) as server:
        answer = await server.call("validate_code", code=GOOD)

    assert answer["verdict"] == "pass"
    assert "model" not in answer
    assert script.asked == []
    assert any(note.startswith("review: not run") for note in answer["notes"])


async def test_a_local_only_review_without_a_local_model_is_refused(open_server: OpenServer):
    async with open_server(Script(), installed=()) as server:
        answer = await server.call("validate_code", code=GOOD, depth="review", local_only=True)

    assert answer["status"] == "refused"


async def test_a_review_above_the_daily_budget_is_over_budget_without_a_local_model(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", "0")
    async with open_server(Script(), installed=()) as server:
        answer = await server.call("validate_code", code=GOOD, depth="review")

    assert (answer["status"], answer["verdict"]) == ("over_budget", "pass")


async def test_a_review_above_the_daily_budget_falls_back_to_the_local_model(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", "0")
    script = Script({QWEN.name: [review("pass")]})
    async with open_server(script) as server:
        answer = await server.call("validate_code", code=GOOD, depth="review")

    assert (answer["status"], answer["model"], answer["cost_usd"]) == ("done", "qwen3-30b-a3b", 0)
    assert script.models == [QWEN.name]
    assert (
        "claude-sonnet-5-5: $0.0000 is left of CHARGEHAND_DAILY_BUDGET_USD until 00:00 UTC, too little for its shortest"
        " answer, so qwen3-30b-a3b on this machine takes its place." in answer["notes"]
    )


async def test_a_default_validation_above_the_daily_budget_uses_no_weaker_reviewer(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", "0")
    async with open_server(script := Script()) as server:
        answer = await server.call("validate_code", code=GOOD)

    assert (answer["status"], answer["verdict"], script.asked) == ("done", "pass", [])
    assert any("is left of CHARGEHAND_DAILY_BUDGET_USD" in note for note in answer["notes"])


async def test_the_server_reads_files_and_findings_name_them(open_server: OpenServer, tmp_path):
    async with open_server(Script()) as server:
        (tmp_path / "project" / "good.py").write_text(GOOD)
        (tmp_path / "project" / "bad.py").write_text(BROKEN)
        (tmp_path / "project" / "data.json").write_text('{"a": 1}')
        answer = await server.call("validate_code", files=["good.py", "bad.py", "data.json"], depth="static")

    assert answer["verdict"] == "fail"
    assert {finding["path"] for finding in answer["findings"]} == {"bad.py"}


async def test_tests_can_import_a_validated_file_and_its_siblings_by_package_path(open_server: OpenServer, tmp_path):
    tests = "from package.doubling import double\n\ndef test_double():\n    assert double(2) == 4\n"
    async with open_server(Script()) as server:
        package = tmp_path / "project" / "package"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "times.py").write_text("TWICE = 2\n")
        (package / "doubling.py").write_text("from .times import TWICE\n\n\ndef double(n):\n    return TWICE * n\n")
        right = await server.call("validate_code", files=["package/doubling.py"], tests=tests, depth="static")
        (package / "times.py").write_text("TWICE = 3\n")
        wrong = await server.call("validate_code", files=["package/doubling.py"], tests=tests, depth="static")

    assert (right["verdict"], wrong["verdict"]) == ("pass", "fail")


async def test_the_code_of_a_delegation_is_validated_by_its_task_id(open_server: OpenServer):
    script = Script({"qwen3:30b-a3b": [Reply(fenced(GOOD))], VALIDATOR: [review("pass")]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task="Rename x to n in def double(x): return 2 * x")
        result = await server.client.call_tool("validate_code", {"task_id": receipt["task_id"]})

    assert result.structured_content["verdict"] == "pass"
    assert text_of(result).startswith("pass (parse passed, lint passed, review passed)")


async def test_a_delegated_diff_is_validated_as_the_resulting_files(open_server: OpenServer, tmp_path: Path):
    arguments = {"context_files": ["twice.py", "z.py"], "output": "inline", "target": "z.py"}
    before = "def double(n):\n    return 7\n\n\ndef same(n):\n    return n"
    texts = {"z.py": before.replace("7", "2 * n"), "new.py": "NEW = 1", "twice.py": "T = 2"}
    answer = "\n".join(f"`{path}`\n```python\n{text}\n```" for path, text in texts.items())
    script = Script({"qwen3:30b-a3b": [Reply(answer)], VALIDATOR: [review("pass")]})
    async with open_server(script) as server:
        (tmp_path / "project" / "z.py").write_bytes(before.replace("\n", "\r\n").encode())
        (tmp_path / "project" / "twice.py").write_text("-- a\n")
        receipt = await server.call(
            "delegate_generation", task="Rename x to n in def double(x): return 2 * x", **arguments
        )
        validated = await server.call("validate_code", task_id=receipt["task_id"])

    assert receipt["code"].startswith("--- a/z.py\n")
    assert validated["verdict"] == "pass"
    prompt = "\n".join(text for _, text in script.asked[-1].messages)
    assert all(f"# {path}\n{text}\n" in prompt for path, text in texts.items())


async def test_tests_run_against_the_file_that_a_delegated_diff_produces(open_server: OpenServer, tmp_path: Path):
    async with open_server(Script({"qwen3:30b-a3b": [Reply(fenced(GOOD))]})) as server:
        (tmp_path / "project" / "z.py").write_text("def double(n):\n    return 7\n")
        receipt = await server.call("delegate_generation", task="Rename x to n in z.py", target="z.py")
        arguments = {"task_id": receipt["task_id"], "depth": "static"}
        right = await server.call("validate_code", tests="assert double(2) == 4", **arguments)
        wrong = await server.call("validate_code", tests="assert double(2) == 5", **arguments)

    assert (right["verdict"], wrong["verdict"]) == ("pass", "fail")


async def test_a_delegated_diff_is_refused_when_its_file_has_changed_since(open_server: OpenServer, tmp_path: Path):
    async with open_server(Script({"qwen3:30b-a3b": [Reply(fenced(GOOD))]})) as server:
        file = tmp_path / "project" / "z.py"
        file.write_text("def double(n):\n    return 7\n")
        receipt = await server.call("delegate_generation", task="Rename x to n in z.py", target="z.py")
        file.write_text(GOOD)
        refusal = await server.refusal("validate_code", task_id=receipt["task_id"])

    assert "does not fit z.py as it is now" in refusal
    assert "`files`" in refusal


async def test_validating_a_running_task_is_refused_with_how_to_wait_for_it(open_server: OpenServer):
    gate = anyio.Event()
    script = Script({"qwen3:30b-a3b": [Stall(Reply(fenced(GOOD)), gate, after=1)]})
    async with open_server(script) as server:
        task = "Rename x to n in def double(x): return 2 * x"
        running = await server.call("delegate_generation", task=task, wait_s=0)
        refusal = await server.refusal("validate_code", task_id=running["task_id"])
        gate.set()

    assert "still running" in refusal
    assert f'delegate_generation(resume="{running["task_id"]}")' in refusal


async def test_code_in_an_unrecognized_language_gets_a_note_to_name_it(open_server: OpenServer):
    async with open_server(Script()) as server:
        unnamed = await server.call("validate_code", code="def f(:\n")
        named = await server.call("validate_code", code="def f(:\n", language="python")

    assert "not checked: unknown language; name it in `language`" in unnamed["notes"]
    assert named["verdict"] == "fail"


@pytest.mark.parametrize("arguments", [{}, {"code": GOOD, "files": ["a.py"]}, {"code": "   "}])
async def test_exactly_one_source_of_code_must_be_given(open_server: OpenServer, arguments: dict):
    async with open_server(Script()) as server:
        assert "code" in await server.refusal("validate_code", **arguments)


async def test_a_review_above_ask_above_usd_is_over_budget_without_a_request(open_server: OpenServer, tmp_path):
    home = tmp_path / "chargehand-home"
    home.mkdir()
    (home / "config.toml").write_text("[budget]\nask_above_usd = 0.0001\n")
    script = Script({VALIDATOR: [review("pass")]})
    async with open_server(script) as server:
        answer = await server.call("validate_code", code=GOOD, depth="review")

    assert (answer["status"], script.asked) == ("over_budget", [])
    assert any("is left of [budget] ask_above_usd, too little" in note for note in answer["notes"])
