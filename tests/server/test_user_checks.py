"""`checks` over MCP: commands of the user's config file, and of nobody else, that verify an answer."""

from pathlib import Path

import pytest
from rename_task import RENAME, RIGHT, WRONG
from running_server import OpenServer, Script, fenced

from chargehand.evaluation.peers.reply import Reply

pytestmark = pytest.mark.anyio

LOCAL = "qwen3:30b-a3b"
BASH = Reply(fenced("double() { echo $(( $1 * 2 )); }", "bash"))

CONFIG = """
[checks.unit]
command = ["python3", "check.py"]
answer_path = "src/double.py"

[checks.shell]
command = ["bash", "-c", ". lib/double.sh && test $(double 4) = 8"]
answer_path = "lib/double.sh"
language = "sh"

[checks.script]
command = ["sh", "run.sh"]
answer_path = "run.sh"

[checks.placeless]
command = ["python3", "check.py"]

[checks.missing]
command = ["no-such-tool"]
answer_path = "src/double.py"
"""
CHECK = "import sys\nsys.path.insert(0, 'src')\nfrom double import double\nassert double(4) == 8, double(4)\n"


@pytest.fixture(autouse=True)
def configured(tmp_path: Path) -> None:
    home, project = tmp_path / "chargehand-home", tmp_path / "project"
    home.mkdir()
    project.mkdir()
    (home / "config.toml").write_text(CONFIG)
    (project / "check.py").write_text(CHECK)


async def test_a_passing_command_verifies_the_answer_and_appears_in_the_receipt(open_server: OpenServer, era: str):
    async with open_server(Script({LOCAL: [RIGHT]}), era=era) as server:
        receipt = await server.call("delegate_generation", task=RENAME, checks=["unit"])

    assert receipt["status"] == "succeeded"
    assert receipt["verified_by"] == ["parse", "lint", "unit"]
    assert receipt["attempts"][0]["checks"][-1]["sandbox"].startswith("bubblewrap")


async def test_a_command_without_answer_path_checks_only_changes_of_files(open_server: OpenServer, tmp_path: Path):
    (tmp_path / "project" / "src").mkdir()
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        answer = await server.call("delegate_generation", task=RENAME, checks=["placeless"])
        change = await server.call(
            "delegate_generation", task=RENAME, checks=["placeless"], target="src/double.py", output="apply"
        )

    assert (answer["status"], change["status"]) == ("unverified", "succeeded")
    assert any("Name a `target`, or set `answer_path` of [checks.placeless]" in note for note in answer["notes"])


async def test_a_command_leaves_the_project_unchanged(open_server: OpenServer, tmp_path: Path):
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        await server.call("delegate_generation", task=RENAME, checks=["unit"])

    assert [path.name for path in (tmp_path / "project").iterdir()] == ["check.py"]


