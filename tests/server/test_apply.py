"""`output=apply`: the result is checked in a copy of the project and written to its files, not returned."""

import errno
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from planted import AWS_KEY
from rename_task import RENAME, RIGHT, TESTS, WRONG
from running_server import OpenServer, Script, fenced, text_of

from chargehand.evaluation.peers.reply import Reply, Stall
from chargehand.server.cli import own_services
from chargehand.tools.editing.undo import undo_task

pytestmark = pytest.mark.anyio

LOCAL, ECONOMY = "qwen3:30b-a3b", "claude-haiku-5-5"
BEFORE, AFTER = b"def double(n):\r\n    return 2 * n\r\n", b"def double(count):\r\n    return 2 * count\r\n"
APPLY = {"task": RENAME, "output": "apply", "target": "doubling.py"}


def edit_block(path: str, search: str, replace: str) -> str:
    return f"{path}\n```python\n<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n```\n"


def whole_file(path: str, text: str) -> str:
    return f"{path}\n```python\n{text}```\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "doubling.py").write_bytes(BEFORE)
    return folder


@pytest.fixture
def configure(tmp_path: Path):
    def write(text: str) -> None:
        home = tmp_path / "chargehand-home"
        home.mkdir(exist_ok=True)
        (home / "config.toml").write_text(text)

    return write


def file_contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_a_new_script_can_be_started_by_its_tests_and_when_it_is_written(open_server: OpenServer, project: Path):
    script = Reply(fenced('#!/bin/sh\necho "Hello, $1!"', "sh"))
    tests = "import subprocess\nassert subprocess.check_output(['bin/greet', 'Ann']) == b'Hello, Ann!\\n'"
    given = {"task": "Write bin/greet, which greets a name", "output": "apply", "target": "bin/greet"}
    async with open_server(Script({LOCAL: [script], ECONOMY: [script]})) as server:
        receipt = await server.call("delegate_generation", **given, tests=tests, max_attempts=1)

    assert receipt["status"] == "succeeded", receipt
    assert os.access(project / "bin" / "greet", os.X_OK)


async def test_a_verified_result_is_written_and_its_code_stays_out_of_the_receipt(
    open_server: OpenServer, project: Path, era: str
):
    async with open_server(Script({LOCAL: [RIGHT]}), era=era) as server:
        result = await server.client.call_tool("delegate_generation", {**APPLY, "tests": TESTS})
        receipt = result.structured_content
        resumed = await server.call("delegate_generation", resume=receipt["task_id"])

    assert receipt["status"] == "succeeded", receipt
    assert receipt["files_changed"] == [{"path": "doubling.py", "added": 2, "removed": 2}]
    assert "code" not in receipt
    assert "return 2 * count" not in text_of(result)
    assert "Wrote doubling.py (+2 -2)." in text_of(result)
    assert f"chargehand undo {receipt['task_id']}" in text_of(result)
    assert resumed == receipt
    assert file_contents(project) == {"doubling.py": AFTER}


async def test_an_empty_file_can_be_created_but_no_file_can_be_emptied(open_server: OpenServer, project: Path):
    answer = Reply("pkg/__init__.py\n```python\n```\n")
    emptied = Reply("doubling.py\n```python\n```\n")
    async with open_server(Script({ECONOMY: [answer, emptied]})) as server:
        created = await server.call(
            "delegate_generation",
            task="Create an empty pkg/__init__.py",
            output="apply",
            target="pkg/__init__.py",
            model="haiku",
        )
        refused = await server.call("delegate_generation", **APPLY, model="haiku", max_attempts=1)

    assert created["status"] == "unverified"
    assert created["files_changed"] == [{"path": "pkg/__init__.py", "added": 0, "removed": 0}]
    assert refused["status"] == "failed"
    assert "nothing of it would be left" in refused["attempts"][0]["checks"][0]["first_failure"]
    assert file_contents(project) == {"doubling.py": BEFORE, "pkg/__init__.py": b""}


