"""validate_code over MCP: free checks first, then a reviewer who is held to his word."""

import json
from pathlib import Path

import anyio
import pytest
from house import OpenHouse, Script, fenced, text_of

from chargehand.evaluation.peers.reply import HttpFault, Reply, Stall
from chargehand.evaluation.peers.vendors import QWEN

pytestmark = pytest.mark.anyio

VALIDATOR = "claude-sonnet-5-5"
GOOD = "def double(n):\n    return 2 * n\n"
BROKEN = "def double(n)\n    return 2 * n\n"


def review(verdict: str, *findings: tuple[str, str], thinking_tokens: int = 20) -> Reply:
    said = [{"severity": "error", "quote": quote, "message": message} for quote, message in findings]
    return Reply(json.dumps({"verdict": verdict, "findings": said}), thinking_tokens=thinking_tokens)


async def test_a_syntax_error_fails_and_costs_no_model_call(open_house: OpenHouse, era: str):
    script = Script()
    async with open_house(script, era=era) as house:
        answer = await house.call("validate_code", code=BROKEN, depth="review")

    assert (answer["status"], answer["verdict"]) == ("done", "fail")
    assert answer["findings"][0]["line"] == 1
    assert answer["findings"][0]["quote"] == "def double(n)"
    assert answer["findings"][0]["source"] == "ruff"
    assert script.asked == []
    assert answer["cost_usd"] == 0


async def test_static_depth_asks_nobody(open_house: OpenHouse):
    script = Script()
    async with open_house(script) as house:
        answer = await house.call("validate_code", code=GOOD, depth="static")

    assert answer["verdict"] == "pass"
    assert [check["name"] for check in answer["checks_run"]] == ["parse", "lint"]
    assert script.asked == []


async def test_a_language_without_a_parser_is_never_called_valid(open_house: OpenHouse):
    async with open_house(Script()) as house:
        answer = await house.call("validate_code", code="SELECT 1", language="sql", depth="static")

    assert answer["verdict"] == "uncertain"
    assert any("not checked" in note for note in answer["notes"])


async def test_failing_tests_fail_it(open_house: OpenHouse):
    script = Script()
    async with open_house(script) as house:
        answer = await house.call("validate_code", code=GOOD, tests="assert double(2) == 5")

    assert answer["verdict"] == "fail"
    assert "double(2) == 5" in answer["findings"][0]["message"]
    assert script.asked == []


async def test_code_that_lacks_only_a_package_of_the_sandbox_is_uncertain(open_house: OpenHouse):
    code = "import numpy\n\n" + GOOD
    async with open_house(Script()) as house:
        answer = await house.call("validate_code", code=code, tests="assert double(2) == 4", depth="static")

    assert answer["verdict"] == "uncertain"
    assert any("module numpy is missing" in note for note in answer["notes"])


@pytest.mark.parametrize(("heading", "verdict"), [("## Install", "pass"), ("## Licence", "fail")])
async def test_tests_read_a_file_that_they_cannot_import(
    open_house: OpenHouse, tmp_path: Path, heading: str, verdict: str
):
    project = tmp_path / "project"
    project.mkdir()
    (project / "settings.json").write_text('{"headings": ["## Install"]}')
    tests = f"import json\nassert {heading!r} in json.load(open('settings.json'))['headings']"
    async with open_house(Script()) as house:
        answer = await house.call("validate_code", files=["settings.json"], tests=tests, depth="static")

    assert answer["verdict"] == verdict
    assert [check["name"] for check in answer["checks_run"]] == ["parse", "tests"]


async def test_the_reviewer_reads_task_and_code_and_answers_by_schema(open_house: OpenHouse):
    script = Script({VALIDATOR: [review("fail", ("2 * n", "Overflows for strings."))]})
    async with open_house(script) as house:
        answer = await house.call("validate_code", code=GOOD, task="Double a number")

    assert answer["verdict"] == "fail"
    assert answer["model"] == "claude-sonnet-5-5"
    assert answer["findings"] == [
        {"severity": "error", "line": 2, "quote": "2 * n", "message": "Overflows for strings.", "source": VALIDATOR}
    ]
    body = script.asked[0].body
    assert body["output_config"]["format"]["type"] == "json_schema"
    assert body["output_config"]["effort"] == "low"
    assert body["messages"][-1]["content"][-1]["cache_control"]["type"] == "ephemeral"
    said = "\n".join(text for _, text in script.asked[0].messages)
    assert GOOD in said
    assert "Double a number" in said
    assert answer["output_tokens"] > 20
    assert answer["cost_usd"] > 0


