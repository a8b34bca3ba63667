"""Variables that tests need, over MCP: `[sandbox] variables` sets them, and no answer is blamed for them."""

from pathlib import Path

import pytest
from running_server import OpenServer, Script, fenced

from chargehand.evaluation.peers.reply import Reply

pytestmark = pytest.mark.anyio

LOCAL = "qwen3:30b-a3b"
GIVEN = {
    "task": "Rename the variable n to count in this function: def double(n): return 2 * n",
    "target": "doubled.py",
    "tests": "test_doubled.py",
}
GOOD = Reply(fenced("def double(count):\n    return 2 * count"))
TESTS = "import os\nfrom doubled import double\n\ndef test_it():\n    assert double(4) == 8\n"
ASKS = "os.environ['SERVICE_URL']"
SAYS = "raise LookupError('Define the environment variable SERVICE_URL.')"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "doubled.py").write_text("def double(n):\n    return 2 * n\n")
    (folder / "test_doubled.py").write_text(TESTS)
    return folder


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("conftest.py", f"import os\n{ASKS}\n"),
        ("conftest.py", f"import os, pytest\n@pytest.fixture(autouse=True)\ndef url():\n    {ASKS}\n"),
        ("test_doubled.py", f"{TESTS}    {SAYS}\n"),
    ],
)
async def test_a_variable_that_only_the_tests_need_fails_no_answer_and_is_named(
    open_server: OpenServer, project: Path, file: str, text: str
):
    (project / file).write_text(text)
    script = Script({LOCAL: [GOOD]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", **GIVEN)

    assert (receipt["status"], len(script.asked)) == ("unverified", 1)
    assert any("environment variable SERVICE_URL; `variables` of [sandbox]" in note for note in receipt["notes"])


async def test_a_configured_variable_is_set_for_tests(open_server: OpenServer, project: Path, tmp_path: Path):
    (project / "conftest.py").write_text(f"import os\nassert {ASKS} == 'http://a b'\n")
    home = tmp_path / "chargehand-home"
    home.mkdir()
    (home / "config.toml").write_text("[sandbox.variables]\nSERVICE_URL = 'http://a b'\n")
    async with open_server(Script({LOCAL: [GOOD]})) as server:
        receipt = await server.call("delegate_generation", **GIVEN)

    assert (receipt["status"], receipt["verified_by"]) == ("succeeded", ["parse", "lint", "tests"])


async def test_an_answer_that_begins_to_need_a_variable_fails(open_server: OpenServer, project: Path):
    wrong = Reply(fenced(f"import os\n\ndef double(count):\n    return {ASKS} * count"))
    async with open_server(Script({LOCAL: [wrong, GOOD]})) as server:
        receipt = await server.call("delegate_generation", **GIVEN)

    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["failed_check", "passed"]


async def test_a_plugin_that_raises_before_the_first_test_fails_no_answer(open_server: OpenServer, project: Path):
    (project / "pytest.ini").write_text("[pytest]\naddopts = -p broken_plugin\n")
    (project / "broken_plugin.py").write_text(
        "def pytest_load_initial_conftests():\n    raise LookupError('no site')\n"
    )
    script = Script({LOCAL: [GOOD]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", **GIVEN)

    assert (receipt["status"], len(script.asked)) == ("unverified", 1)
    assert any("the tests themselves cannot be run" in note and "no site" in note for note in receipt["notes"])