async def test_a_result_that_the_file_already_contains_is_not_written(open_server: OpenServer, project: Path):
    as_before = Reply(whole_file("doubling.py", BEFORE.decode()))
    written_ns = (project / "doubling.py").stat().st_mtime_ns
    async with open_server(Script({LOCAL: [as_before]})) as server:
        receipt = await server.call("delegate_generation", **APPLY, model="local")

    assert receipt["status"] == "unverified"
    assert receipt["files_changed"] == []
    assert "The files already contain this: nothing was written." in receipt["notes"]
    assert (project / "doubling.py").stat().st_mtime_ns == written_ns


async def test_a_folder_as_target_is_refused_before_any_model_is_asked(open_server: OpenServer, project: Path):
    script = Script({LOCAL: [RIGHT]})
    async with open_server(script) as server:
        refusal = await server.refusal("delegate_generation", task=RENAME, output="apply", target="pkg/new/")

    assert "target: 'pkg/new/' is a folder. Name the file in it" in refusal
    assert script.asked == []
    assert file_contents(project) == {"doubling.py": BEFORE}


async def test_undo_restores_the_bytes_and_records_a_rejection(open_server: OpenServer, project: Path):
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        receipt = await server.call("delegate_generation", **APPLY, tests=TESTS)
        async with own_services() as services:
            answer = await undo_task(services, receipt["task_id"])
            row = await services.ledger.task(receipt["task_id"])

    assert file_contents(project) == {"doubling.py": BEFORE}
    assert (answer.restored, answer.removed) == (["doubling.py"], [])
    assert row is not None
    assert row.outcomes == ("rejected",)


ACL_ATTRIBUTE = "system.posix_acl_access"
ACL_ENTRIES = [(1, 6, -1), (2, 4, 12345), (4, 0, -1), (16, 4, -1), (32, 0, -1)]
"""Tag, permissions, id: the owner may read and write, user 12345 may read (as the mask allows), others nothing."""


async def test_apply_and_undo_preserve_a_files_access_list_and_attributes(open_server: OpenServer, project: Path):
    if sys.platform != "linux":
        pytest.skip("Python reads and writes extended attributes on Linux alone")
    file = project / "doubling.py"
    entries = b"".join(struct.pack("<HHi", *entry) for entry in ACL_ENTRIES)
    try:
        os.setxattr(file, "user.note", b"mine")
        os.setxattr(file, ACL_ATTRIBUTE, struct.pack("<I", 2) + entries)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        pytest.skip(f"the file system of {project} keeps no extended attributes or access lists")
    before = _metadata(file)

    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        receipt = await server.call("delegate_generation", **APPLY, tests=TESTS)
        after, written = _metadata(file), file.read_bytes()
        async with own_services() as services:
            await undo_task(services, receipt["task_id"])

    assert before["user.note"] == b"mine"
    assert written == AFTER
    assert after == before
    assert (file.read_bytes(), _metadata(file)) == (BEFORE, before)


async def test_apply_gives_a_file_no_access_list_inherited_from_its_folder(open_server: OpenServer, project: Path):
    if sys.platform != "linux":
        pytest.skip("Python reads and writes extended attributes on Linux alone")
    entries = b"".join(struct.pack("<HHi", *entry) for entry in ACL_ENTRIES)
    try:
        os.setxattr(project, "system.posix_acl_default", struct.pack("<I", 2) + entries)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        pytest.skip(f"the file system of {project} keeps no access lists")
    before = _metadata(project / "doubling.py")

    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        await server.call("delegate_generation", **APPLY, tests=TESTS)

    assert file_contents(project) == {"doubling.py": AFTER}
    assert _metadata(project / "doubling.py") == before


def _metadata(file: Path) -> dict[str, object]:
    status = file.stat()
    attributes = {name: os.getxattr(file, name) for name in os.listxattr(file)}
    return {"mode": status.st_mode, "owner": (status.st_uid, status.st_gid), **attributes}


async def test_a_result_that_fails_its_checks_is_never_written(open_server: OpenServer, project: Path):
    async with open_server(Script({LOCAL: [WRONG]})) as server:
        receipt = await server.call("delegate_generation", **APPLY, tests=TESTS, max_attempts=1)

    assert receipt["status"] == "failed"
    assert receipt["files_changed"] == []
    assert "+    return count ** 2" in receipt["code"]
    assert file_contents(project) == {"doubling.py": BEFORE}