async def test_a_finding_whose_quote_is_not_in_the_code_is_dropped(open_house: OpenHouse):
    script = Script({VALIDATOR: [review("fail", ("eval(n)", "Runs its input."), ("", "Quotes nothing."))]})
    async with open_house(script) as house:
        answer = await house.call("validate_code", code=GOOD)

    assert answer["verdict"] == "uncertain"
    assert answer["findings"] == []
    assert any("quote is not in the code" in note for note in answer["notes"])


async def test_a_finding_says_its_file_and_the_line_in_it(open_house: OpenHouse, tmp_path: Path):
    reply = review("fail", ("return 2 * n", "Doubles."), ("# other.py", "This is no code."))
    async with open_house(Script({VALIDATOR: [reply]})) as house:
        (tmp_path / "project" / "other.py").write_text("import os\n\nprint(os)\n")
        (tmp_path / "project" / "good.py").write_text(GOOD)
        answer = await house.call("validate_code", files=["other.py", "good.py"])

    assert [(finding["path"], finding["line"]) for finding in answer["findings"]] == [("good.py", 2)]
    assert any("1 finding(s) dropped" in note for note in answer["notes"])
    assert [check["name"] for check in answer["checks_run"]] == ["parse", "lint", "review"]


async def test_a_check_of_several_files_names_the_one_that_it_is_about(open_house: OpenHouse, tmp_path: Path):
    async with open_house(Script()) as house:
        (tmp_path / "project" / "good.py").write_text(GOOD)
        (tmp_path / "project" / "notes.md").write_text("# Notes\n")
        (tmp_path / "project" / "bad.py").write_text(BROKEN)
        answer = await house.call("validate_code", files=["good.py", "notes.md", "bad.py"], depth="static")

    parse = answer["checks_run"][0]
    assert [check["name"] for check in answer["checks_run"]] == ["parse", "lint"]
    assert parse["first_failure"].startswith("bad.py: line 1")
    assert parse["note"].startswith("notes.md: not checked")


async def test_a_pass_that_reports_no_more_than_a_warning_stands(open_house: OpenHouse):
    finding = {"severity": "warning", "quote": "2 * n", "message": "Use a shift."}
    said = Reply(json.dumps({"verdict": "pass", "findings": [finding]}))
    async with open_house(Script({VALIDATOR: [said]})) as house:
        answer = await house.call("validate_code", code=GOOD)

    assert (answer["verdict"], len(answer["findings"])) == ("pass", 1)


async def test_a_pass_that_reports_an_error_is_uncertain(open_house: OpenHouse):
    async with open_house(Script({VALIDATOR: [review("pass", ("2 * n", "Wrong factor."))]})) as house:
        answer = await house.call("validate_code", code=GOOD)

    assert answer["verdict"] == "uncertain"
    assert answer["findings"][0]["message"] == "Wrong factor."
    assert answer["checks_run"][-1]["note"] == "the reviewer says pass, and reports an error"


async def test_more_than_a_hundred_visible_tokens_are_cut_and_said(open_house: OpenHouse):
    long = "This goes wrong in many ways that take many words to tell. " * 6
    script = Script({VALIDATOR: [review("fail", ("2 * n", long), ("double", long))]})
    async with open_house(script) as house:
        answer = await house.call("validate_code", code=GOOD)

    (finding,) = answer["findings"]
    assert len(finding["message"]) < 330
    assert any("100 are allowed" in note for note in answer["notes"])


async def test_a_reviewer_who_passes_it_makes_it_pass(open_house: OpenHouse):
    async with open_house(Script({VALIDATOR: [review("pass")]})) as house:
        answer = await house.call("validate_code", code=GOOD)

    assert answer["verdict"] == "pass"


@pytest.mark.parametrize("said", ["Looks fine to me!", '{"a":' + "[" * 3_000 + "}"], ids=["words", "nested"])
async def test_an_answer_that_is_not_json_leaves_it_uncertain(open_house: OpenHouse, said: str):
    async with open_house(Script({VALIDATOR: [Reply(said)]})) as house:
        answer = await house.call("validate_code", code=GOOD)

    assert answer["verdict"] == "uncertain"
    assert any("not the JSON asked for" in note for note in answer["notes"])
    assert answer["checks_run"][-1]["note"] == "claude-sonnet-5-5: its answer was not the JSON asked for"


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ({"verdict": "approved", "findings": []}, "uncertain"),
        ({"verdict": "pass", "findings": None}, "pass"),
        ({"verdict": "fail", "findings": [5, {"severity": "error", "quote": 3, "message": "x"}]}, "uncertain"),
        ({"verdict": "fail", "findings": [{"severity": "huge", "quote": "2 * n", "message": "x"}]}, "uncertain"),
    ],
)
async def test_of_a_review_only_what_has_its_form_counts(open_house: OpenHouse, said: dict, verdict: str):
    async with open_house(Script({VALIDATOR: [Reply(json.dumps(said))]})) as house:
        answer = await house.call("validate_code", code=GOOD)

    assert (answer["verdict"], answer["findings"]) == (verdict, [])