async def test_the_output_of_a_failing_command_is_part_of_the_repair_prompt(open_server: OpenServer):
    script = Script({LOCAL: [WRONG, RIGHT]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=RENAME, checks=["unit"])

    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["failed_check", "passed"]
    assert "unit ended with exit code 1" in script.asked[1].messages[-1][1]
    assert "AssertionError: 16" in script.asked[1].messages[-1][1]


async def test_no_check_runs_after_the_first_failure(open_server: OpenServer):
    unclosed = Reply(fenced("def double(count:\n    return 2 * count"))
    async with open_server(Script({LOCAL: [unclosed, WRONG]})) as server:
        receipt = await server.call(
            "delegate_generation", task=RENAME, tests="assert double(4) == 8", checks=["unit"], model="qwen3-30b-a3b"
        )

    ran = [[check["name"] for check in attempt["checks"]] for attempt in receipt["attempts"]]
    assert ran == [["parse"], ["parse", "lint", "tests"]]


async def test_any_language_can_be_verified_by_a_command(open_server: OpenServer):
    async with open_server(Script({LOCAL: [BASH]})) as server:
        receipt = await server.call("delegate_generation", task=RENAME, checks=["shell"])

    assert (receipt["status"], receipt["verified_by"]) == ("succeeded", ["parse", "shell"])


async def test_an_answer_in_another_language_than_its_command_is_sent_back(open_server: OpenServer):
    script = Script({LOCAL: [RIGHT, BASH]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=RENAME, checks=["shell"])

    assert receipt["status"] == "succeeded"
    assert "The check shell is for bash and the answer is python: use bash." in script.asked[1].messages[-1][1]


async def test_a_missing_command_leaves_the_answer_unverified_with_a_remedy(open_server: OpenServer):
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        receipt = await server.call("delegate_generation", task=RENAME, checks=["missing"])

    assert receipt["status"] == "unverified"
    assert any(
        "no-such-tool is not available in the sandbox; name what it needs, such as" in n for n in receipt["notes"]
    )


@pytest.mark.parametrize("last_line", ["nosuchtool --x", "exit 126", "exit 127"])
async def test_an_answer_that_calls_a_missing_program_fails_its_check(open_server: OpenServer, last_line: str):
    broken, right = (Reply(fenced(f"echo hi\n{line}", "bash")) for line in (last_line, "true"))
    script = Script({LOCAL: [broken, right]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task="Write a shell script that greets", checks=["script"])

    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["failed_check", "passed"]
    assert "script ended with exit code 12" in script.asked[1].messages[-1][1]


@pytest.mark.parametrize(
    "requested_checks", [{"tests": "assert double(4) == 8", "checks": ["missing"]}, {"checks": ["unit", "missing"]}]
)
async def test_one_check_that_did_not_run_leaves_the_answer_unverified_and_unwritten(
    open_server: OpenServer, tmp_path: Path, requested_checks: dict[str, object]
):
    target = tmp_path / "project" / "src" / "double.py"
    target.parent.mkdir()
    target.write_text("old = 1\n")
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        receipt = await server.call(
            "delegate_generation", task=RENAME, target="src/double.py", output="apply", **requested_checks
        )

    assert (receipt["status"], receipt["files_changed"]) == ("unverified", [])
    assert target.read_text() == "old = 1\n"
    assert any("missing was not run" in note for note in receipt["notes"])


@pytest.mark.parametrize("name", ["deploy", "python3 check.py", "tests", ""])
async def test_an_unknown_check_is_refused_with_the_available_names(open_server: OpenServer, name: str):
    script = Script()
    async with open_server(script) as server:
        text = await server.refusal("delegate_generation", task=RENAME, checks=["unit", name])

    assert "is not a check in the user's config file. They are: missing, placeless, script, shell, unit;" in text
    assert script.asked == []


async def test_javascript_tests_verify_a_javascript_answer(open_server: OpenServer):
    script = Script({LOCAL: [Reply(fenced("const double = (count) => 3 * count;", "js")), _javascript()]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests="assert.strictEqual(double(4), 8);")

    assert (receipt["status"], receipt["verified_by"]) == ("succeeded", ["parse", "tests"])
    assert "12 !== 8" in script.asked[1].messages[-1][1]


async def test_javascript_tests_send_a_python_answer_back(open_server: OpenServer):
    script = Script({LOCAL: [RIGHT, _javascript()]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests="assert.strictEqual(double(4), 8);")

    assert receipt["status"] == "succeeded", receipt
    assert "The tests are JavaScript and the answer is python: use JavaScript." in script.asked[1].messages[-1][1]


async def test_tests_that_are_not_valid_javascript_are_refused_before_generation(open_server: OpenServer):
    script = Script()
    async with open_server(script) as server:
        text = await server.refusal(
            "delegate_generation", task=RENAME, tests="const { test } = require('node:test');\ntest('a', () => {\n"
        )

    assert "tests: they do not parse as JavaScript: " in text
    assert script.asked == []


@pytest.mark.parametrize(
    "tests",
    [
        "tests/a.test.js", "src/__tests__/a.spec.ts", "tests/test_m.py,tests/test_n.py", "tests", "tests/test_m",
        '"tests/test_m.py"', "- tests/test_m.py", "# none", "expected = 3",
    ],
)  # fmt: skip
async def test_a_test_path_that_would_be_read_as_code_is_refused_before_generation(open_server: OpenServer, tests: str):
    script = Script()
    async with open_server(script) as server:
        text = await server.refusal("delegate_generation", task=RENAME, tests=tests)

    assert "name .py files, one per line; for JavaScript, give the text." in text
    assert script.asked == []


async def test_validate_code_passes_valid_rust_and_is_uncertain_about_invalid_rust(open_server: OpenServer):
    async with open_server(Script()) as server:
        good = await server.call("validate_code", code="fn main() {}", language="rust", depth="static")
        doubtful = await server.call("validate_code", code="fn main( {", language="rust", depth="static")

    assert good["verdict"] == "pass"
    assert doubtful["verdict"] == "uncertain"
    assert doubtful["findings"][0]["message"].startswith("syntax-suspect: ")


def _javascript() -> Reply:
    return Reply(fenced("const double = (count) => 2 * count;", "js"))
