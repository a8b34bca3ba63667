"""`chargehand delegate` as a person, or a script, types it."""

import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from command_line import CommandResult, run_command
from house import Script
from rename_task import RENAME, RIGHT, WRONG
from server_process import COMMAND

from chargehand.evaluation.peers.ollama import OllamaModel
from chargehand.evaluation.peers.reply import Stall
from chargehand.evaluation.peers.vendors import QWEN, vendors

pytestmark = pytest.mark.anyio

LOCAL, ECONOMY = "qwen3:30b-a3b", "claude-haiku-5-5"
CODE = "def double(count):\n    return 2 * count\n"
BOUND_S = 60
"""For a process to start, be interrupted and end on a busy machine; nothing here tests how long it takes."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    return folder


def environment(project: Path, **more: str) -> dict[str, str]:
    home = project.parent
    return {
        "PATH": os.environ["PATH"], "COLUMNS": "200", "HOME": str(home), "CHARGEHAND_HOME": str(home / "data"), **more
    }  # fmt: skip


async def typed(
    project: Path,
    script: Script,
    *arguments: str,
    standard_input: str | bytes = "",
    installed: tuple[OllamaModel, ...] = (QWEN,),
) -> CommandResult:
    data = standard_input if isinstance(standard_input, bytes) else standard_input.encode()
    return await _ran(project, script, installed, arguments, input=data)


async def typed_on_a_terminal(project: Path, script: Script, answer: str, *arguments: str) -> CommandResult:
    """The same, where standard input is a terminal with an answer typed ahead."""
    ours, theirs = os.openpty()
    os.write(ours, answer.encode())
    try:
        return await _ran(project, script, (QWEN,), arguments, stdin=theirs)
    finally:
        os.close(ours)
        os.close(theirs)


async def _ran(
    project: Path, script: Script, installed: tuple[OllamaModel, ...], arguments: Sequence[str | bytes], **stdin: Any
) -> CommandResult:
    async with vendors(script, installed=installed) as peers:
        own = environment(project, **peers.environment)
        return await run_command(own, "delegate", *arguments, folder=project, **stdin)


async def test_code_whose_tests_pass_is_all_of_standard_output_and_the_exit_code_is_0(project: Path):
    seen = await typed(project, Script({LOCAL: [RIGHT]}), RENAME, "--tests", "assert double(4) == 8")

    assert (seen.code, seen.out) == (0, CODE)
    assert "attempt 1: qwen3-30b-a3b" in seen.error
    assert "1. qwen3-30b-a3b: passed" in seen.error
    assert "succeeded, checked by parse, lint, tests" in seen.error


async def test_without_tests_the_exit_code_is_3(project: Path):
    seen = await typed(project, Script({LOCAL: [RIGHT]}), RENAME)

    assert (seen.code, seen.out) == (3, CODE)
    assert "unverified" in seen.error


async def test_code_that_fails_its_tests_ends_with_1_and_is_not_passed_off_as_the_result(project: Path):
    seen = await typed(
        project, Script({LOCAL: [WRONG]}), RENAME, "--tests", "assert double(4) == 8", "--model", "local"
    )

    assert (seen.code, seen.out) == (1, "def double(count):\n    return count ** 2\n")
    assert "tests failed: " in seen.error
    assert "16" in seen.error
    assert "The code on standard output is the best attempt; it still fails." in seen.error


async def test_the_task_comes_from_standard_input_and_the_receipt_as_json(project: Path):
    script = Script({LOCAL: [RIGHT]})
    seen = await typed(
        project, script, "-", "--tests", "assert double(4) == 8", "--json", "--task-type", "refactoring",
        standard_input=RENAME,
    )  # fmt: skip

    receipt = seen.json
    assert (seen.code, receipt["status"], receipt["code"]) == (0, "succeeded", CODE)
    assert RENAME in script.asked[0].messages[-1][1]


async def test_tests_and_context_come_from_files_relative_to_the_folder_it_is_typed_in(project: Path):
    (project / "test_double.py").write_text("def test_it():\n    assert double(4) == 8\n")
    (project / "rates.py").write_text("RATE = 2  # a canary of the file\n")
    script = Script({LOCAL: [RIGHT]})
    seen = await typed(project, script, RENAME, "--tests", "test_double.py", "--context", "rates.py")

    assert seen.code == 0, seen.error
    assert "RATE = 2  # a canary of the file" in script.asked[0].messages[-1][1]


async def test_a_test_file_that_imports_the_answer_runs_in_a_copy_of_its_project(project: Path):
    (project / "data.py").write_text("FOUR = 4\n")
    (project / "test_double.py").write_text(
        "from data import FOUR\nfrom solution import double\n\ndef test_it():\n    assert double(FOUR) == 8\n"
    )
    seen = await typed(project, Script({LOCAL: [RIGHT]}), RENAME, "--tests", "test_double.py")

    assert seen.code == 0, seen.error


async def test_a_check_of_the_users_own_verifies_the_answer_and_its_absence_is_said(project: Path):
    data = project.parent / "data"
    data.mkdir()
    (data / "config.toml").write_text(
        '[checks.unit]\ncommand = ["python3", "check.py"]\nanswer_path = "double.py"\n\n'
        '[checks.style]\ncommand = ["grep", "-q", "return 2", "double.py"]\nanswer_path = "double.py"\n'
    )
    (project / "check.py").write_text("from double import double\nassert double(4) == 8\n")

    right = await typed(project, Script({LOCAL: [RIGHT]}), RENAME, "--checks", "unit", "style")
    wrong = await typed(project, Script({LOCAL: [WRONG]}), RENAME, "--model", "local", "--checks", "unit")
    unknown = await typed(project, Script(), RENAME, "--checks", "deploy")

    assert (right.code, right.out) == (0, CODE)
    assert "succeeded, checked by parse, lint, unit, style" in right.error
    assert (wrong.code, unknown.code, unknown.out) == (1, 1, "")
    assert "qwen3-30b-a3b: failed_check" in wrong.error
    assert "deploy is not a check in the user's config file. They are: style, unit" in unknown.error


async def test_local_only_and_the_limits_reach_the_contract(project: Path):
    seen = await typed(project, Script(), RENAME, "--local-only", installed=())
    dear = await typed(project, Script(), RENAME, "--model", "opus", "--max-cost-usd", "0.0001", "--max-seconds", "9")

    assert (seen.code, dear.code) == (1, 1)
    assert "refused" in seen.error
    assert "over_budget" in dear.error


def settle(project: Path, config: str) -> None:
    (project.parent / "data").mkdir()
    (project.parent / "data" / "config.toml").write_text(config)


async def test_more_than_goes_unasked_is_refused_without_a_terminal_and_nobody_is_asked(project: Path):
    settle(project, "[budget]\nask_above_usd = 0.5\n")
    script = Script({LOCAL: [RIGHT]})

    refused = await typed(project, script, RENAME, "--max-cost-usd", "2")
    within = await typed(project, Script({LOCAL: [RIGHT]}), RENAME, "--max-cost-usd", "0.5")

    assert (refused.code, refused.out, script.asked) == (1, "", [])
    assert refused.error == (
        "--max-cost-usd: 2 is above [budget] ask_above_usd (0.5), and there is no terminal to ask on. Give at"
        " most 0.5, or raise ask_above_usd in config.toml.\n"
    )
    assert within.code == 3, within.error


async def test_a_delegation_that_names_no_limit_may_spend_what_goes_unasked(project: Path):
    settle(project, "[budget]\nask_above_usd = 0.0001\n")

    seen = await typed(project, Script(), RENAME, "--model", "opus")

    assert seen.code == 1
    assert "over_budget" in seen.error
    assert (
        "Without --max-cost-usd a delegation may spend at most $0.0001; for a higher limit you are asked" in seen.error
    )


@pytest.mark.parametrize(("answer", "code", "models"), [("y\n", 3, [LOCAL]), ("n\n", 1, []), ("\x04", 1, [])])
async def test_on_a_terminal_the_person_is_asked_before_more_is_spent(project: Path, answer: str, code: int, models):
    settle(project, "[budget]\nask_above_usd = 0.5\n")
    script = Script({LOCAL: [RIGHT]})

    seen = await typed_on_a_terminal(project, script, answer, RENAME, "--max-cost-usd", "2")

    assert "--max-cost-usd: 2 is above [budget] ask_above_usd (0.5). Allow it?" in seen.error
    assert (seen.code, script.models) == (code, models), seen.error
    assert "Traceback" not in seen.error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--model", "gpt9"), "gpt9"),
        (("--tests", "def broken("), "do not parse as Python"),
        (("--context", "/etc/passwd"), "context_files"),
    ],
)
async def test_what_its_user_can_mend_is_said_in_a_line_without_a_traceback(project: Path, arguments, said: str):
    seen = await typed(project, Script(), RENAME, *arguments)

    assert (seen.code, seen.out) == (1, "")
    assert said in seen.error
    assert "Traceback" not in seen.error


async def test_a_limit_out_of_bounds_and_an_empty_task_are_refused_before_anything_starts(project: Path):
    wrong = await typed(project, Script(), RENAME, "--max-seconds", "0")
    empty = await typed(project, Script(), "-", standard_input=" \n")

    assert (wrong.code, empty.code) == (2, 1)
    assert "between 1 and 3600" in wrong.error
    assert "empty" in empty.error


async def test_what_the_server_would_refuse_for_its_length_is_refused_here_too(project: Path):
    long = await typed(project, Script(), "-", standard_input="x" * 200_001)
    model = await typed(project, Script(), RENAME, "--model", "m" * 201)
    (project / "long.txt").write_text("x" * 200_001)
    tests = await typed(project, Script(), RENAME, "--tests", "long.txt")

    assert [seen.code for seen in (long, model, tests)] == [1, 1, 1]
    assert "task: String should have at most 200000 characters; got 200,001 characters." in long.error
    assert "--model: String should have at most 200 characters; got 201 characters." in model.error
    assert "--tests: String should have at most 200000 characters; got 200,001 characters." in tests.error


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize(
    ("arguments", "place", "said"),
    [
        ((), ">/dev/full", "it cannot be written (No space left on device)"),
        (("--json",), ">/dev/full", "it cannot be written (No space left on device)"),
        ((), ">&-", "it is closed"),
    ],
)
async def test_code_that_cannot_be_printed_is_said_to_be_lost_and_where_it_is_kept(
    project: Path, arguments: tuple[str, ...], place: str, said: str
):
    async with vendors(Script({LOCAL: [RIGHT]})) as peers:
        with anyio.fail_after(60):
            done = await anyio.run_process(
                ["sh", "-c", f'"$@" {place}', "sh", *COMMAND, "delegate", RENAME, *arguments],
                check=False,
                env=environment(project, **peers.environment),
                cwd=project,
            )

    error = done.stderr.decode()
    assert done.returncode == 1
    assert f"standard output: {said}. chargehand://tasks/" in error
    assert "Traceback" not in error
    assert "Exception ignored" not in error


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_cancels_down_to_the_connection_and_closes_the_books(project: Path, ending: signal.Signals):
    script = Script({ECONOMY: [Stall(RIGHT, anyio.Event(), after=2)]})
    async with vendors(script, installed=()) as peers:
        with anyio.fail_after(BOUND_S):
            async with await anyio.open_process(
                [*COMMAND, "delegate", RENAME],
                env=environment(project, **peers.environment),
                cwd=project,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            ) as process:
                await script.was_asked.wait()
                process.send_signal(ending)
                assert process.stderr is not None
                said = b"".join([piece async for piece in process.stderr]).decode()
                code = await process.wait()
                exchange = peers.anthropic.journal.to("/v1/messages")[0]
                await exchange.over.wait()

    assert code == 1
    assert "cancelled" in said
    assert "Traceback" not in said
    assert exchange.client_disconnected
    with sqlite3.connect(project.parent / "data" / "ledger.sqlite3") as db:
        assert db.execute("SELECT status, interrupted FROM tasks").fetchall() == [("cancelled", 0)]
        assert db.execute("SELECT COUNT(*) FROM attempts WHERE cost_usd IS NULL").fetchone() == (0,)


async def test_impatient_ctrl_cs_do_not_keep_it_from_saying_what_was_spent(project: Path):
    script = Script({ECONOMY: [Stall(RIGHT, anyio.Event(), after=2)]})
    async with vendors(script, installed=()) as peers:
        with anyio.fail_after(BOUND_S):
            async with await anyio.open_process(
                [*COMMAND, "delegate", RENAME],
                env=environment(project, **peers.environment),
                cwd=project,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            ) as process:
                await script.was_asked.wait()

                async def insist() -> None:
                    while process.returncode is None:
                        process.send_signal(signal.SIGINT)
                        await anyio.lowlevel.checkpoint()

                async with anyio.create_task_group() as group:
                    group.start_soon(insist)
                    assert process.stderr is not None
                    said = b"".join([piece async for piece in process.stderr]).decode()
                    code = await process.wait()

    assert code == 1
    assert "cancelled, $0.0" in said


async def test_apply_writes_the_target_instead_of_printing_and_undo_takes_it_back(project: Path):
    (project / "double.py").write_bytes(b"def double(n):\r\n    return 2 * n\r\n")

    seen = await typed(
        project,
        Script({LOCAL: [RIGHT]}),
        RENAME,
        "--tests",
        "assert double(4) == 8",
        "--apply",
        "--target",
        "double.py",
    )

    assert (seen.code, seen.out) == (0, ""), seen.error
    assert "double.py: +2 -2" in seen.error
    assert (project / "double.py").read_bytes() == b"def double(count):\r\n    return 2 * count\r\n"
    (task_id,) = re.findall(r"chargehand undo (\w{32})", seen.error)

    (project / "double.py").write_bytes(b"mine\n")
    refused = await undone(project, task_id)
    assert refused.code == 1
    assert "+mine" in refused.error
    (project / "double.py").write_bytes(b"def double(count):\r\n    return 2 * count\r\n")
    taken = await undone(project, task_id, "--json")
    assert taken.code == 0, taken.error
    assert [answer["task_id"] for answer in taken.json] == [task_id]
    assert (project / "double.py").read_bytes() == b"def double(n):\r\n    return 2 * n\r\n"


async def undone(project: Path, *arguments: str) -> CommandResult:
    return await run_command(environment(project), "undo", *arguments, folder=project)