async def test_an_answer_that_was_cut_leaves_it_uncertain_though_what_came_is_a_verdict(open_house: OpenHouse):
    cut = Reply('{"verdict": "pass", "findings": []}', stop="length")
    async with open_house(Script({VALIDATOR: [cut]})) as house:
        answer = await house.call("validate_code", code=GOOD)

    assert answer["verdict"] == "uncertain"
    assert "was cut after" in answer["notes"][-1]


async def test_an_overloaded_reviewer_leaves_it_uncertain_and_says_why(open_house: OpenHouse):
    async with open_house(Script({VALIDATOR: [HttpFault(529)]})) as house:
        answer = await house.call("validate_code", code=GOOD)

    assert answer["verdict"] == "uncertain"
    assert any("claude-sonnet-5-5" in note for note in answer["notes"])
    assert "has no capacity" in answer["checks_run"][-1]["note"]


async def test_without_a_validator_the_free_checks_stand_alone(open_house: OpenHouse):
    script = Script()
    async with open_house(script, without=("ANTHROPIC_API_KEY",)) as house:
        answer = await house.call("validate_code", code=GOOD)

    assert answer["verdict"] == "pass"
    assert "model" not in answer
    assert script.asked == []
    assert any(note.startswith("review: not run") for note in answer["notes"])


async def test_a_review_that_may_not_leave_and_finds_nobody_is_refused(open_house: OpenHouse):
    async with open_house(Script(), installed=()) as house:
        answer = await house.call("validate_code", code=GOOD, depth="review", local_only=True)

    assert answer["status"] == "refused"