async def test_an_unverified_result_is_written_when_no_check_was_requested(open_server: OpenServer, project: Path):
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        receipt = await server.call("delegate_generation", **APPLY)

    assert receipt["status"] == "unverified"
    assert file_contents(project) == {"doubling.py": AFTER}


async def test_a_result_is_not_written_when_the_requested_check_proved_nothing(open_server: OpenServer, project: Path):
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        receipt = await server.call("delegate_generation", **APPLY, tests="def check():\n    assert False\n")

    assert receipt["status"] == "unverified"
    assert file_contents(project) == {"doubling.py": BEFORE}
    assert "+    return 2 * count" in receipt["code"]
    assert any(note.startswith("Not written: the requested check proved nothing") for note in receipt["notes"])


async def test_an_edit_block_that_does_not_match_is_sent_back_and_its_repair_is_written(
    open_server: OpenServer, project: Path
):
    mismatched = Reply(edit_block("doubling.py", "    return n * 2\n", "    return 2 * count\n"))
    script = Script({LOCAL: [mismatched, RIGHT]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", **APPLY, tests=TESTS)

    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["failed_check", "passed"]
    assert [check["name"] for check in receipt["attempts"][0]["checks"]] == ["edit"]
    assert "is not in it" in script.asked[1].messages[-1][1]
    assert file_contents(project) == {"doubling.py": AFTER}


async def test_several_files_are_tested_and_written_together(open_server: OpenServer, project: Path):
    (project / "pkg").mkdir()
    (project / "pkg/__init__.py").write_text("")
    (project / "pkg/core.py").write_text("FACTOR = 3\n")
    answer = (
        whole_file("pkg/double.py", "from .core import FACTOR\n\ndef double(n):\n    return FACTOR * n\n")
        + edit_block("pkg/core.py", "FACTOR = 3\n", "FACTOR = 2\n")
    )  # fmt: skip
    tests = "from pkg.double import double\nimport solution\nassert solution.double is double\nassert double(4) == 8"
    async with open_server(Script({LOCAL: [Reply(answer)]})) as server:
        receipt = await server.call(
            "delegate_generation", task=RENAME, tests=tests, output="apply", target="pkg/double.py",
            context_files=["pkg/core.py"],
        )  # fmt: skip

    assert receipt["status"] == "succeeded", receipt
    assert [change["path"] for change in receipt["files_changed"]] == ["pkg/double.py", "pkg/core.py"]
    assert (project / "pkg/core.py").read_text() == "FACTOR = 2\n"


async def test_project_tests_run_against_the_change_and_are_not_rewritten(open_server: OpenServer, project: Path):
    (project / "test_doubling.py").write_text(
        "from doubling import double\n\ndef test_it():\n    assert double(4) == 8\n"
    )
    (project / "doubling.py").write_text("def double(n):\n    return 3 * n\n")
    lenient = whole_file("test_doubling.py", "def test_it():\n    pass\n")
    answer = Reply(whole_file("doubling.py", "def double(n):\n    return 5 * n\n") + lenient)
    right = Reply(whole_file("doubling.py", "def double(n):\n    return 2 * n\n"))
    async with open_server(Script({LOCAL: [answer, right]})) as server:
        receipt = await server.call(
            "delegate_generation", **APPLY, tests="test_doubling.py", context_files=["test_doubling.py"]
        )

    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["failed_check", "passed"], receipt
    assert receipt["attempts"][1]["checks"][-1]["tests_passed"] == 1
    assert (project / "doubling.py").read_text() == "def double(n):\n    return 2 * n\n"
    assert "def test_it():\n    assert double(4) == 8\n" in (project / "test_doubling.py").read_text()


async def test_tests_given_as_text_can_import_the_target_by_its_package_path(open_server: OpenServer, project: Path):
    (project / "src/app").mkdir(parents=True)
    (project / "src/app/__init__.py").write_text("")
    tests = "from app.double import double\n\ndef test_it():\n    assert double(4) == 8\n"
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        receipt = await server.call(
            "delegate_generation", task=RENAME, tests=tests, output="apply", target="src/app/double.py"
        )

    assert receipt["status"] == "succeeded", receipt
    assert (project / "src/app/double.py").read_text() == "def double(count):\n    return 2 * count\n"


async def test_tests_given_as_text_test_the_target_and_no_other_file_of_the_answer(
    open_server: OpenServer, project: Path
):
    answer = whole_file("a.py", "def double(n):\n    return 0\n") + whole_file("doubling.py", AFTER.decode())
    async with open_server(Script({LOCAL: [Reply(answer)]})) as server:
        receipt = await server.call("delegate_generation", **APPLY, tests=TESTS)

    assert (receipt["status"], receipt["files_changed"][0]["path"]) == ("succeeded", "a.py")


async def test_a_user_command_runs_in_the_changed_copy(open_server: OpenServer, project: Path, configure):
    configure('[checks.unit]\ncommand = ["python3", "check.py"]\nanswer_path = "elsewhere.py"\n')
    (project / "check.py").write_text(
        "import pathlib\nfrom doubling import double\nassert double(4) == 8\n"
        "assert not pathlib.Path('elsewhere.py').exists()\n"
    )
    async with open_server(Script({LOCAL: [WRONG, RIGHT]})) as server:
        receipt = await server.call("delegate_generation", **APPLY, checks=["unit"])

    assert receipt["verified_by"] == ["parse", "lint", "unit"], receipt
    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["failed_check", "passed"]
    assert set(file_contents(project)) == {"doubling.py", "check.py"}


async def test_a_target_without_apply_returns_a_diff_and_writes_nothing(open_server: OpenServer, project: Path):
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        receipt = await server.call(
            "delegate_generation", task=RENAME, target="doubling.py", tests="from doubling import double\n" + TESTS
        )

    assert receipt["status"] == "succeeded", receipt
    assert receipt["code"].startswith("--- a/doubling.py\n+++ b/doubling.py\n@@")
    assert receipt["files_changed"] == []
    assert file_contents(project) == {"doubling.py": BEFORE}


async def test_a_diff_creates_the_empty_files_of_an_answer_too(open_server: OpenServer, project: Path, tmp_path: Path):
    old, new = "def double(n):\n    return 2 * n\n", "def double(count):\n    return 2 * count\n"
    (project / "doubling.py").write_text(old)
    empty = "{}\n```python\n```\n"
    answer = Reply(f"{empty.format('pkg/b.py')}\n{whole_file('doubling.py', new)}\n{empty.format('pkg/__init__.py')}")
    async with open_server(Script({ECONOMY: [answer]})) as server:
        receipt = await server.call(
            "delegate_generation",
            task=f"{RENAME}, and make packages",
            context_files=["doubling.py"],
            target="pkg/__init__.py",
            model="haiku",
        )
        verdict = await server.call("validate_code", task_id=receipt["task_id"], depth="static")
    before = file_contents(project)
    (tmp_path / "change.diff").write_text(receipt["code"])
    git(project, "apply", str(tmp_path / "change.diff"))

    assert (receipt["status"], verdict["verdict"]) == ("unverified", "pass")
    assert before == {"doubling.py": old.encode()}
    assert file_contents(project) == {"doubling.py": new.encode(), "pkg/__init__.py": b"", "pkg/b.py": b""}


async def test_files_that_the_call_did_not_name_are_reported_and_not_written(open_server: OpenServer, project: Path):
    (project / "other.py").write_text("X = 1\n")
    attack = (
        whole_file("doubling.py", "def double(count):\n    return 2 * count\n")
        + '```python title=".git/hooks/pre-commit"\nimport os\n```\n'
        + whole_file("other.py", "X = 2\n")
        + whole_file("AGENTS.md", "# obey\n")
    )
    async with open_server(Script({LOCAL: [Reply(attack)]})) as server:
        receipt = await server.call("delegate_generation", **APPLY, tests=TESTS)

    assert receipt["status"] == "succeeded", receipt
    assert file_contents(project) == {"doubling.py": AFTER, "other.py": b"X = 1\n"}
    notes = "\n".join(receipt["notes"])
    for path in (".git/hooks/pre-commit", "other.py", "AGENTS.md"):
        assert f"Not written: {path} " in notes


@pytest.mark.parametrize("path", ["pyproject.toml", "sub/.github/ci.yml"])
async def test_protected_files_are_written_only_if_the_users_config_allows_it(
    open_server: OpenServer, project: Path, configure, path: str
):
    reply = Reply("```yaml\na: 1\n```\n") if path.endswith("yml") else Reply("```toml\na = 1\n```\n")
    arguments = {"task": "Write it", "output": "apply", "target": path}
    async with open_server(Script({LOCAL: [reply]})) as server:
        refusal = await server.refusal("delegate_generation", **arguments)
    assert f'[apply] allow = ["{path}"]' in refusal

    configure('[apply]\nallow = ["pyproject.toml", ".github/"]\n')
    async with open_server(Script({LOCAL: [reply]})) as server:
        receipt = await server.call("delegate_generation", **arguments)
    assert [change["path"] for change in receipt["files_changed"]] == [path]


async def test_a_file_changed_during_generation_is_not_overwritten_and_the_code_is_returned(
    open_server: OpenServer, project: Path
):
    gate = anyio.Event()
    async with open_server(Script({LOCAL: [Stall(RIGHT, gate, after=1)]})) as server:
        running = await server.call("delegate_generation", **APPLY, tests=TESTS, wait_s=0)
        (project / "doubling.py").write_text("def double(n): return n + n\n")
        gate.set()
        result = await server.client.call_tool("delegate_generation", {"resume": running["task_id"]})

    receipt = result.structured_content
    assert receipt["status"] == "failed"
    assert receipt["attempts"][0]["outcome"] == "passed"
    assert "+    return 2 * count" in receipt["code"]
    assert any("doubling.py was changed by somebody else since it was read" in note for note in receipt["notes"])
    assert "could not be written; no file has changed" in text_of(result)
    assert file_contents(project) == {"doubling.py": b"def double(n): return n + n\n"}


async def test_code_for_a_folder_deleted_during_generation_is_returned_as_failed(
    open_server: OpenServer, project: Path
):
    (project / "sub").mkdir()
    (project / "sub/doubling.py").write_bytes(BEFORE)
    gate = anyio.Event()
    async with open_server(Script({LOCAL: [Stall(RIGHT, gate, after=1)]})) as server:
        running = await server.call(
            "delegate_generation", task=RENAME, output="apply", target="sub/doubling.py", wait_s=0
        )
        shutil.rmtree(project / "sub")
        gate.set()
        receipt = await server.call("delegate_generation", resume=running["task_id"])

    assert receipt["status"] == "failed"
    assert "return 2 * count" in receipt["code"]
    assert file_contents(project) == {"doubling.py": BEFORE}


async def test_a_cancelled_task_writes_nothing(open_server: OpenServer, project: Path):
    async with open_server(Script({LOCAL: [Stall(RIGHT, anyio.Event(), after=1)]})) as server:
        running = await server.call("delegate_generation", **APPLY, wait_s=0)
        receipt = await server.call("delegate_generation", resume=running["task_id"], cancel=True)

    assert receipt["status"] == "cancelled"
    assert file_contents(project) == {"doubling.py": BEFORE}


async def test_a_syntax_error_that_the_file_already_had_does_not_fail_the_answer(
    open_server: OpenServer, project: Path
):
    (project / "old.py").write_text("print 'python two'\nA = 1\n")
    edit = Reply(edit_block("old.py", "A = 1\n", "A = 2\n"))
    async with open_server(Script({LOCAL: [edit]})) as server:
        receipt = await server.call("delegate_generation", task="Set A to 2", output="apply", target="old.py")

    assert receipt["status"] == "unverified", receipt
    assert (project / "old.py").read_text() == "print 'python two'\nA = 2\n"


async def test_a_change_that_breaks_a_files_syntax_is_sent_back_for_repair(open_server: OpenServer, project: Path):
    breaks = Reply(edit_block("doubling.py", "    return 2 * n\n", "    return 2 *\n"))
    script = Script({LOCAL: [breaks, RIGHT]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", **APPLY)

    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["failed_check", "unverified"]
    assert "doubling.py: line 2" in script.asked[1].messages[-1][1]


async def test_the_prompt_names_the_target_and_includes_its_text(open_server: OpenServer, project: Path):
    script = Script({LOCAL: [RIGHT]})
    async with open_server(script) as server:
        await server.call("delegate_generation", **APPLY)

    prompt = script.asked[0].messages[-1][1]
    assert 'path="doubling.py"' in prompt
    assert "def double(n):" in prompt
    assert "The result goes into `doubling.py`" in prompt


async def test_a_javascript_target_is_checked_by_javascript_tests(open_server: OpenServer, project: Path):
    answer = Reply(fenced("const double = (n) => 2 * n;\nmodule.exports = { double };", "javascript"))
    async with open_server(Script({LOCAL: [answer]})) as server:
        receipt = await server.call(
            "delegate_generation", task=RENAME, output="apply", target="double.js",
            tests="const assert = require('node:assert');\nassert.equal(double(4), 8);",
        )  # fmt: skip

    assert receipt["attempts"][0]["checks"][-1]["name"] == "tests"
    assert receipt["status"] in ("succeeded", "unverified"), receipt


async def test_a_javascript_target_is_tested_with_the_modules_beside_it(open_server: OpenServer, project: Path):
    (project / "twice.js").write_text("exports.times = 2;\n")
    answer = Reply(fenced("const { times } = require('./twice');\nconst double = (n) => times * n;", "javascript"))
    async with open_server(Script({LOCAL: [answer]})) as server:
        receipt = await server.call(
            "delegate_generation", task=RENAME, output="apply", target="double.js",
            tests="assert.equal(double(4), 4 * require('./twice.js').times);",
        )  # fmt: skip

    assert receipt["status"] == "succeeded", receipt


README = Reply("README.md\n````markdown\n# Doubling\n\n## Install\n\n```sh\npip install .\n```\n````\n")
README_WITHOUT_INSTALL = Reply(fenced("# Doubling", "markdown"))
NON_CODE_TARGETS = {
    "README.md": (README, "assert '## Install' in open('README.md').read()"),
    "settings.json": (
        Reply(fenced('{"times": 2}', "json")),
        "import json\n\ndef test_it():\n    assert json.load(open('settings.json'))['times'] == 2\n",
    ),
    "settings.yaml": (Reply(fenced("times: 2", "yaml")), "assert open('settings.yaml').read().strip() == 'times: 2'"),
    "query.sql": (
        Reply(fenced("SELECT 2 * n FROM numbers;", "sql")),
        "import sqlite3\ndb = sqlite3.connect(':memory:')\ndb.executescript('create table numbers(n);"
        " insert into numbers values (4)')\nassert db.execute(open('query.sql').read()).fetchall() == [(8,)]\n",
    ),
    "style.css": (Reply(fenced("p { color: teal; }", "css")), "assert 'teal' in open('style.css').read()"),
    "double.sh": (
        Reply(fenced("echo $(( $1 * 2 ))", "sh")),
        "import subprocess\nran = subprocess.run(['bash', 'double.sh', '4'], capture_output=True, text=True)\n"
        "assert ran.stdout == '8\\n'\n",
    ),
}


@pytest.mark.parametrize("target", NON_CODE_TARGETS)
async def test_python_tests_can_read_a_target_that_is_not_python(open_server: OpenServer, project: Path, target: str):
    answer, tests = NON_CODE_TARGETS[target]
    async with open_server(Script({LOCAL: [answer]})) as server:
        receipt = await server.call(
            "delegate_generation", task="Write it.", output="apply", target=target, tests=tests
        )  # fmt: skip

    assert receipt["status"] == "succeeded", receipt
    assert receipt["verified_by"][-1] == "tests"
    assert receipt["attempts"][0]["checks"][-1]["sandbox"].startswith("bubblewrap")
    assert (project / target).is_file()


async def test_the_repair_prompt_contains_the_failure_of_a_readmes_tests(open_server: OpenServer, project: Path):
    script = Script({LOCAL: [README_WITHOUT_INSTALL, README]})
    tests = NON_CODE_TARGETS["README.md"][1]
    async with open_server(script) as server:
        receipt = await server.call(
            "delegate_generation", task="Write it.", output="apply", target="README.md", tests=tests
        )  # fmt: skip

    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["failed_check", "passed"]
    assert "left: '## Install'\nright: '# Doubling\\n'" in script.asked[1].messages[-1][1]


async def test_the_tests_of_a_readme_can_import_the_project(open_server: OpenServer, project: Path):
    tests = "from doubling import double\nassert f'`{double(4)}`' in open('README.md').read()"
    async with open_server(Script({LOCAL: [Reply(fenced("double(4) gives `8`.", "markdown"))]})) as server:
        receipt = await server.call("delegate_generation", task="Write it.", target="README.md", tests=tests)

    assert (receipt["status"], receipt["files_changed"]) == ("succeeded", [])
    assert not (project / "README.md").exists()


@pytest.mark.parametrize(
    "tests",
    [
        "assert(require('fs').readFileSync('README.md', 'utf8').includes('## Install'));",
        "import { readFileSync } from 'node:fs';\nimport { test } from 'node:test';\n"
        "test('install', () => assert.match(readFileSync('README.md', 'utf8'), /^## Install$/m));\n",
    ],
)
async def test_javascript_tests_can_read_a_target_that_is_not_javascript(
    open_server: OpenServer, project: Path, tests: str
):
    async with open_server(Script({LOCAL: [README_WITHOUT_INSTALL, README]})) as server:
        receipt = await server.call("delegate_generation", task="Write it.", target="README.md", tests=tests)

    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["failed_check", "passed"]


async def test_apply_without_a_target_is_refused(open_server: OpenServer):
    async with open_server(Script()) as server:
        refusal = await server.refusal("delegate_generation", task=RENAME, output="apply")

    assert "target: output=apply needs a file to write" in refusal


async def test_an_applied_change_can_be_validated_by_its_task_id(open_server: OpenServer, project: Path):
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        receipt = await server.call("delegate_generation", **APPLY)
        verdict = await server.call("validate_code", task_id=receipt["task_id"], depth="static")

    assert verdict["verdict"] == "pass", verdict


@pytest.mark.parametrize(
    ("content", "outcomes"),
    [
        (AFTER, ()),
        (AFTER + b"# more\r\n", ()),
        (b"def double(count):\r\n    return count + count\r\n", ("edited",)),
        (BEFORE, ("rejected",)),
        (b"\x00", ("edited",)),
        (None, ()),
    ],
)
async def test_later_edits_of_written_files_are_recorded_at_the_next_delegation(
    open_server: OpenServer, project: Path, content: bytes | None, outcomes: tuple[str, ...]
):
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        receipt = await server.call("delegate_generation", **APPLY, tests=TESTS)
        (project / "doubling.py").unlink()
        if content is not None:
            (project / "doubling.py").write_bytes(content)
        await server.call("delegate_generation", task="Write something else")
        async with own_services() as services:
            row = await services.ledger.task(receipt["task_id"])

    assert row is not None
    assert row.outcomes == outcomes


async def test_a_later_tasks_write_to_the_same_file_is_no_verdict_on_the_earlier_one(
    open_server: OpenServer, project: Path
):
    other = Reply(fenced("def double(count):\n    return count + count\n"))
    async with open_server(Script({LOCAL: [RIGHT, other]})) as server:
        first = await server.call("delegate_generation", **APPLY, tests=TESTS)
        second = await server.call("delegate_generation", **APPLY | {"task": f"{RENAME} again"}, tests=TESTS)
        await server.call("delegate_generation", task="Write something else")
        async with own_services() as services:
            rows = [await services.ledger.task(receipt["task_id"]) for receipt in (first, second)]

    assert second["files_changed"], second
    assert [row.outcomes for row in rows if row is not None] == [(), ()]


async def test_a_reported_outcome_is_not_replaced_by_what_is_seen_in_the_files(open_server: OpenServer, project: Path):
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        receipt = await server.call("delegate_generation", **APPLY, tests=TESTS)
        await server.call("report_outcome", task_id=receipt["task_id"], outcome="accepted")
        (project / "doubling.py").write_bytes(BEFORE)
        await server.call("delegate_generation", task="Write something else")
        async with own_services() as services:
            row = await services.ledger.task(receipt["task_id"])

    assert row is not None
    assert row.outcomes == ("accepted",)


async def test_renaming_the_project_records_no_outcome_for_files_written_in_it(
    open_server: OpenServer, project: Path, tmp_path: Path
):
    async with open_server(Script({LOCAL: [RIGHT, RIGHT]})) as server:
        receipt = await server.call("delegate_generation", **APPLY | {"target": "new.py"}, tests=TESTS)
        assert receipt["files_changed"], receipt
        shutil.move(project, tmp_path / "renamed")
        await server.call("delegate_generation", task="Write something else")
        async with own_services() as services:
            row = await services.ledger.task(receipt["task_id"])

    assert row is not None
    assert row.outcomes == ()


def git(project: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    subprocess.run(["git", *identity, *arguments], cwd=project, check=True, capture_output=True)


@pytest.fixture
def repository(project: Path) -> Path:
    """The project, committed."""
    git(project, "init", "-q", "-b", "main")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "Begin")
    return project


@pytest.mark.parametrize(
    ("git_commands", "outcomes"),
    [
        ([["commit", "-q", "-a", "-m", "Double"], ["checkout", "-q", "main"]], ()),
        ([["commit", "-q", "-a", "-m", "Double"], ["reset", "-q", "--hard", "main"]], ()),
        ([["stash", "-q"]], ()),
        ([["checkout", "-q", "--", "doubling.py"]], ("rejected",)),
    ],
    ids=["another branch", "reset", "stash", "this file alone"],
)
async def test_reverting_with_git_counts_as_rejection_only_if_it_names_the_file(
    open_server: OpenServer, repository: Path, git_commands: list[list[str]], outcomes: tuple[str, ...]
):
    git(repository, "checkout", "-q", "-b", "feature")
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        receipt = await server.call("delegate_generation", **APPLY, tests=TESTS)
        written = (repository / "doubling.py").read_bytes()
        for arguments in git_commands:
            git(repository, *arguments)
        await server.call("delegate_generation", task="Write something else")
        async with own_services() as services:
            row = await services.ledger.task(receipt["task_id"])

    assert written != BEFORE
    assert (repository / "doubling.py").read_bytes() == BEFORE
    assert row is not None
    assert row.outcomes == outcomes


async def test_a_whole_file_answer_that_would_lose_invisible_characters_is_sent_back(
    open_server: OpenServer, project: Path
):
    original = "# left \u202e right\ndef double(n):\n    return 2 * n\n"
    (project / "doubling.py").write_text(original, encoding="utf-8")
    edit = Reply(edit_block("doubling.py", "    return 2 * n\n", "    return n + n\n"))
    script = Script({LOCAL: [RIGHT, edit]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", **APPLY)

    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["failed_check", "unverified"]
    assert "line 1 holds invisible characters that would be lost" in script.asked[1].messages[-1][1]
    assert (project / "doubling.py").read_text(encoding="utf-8") == original.replace("2 * n", "n + n")


async def test_a_redaction_placeholder_is_never_written_over_a_secret(
    open_server: OpenServer, project: Path, configure
):
    configure('[privacy]\non_secret = "redact"\n')
    secret = f'KEY = "{AWS_KEY}"\n'
    (project / "doubling.py").write_text(secret)

    rewritten = Reply(fenced('KEY = "AKIA<redacted:aws-access-key>"\n\n\ndef double(count):\n    return 2 * count'))

    async with open_server(Script({ECONOMY: [rewritten]}), installed=()) as server:
        receipt = await server.call("delegate_generation", **APPLY, model="haiku")

    assert receipt["status"] == "failed"
    assert any("placeholder" in attempt["checks"][0]["first_failure"] for attempt in receipt["attempts"])
    assert (project / "doubling.py").read_text() == secret