async def test_a_review_that_cannot_be_paid_is_over_budget(open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", "0")
    async with open_house(Script(), installed=()) as house:
        answer = await house.call("validate_code", code=GOOD, depth="review")

    assert (answer["status"], answer["verdict"]) == ("over_budget", "pass")


async def test_a_review_that_the_days_budget_cannot_pay_is_done_on_this_machine(
    open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", "0")
    script = Script({QWEN.name: [review("pass")]})
    async with open_house(script) as house:
        answer = await house.call("validate_code", code=GOOD, depth="review")

    assert (answer["status"], answer["model"], answer["cost_usd"]) == ("done", "qwen3-30b-a3b", 0)
    assert script.models == [QWEN.name]
    assert (
        "claude-sonnet-5-5: $0.0000 is left of CHARGEHAND_DAILY_BUDGET_USD until 00:00 UTC, too little for its shortest"
        " answer, so qwen3-30b-a3b on this machine takes its place." in answer["notes"]
    )


async def test_unless_a_review_is_asked_for_no_weaker_model_takes_the_place_of_one_that_cannot_be_paid(
    open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", "0")
    async with open_house(script := Script()) as house:
        answer = await house.call("validate_code", code=GOOD)

    assert (answer["status"], answer["verdict"], script.asked) == ("done", "pass", [])
    assert any("is left of CHARGEHAND_DAILY_BUDGET_USD" in note for note in answer["notes"])


async def test_files_are_read_by_the_server_and_findings_name_them(open_house: OpenHouse, tmp_path):
    async with open_house(Script()) as house:
        (tmp_path / "project" / "good.py").write_text(GOOD)
        (tmp_path / "project" / "bad.py").write_text(BROKEN)
        (tmp_path / "project" / "data.json").write_text('{"a": 1}')
        answer = await house.call("validate_code", files=["good.py", "bad.py", "data.json"], depth="static")

    assert answer["verdict"] == "fail"
    assert {finding["path"] for finding in answer["findings"]} == {"bad.py"}


async def test_tests_import_a_validated_file_and_its_neighbours_by_their_paths(open_house: OpenHouse, tmp_path):
    tests = "from package.doubling import double\n\ndef test_double():\n    assert double(2) == 4\n"
    async with open_house(Script()) as house:
        package = tmp_path / "project" / "package"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "times.py").write_text("TWICE = 2\n")
        (package / "doubling.py").write_text("from .times import TWICE\n\n\ndef double(n):\n    return TWICE * n\n")
        right = await house.call("validate_code", files=["package/doubling.py"], tests=tests, depth="static")
        (package / "times.py").write_text("TWICE = 3\n")
        wrong = await house.call("validate_code", files=["package/doubling.py"], tests=tests, depth="static")

    assert (right["verdict"], wrong["verdict"]) == ("pass", "fail")


async def test_a_delegations_code_is_found_by_its_task_id(open_house: OpenHouse):
    script = Script({"qwen3:30b-a3b": [Reply(fenced(GOOD))], VALIDATOR: [review("pass")]})
    async with open_house(script) as house:
        receipt = await house.call("delegate_generation", task="Rename x to n in def double(x): return 2 * x")
        result = await house.client.call_tool("validate_code", {"task_id": receipt["task_id"]})

    assert result.structured_content["verdict"] == "pass"
    assert text_of(result).startswith("pass (parse passed, lint passed, review passed)")


async def test_a_delegated_change_is_validated_as_the_files_that_it_makes(open_house: OpenHouse, tmp_path: Path):
    given = {"context_files": ["twice.py", "z.py"], "output": "inline", "target": "z.py"}
    before = "def double(n):\n    return 7\n\n\ndef same(n):\n    return n"
    texts = {"z.py": before.replace("7", "2 * n"), "new.py": "NEW = 1", "twice.py": "T = 2"}
    answer = "\n".join(f"`{path}`\n```python\n{text}\n```" for path, text in texts.items())
    script = Script({"qwen3:30b-a3b": [Reply(answer)], VALIDATOR: [review("pass")]})
    async with open_house(script) as house:
        (tmp_path / "project" / "z.py").write_bytes(before.replace("\n", "\r\n").encode())
        (tmp_path / "project" / "twice.py").write_text("-- a\n")
        receipt = await house.call("delegate_generation", task="Rename x to n in def double(x): return 2 * x", **given)
        validated = await house.call("validate_code", task_id=receipt["task_id"])

    assert receipt["code"].startswith("--- a/z.py\n")
    assert validated["verdict"] == "pass"
    said = "\n".join(text for _, text in script.asked[-1].messages)
    assert all(f"# {path}\n{text}\n" in said for path, text in texts.items())


async def test_tests_judge_a_delegated_change_by_its_file(open_house: OpenHouse, tmp_path: Path):
    async with open_house(Script({"qwen3:30b-a3b": [Reply(fenced(GOOD))]})) as house:
        (tmp_path / "project" / "z.py").write_text("def double(n):\n    return 7\n")
        receipt = await house.call("delegate_generation", task="Rename x to n in z.py", target="z.py")
        given = {"task_id": receipt["task_id"], "depth": "static"}
        right = await house.call("validate_code", tests="assert double(2) == 4", **given)
        wrong = await house.call("validate_code", tests="assert double(2) == 5", **given)

    assert (right["verdict"], wrong["verdict"]) == ("pass", "fail")


async def test_a_delegated_change_whose_file_has_changed_since_is_not_judged(open_house: OpenHouse, tmp_path: Path):
    async with open_house(Script({"qwen3:30b-a3b": [Reply(fenced(GOOD))]})) as house:
        file = tmp_path / "project" / "z.py"
        file.write_text("def double(n):\n    return 7\n")
        receipt = await house.call("delegate_generation", task="Rename x to n in z.py", target="z.py")
        file.write_text(GOOD)
        said = await house.refusal("validate_code", task_id=receipt["task_id"])

    assert "does not fit z.py as it is now" in said
    assert "`files`" in said


async def test_a_task_that_is_under_way_is_said_to_run_and_how_to_wait_for_it(open_house: OpenHouse):
    gate = anyio.Event()
    script = Script({"qwen3:30b-a3b": [Stall(Reply(fenced(GOOD)), gate, after=1)]})
    async with open_house(script) as house:
        task = "Rename x to n in def double(x): return 2 * x"
        running = await house.call("delegate_generation", task=task, wait_s=0)
        said = await house.refusal("validate_code", task_id=running["task_id"])
        gate.set()

    assert "still running" in said
    assert f'delegate_generation(resume="{running["task_id"]}")' in said


async def test_code_of_no_known_look_says_how_its_language_is_named(open_house: OpenHouse):
    async with open_house(Script()) as house:
        unnamed = await house.call("validate_code", code="def f(:\n")
        named = await house.call("validate_code", code="def f(:\n", language="python")

    assert "not checked: unknown language; name it in `language`" in unnamed["notes"]
    assert named["verdict"] == "fail"


@pytest.mark.parametrize("arguments", [{}, {"code": GOOD, "files": ["a.py"]}, {"code": "   "}])
async def test_exactly_one_piece_of_code_must_be_given(open_house: OpenHouse, arguments: dict):
    async with open_house(Script()) as house:
        assert "code" in await house.refusal("validate_code", **arguments)


async def test_a_reviewer_never_spends_what_the_user_wants_to_be_asked_about(open_house: OpenHouse, tmp_path):
    home = tmp_path / "chargehand-home"
    home.mkdir()
    (home / "config.toml").write_text("[budget]\nask_above_usd = 0.0001\n")
    script = Script({VALIDATOR: [review("pass")]})
    async with open_house(script) as house:
        answer = await house.call("validate_code", code=GOOD, depth="review")

    assert (answer["status"], script.asked) == ("over_budget", [])
    assert any("is left of [budget] ask_above_usd, too little" in note for note in answer["notes"])
