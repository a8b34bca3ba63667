"""`chargehand delegate`, run as a user or a script runs it."""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest
from command_line import CommandResult, run_command
from opened_ledger import opened_ledger
from rename_task import RENAME, RIGHT, WRONG
from running_server import Script
from server_process import COMMAND

from chargehand.evaluation.peers.ollama import OllamaModel
from chargehand.evaluation.peers.reply import Stall
from chargehand.evaluation.peers.vendors import QWEN, Vendors, vendors

pytestmark = pytest.mark.anyio

LOCAL, ECONOMY = "qwen3:30b-a3b", "claude-haiku-5-5"
CODE = "def double(count):\n    return 2 * count\n"
BOUND_S = 60
"""Upper bound for a process to start, be interrupted and exit on a busy machine; no test measures the time."""


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


async def run_delegate(
    project: Path,
    script: Script,
    *arguments: str,
    standard_input: str | bytes = "",
    installed: tuple[OllamaModel, ...] = (QWEN,),
) -> CommandResult:
    data = standard_input if isinstance(standard_input, bytes) else standard_input.encode()
    return await _run(project, script, installed, arguments, input=data)


async def run_delegate_on_a_terminal(project: Path, script: Script, answer: str, *arguments: str) -> CommandResult:
    """Like `run_delegate`, but standard input is a terminal at which the answer was already typed."""
    controller, terminal = os.openpty()
    os.write(controller, answer.encode())
    try:
        return await _run(project, script, (QWEN,), arguments, stdin=terminal)
    finally:
        os.close(controller)
        os.close(terminal)


async def _run(
    project: Path, script: Script, installed: tuple[OllamaModel, ...], arguments: Sequence[str | bytes], **stdin: Any
) -> CommandResult:
    async with vendors(script, installed=installed) as peers:
        variables = environment(project, **peers.environment)
        return await run_command(variables, "delegate", *arguments, folder=project, **stdin)


async def test_stdout_is_exactly_the_code_and_the_exit_code_is_0_when_tests_pass(project: Path):
    result = await run_delegate(project, Script({LOCAL: [RIGHT]}), RENAME, "--tests", "assert double(4) == 8")

    assert (result.code, result.out) == (0, CODE)
    assert "attempt 1: qwen3-30b-a3b" in result.error
    assert "1. qwen3-30b-a3b: passed" in result.error
    assert "succeeded, checked by parse, lint, tests" in result.error


async def test_memory_stats_compare_what_was_expected_of_a_delegation_with_its_outcome(project: Path):
    await run_delegate(project, Script({LOCAL: [RIGHT]}), RENAME, "--tests", "assert double(2) == 4")
    stats = await run_command(environment(project), "memory", "stats", "--json")

    (bucket,) = stats.json["expected_success"]["buckets"]
    assert (bucket["decisions"], bucket["success_rate"]) == (1, 1.0)


async def test_without_tests_the_exit_code_is_3(project: Path):
    result = await run_delegate(project, Script({LOCAL: [RIGHT]}), RENAME)

    assert (result.code, result.out) == (3, CODE)
    assert "unverified" in result.error


async def test_code_that_fails_its_tests_exits_with_1_and_stderr_says_that_it_fails(project: Path):
    result = await run_delegate(
        project, Script({LOCAL: [WRONG]}), RENAME, "--tests", "assert double(4) == 8", "--model", "local"
    )

    assert (result.code, result.out) == (1, "def double(count):\n    return count ** 2\n")
    assert "tests failed: " in result.error
    assert "16" in result.error
    assert "The code on standard output is the best attempt; it still fails." in result.error


async def test_a_dash_reads_the_task_from_stdin_and_json_prints_the_receipt(project: Path):
    script = Script({LOCAL: [RIGHT]})
    result = await run_delegate(
        project, script, "-", "--tests", "assert double(4) == 8", "--json", "--task-type", "refactoring",
        standard_input=RENAME,
    )  # fmt: skip

    receipt = result.json
    assert (result.code, receipt["status"], receipt["code"]) == (0, "succeeded", CODE)
    assert RENAME in script.asked[0].messages[-1][1]


async def test_test_and_context_files_are_relative_to_the_current_folder(project: Path):
    (project / "test_double.py").write_text("def test_it():\n    assert double(4) == 8\n")
    (project / "rates.py").write_text("RATE = 2  # a canary of the file\n")
    script = Script({LOCAL: [RIGHT]})
    result = await run_delegate(project, script, RENAME, "--tests", "test_double.py", "--context", "rates.py")

    assert result.code == 0, result.error
    assert "RATE = 2  # a canary of the file" in script.asked[0].messages[-1][1]


async def test_a_test_file_can_import_the_answer_and_project_modules(project: Path):
    (project / "data.py").write_text("FOUR = 4\n")
    (project / "test_double.py").write_text(
        "from data import FOUR\nfrom solution import double\n\ndef test_it():\n    assert double(FOUR) == 8\n"
    )
    result = await run_delegate(project, Script({LOCAL: [RIGHT]}), RENAME, "--tests", "test_double.py")

    assert result.code == 0, result.error


async def test_a_user_defined_check_verifies_the_answer_and_an_unknown_one_is_refused(project: Path):
    data = project.parent / "data"
    data.mkdir()
    (data / "config.toml").write_text(
        '[checks.unit]\ncommand = ["python3", "check.py"]\nanswer_path = "double.py"\n\n'
        '[checks.style]\ncommand = ["grep", "-q", "return 2", "double.py"]\nanswer_path = "double.py"\n'
    )
    (project / "check.py").write_text("from double import double\nassert double(4) == 8\n")

    right = await run_delegate(project, Script({LOCAL: [RIGHT]}), RENAME, "--checks", "unit", "style")
    wrong = await run_delegate(project, Script({LOCAL: [WRONG]}), RENAME, "--model", "local", "--checks", "unit")
    unknown = await run_delegate(project, Script(), RENAME, "--checks", "deploy")

    assert (right.code, right.out) == (0, CODE)
    assert "succeeded, checked by parse, lint, unit, style" in right.error
    assert (wrong.code, unknown.code, unknown.out) == (1, 1, "")
    assert "qwen3-30b-a3b: failed_check" in wrong.error
    assert "deploy is not a check in the user's config file. They are: style, unit" in unknown.error


async def test_local_only_and_max_cost_usd_are_enforced(project: Path):
    result = await run_delegate(project, Script(), RENAME, "--local-only", installed=())
    over_budget = await run_delegate(
        project, Script(), RENAME, "--model", "opus", "--max-cost-usd", "0.0001", "--max-seconds", "9"
    )

    assert (result.code, over_budget.code) == (1, 1)
    assert "refused" in result.error
    assert "over_budget" in over_budget.error


def write_config(project: Path, config: str) -> None:
    (project.parent / "data").mkdir()
    (project.parent / "data" / "config.toml").write_text(config)


async def test_a_cost_above_ask_above_usd_is_refused_without_a_terminal(project: Path):
    write_config(project, "[budget]\nask_above_usd = 0.5\n")
    script = Script({LOCAL: [RIGHT]})

    refused = await run_delegate(project, script, RENAME, "--max-cost-usd", "2")
    within = await run_delegate(project, Script({LOCAL: [RIGHT]}), RENAME, "--max-cost-usd", "0.5")

    assert (refused.code, refused.out, script.asked) == (1, "", [])
    assert refused.error == (
        "--max-cost-usd: 2 is above [budget] ask_above_usd (0.5), and there is no terminal to ask on. Give at"
        " most 0.5, or raise ask_above_usd in config.toml.\n"
    )
    assert within.code == 3, within.error


async def test_without_max_cost_usd_a_delegation_may_spend_at_most_ask_above_usd(project: Path):
    write_config(project, "[budget]\nask_above_usd = 0.0001\n")

    result = await run_delegate(project, Script(), RENAME, "--model", "opus")

    assert result.code == 1
    assert "over_budget" in result.error
    assert (
        "Without --max-cost-usd a delegation may spend at most $0.0001; for a higher limit you are asked"
        in result.error
    )


@pytest.mark.parametrize(("answer", "exit_code", "models"), [("y\n", 3, [LOCAL]), ("n\n", 1, []), ("\x04", 1, [])])
async def test_on_a_terminal_the_user_is_asked_before_spending_above_ask_above_usd(
    project: Path, answer: str, exit_code: int, models
):
    write_config(project, "[budget]\nask_above_usd = 0.5\n")
    script = Script({LOCAL: [RIGHT]})

    result = await run_delegate_on_a_terminal(project, script, answer, RENAME, "--max-cost-usd", "2")

    assert "--max-cost-usd: 2 is above [budget] ask_above_usd (0.5). Allow it?" in result.error
    assert (result.code, script.models) == (exit_code, models), result.error
    assert "Traceback" not in result.error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "gpt9"), "gpt9"),
        (("--tests", "def broken("), "do not parse as Python"),
        (("--context", "/etc/passwd"), "context_files"),
    ],
)
async def test_user_errors_are_reported_without_a_traceback(project: Path, arguments, message: str):
    result = await run_delegate(project, Script(), RENAME, *arguments)

    assert (result.code, result.out) == (1, "")
    assert message in result.error
    assert "Traceback" not in result.error


async def test_a_limit_out_of_range_and_an_empty_task_are_refused(project: Path):
    wrong = await run_delegate(project, Script(), RENAME, "--max-seconds", "0")
    empty = await run_delegate(project, Script(), "-", standard_input=" \n")

    assert (wrong.code, empty.code) == (2, 1)
    assert "between 1 and 3600" in wrong.error
    assert "empty" in empty.error


async def test_texts_longer_than_the_tool_accepts_are_refused(project: Path):
    long = await run_delegate(project, Script(), "-", standard_input="x" * 200_001)
    model = await run_delegate(project, Script(), RENAME, "--model", "m" * 201)
    (project / "long.txt").write_text("x" * 200_001)
    tests = await run_delegate(project, Script(), RENAME, "--tests", "long.txt")

    assert [result.code for result in (long, model, tests)] == [1, 1, 1]
    assert "task: String should have at most 200000 characters; got 200,001 characters." in long.error
    assert "--model: String should have at most 200 characters; got 201 characters." in model.error
    assert "--tests: String should have at most 200000 characters; got 200,001 characters." in tests.error


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize(
    ("arguments", "redirection", "message"),
    [
        ((), ">/dev/full", "it cannot be written (No space left on device)"),
        (("--json",), ">/dev/full", "it cannot be written (No space left on device)"),
        ((), ">&-", "it is closed"),
    ],
)
async def test_when_stdout_is_unwritable_the_error_says_where_the_code_is_kept(
    project: Path, arguments: tuple[str, ...], redirection: str, message: str
):
    async with vendors(Script({LOCAL: [RIGHT]})) as peers:
        with anyio.fail_after(60):
            completed = await anyio.run_process(
                ["sh", "-c", f'"$@" {redirection}', "sh", *COMMAND, "delegate", RENAME, *arguments],
                check=False,
                env=environment(project, **peers.environment),
                cwd=project,
            )

    error = completed.stderr.decode()
    assert completed.returncode == 1
    assert f"standard output: {message}. chargehand://tasks/" in error
    assert "Traceback" not in error
    assert "Exception ignored" not in error


async def start_delegate(project: Path, peers: Vendors) -> anyio.abc.Process:
    return await anyio.open_process(
        [*COMMAND, "delegate", RENAME],
        env=environment(project, **peers.environment),
        cwd=project,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_disconnects_from_the_vendor_and_records_the_cancellation(project: Path, ending: signal.Signals):
    script = Script({ECONOMY: [Stall(RIGHT, anyio.Event(), after=2)]})
    async with vendors(script, installed=()) as peers:
        with anyio.fail_after(BOUND_S):
            async with await start_delegate(project, peers) as process:
                await script.was_asked.wait()
                process.send_signal(ending)
                assert process.stderr is not None
                errors = b"".join([piece async for piece in process.stderr]).decode()
                exit_code = await process.wait()
                exchange = peers.anthropic.journal.to("/v1/messages")[0]
                await exchange.over.wait()

    assert exit_code == 1
    assert "cancelled" in errors
    assert "Traceback" not in errors
    assert exchange.client_disconnected
    with opened_ledger(project.parent / "data") as db:
        assert db.execute("SELECT status, interrupted FROM tasks").fetchall() == [("cancelled", 0)]
        assert db.execute("SELECT COUNT(*) FROM attempts WHERE cost_usd IS NULL").fetchone() == (0,)


async def test_repeated_ctrl_c_does_not_suppress_the_report_of_the_cost(project: Path):
    script = Script({ECONOMY: [Stall(RIGHT, anyio.Event(), after=2)]})
    async with vendors(script, installed=()) as peers:
        with anyio.fail_after(BOUND_S):
            async with await start_delegate(project, peers) as process:
                await script.was_asked.wait()

                async def keep_interrupting() -> None:
                    while process.returncode is None:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(process.pid, signal.SIGINT)  # `send_signal` would collect its exit code
                        await anyio.lowlevel.checkpoint()

                async with anyio.create_task_group() as group:
                    group.start_soon(keep_interrupting)
                    assert process.stderr is not None
                    errors = b"".join([piece async for piece in process.stderr]).decode()
                    exit_code = await process.wait()

    assert exit_code == 1
    assert "cancelled, $0.0" in errors


async def test_apply_writes_the_target_instead_of_stdout_and_undo_restores_it(project: Path):
    (project / "double.py").write_bytes(b"def double(n):\r\n    return 2 * n\r\n")

    result = await run_delegate(
        project,
        Script({LOCAL: [RIGHT]}),
        RENAME,
        "--tests",
        "assert double(4) == 8",
        "--apply",
        "--target",
        "double.py",
    )

    assert (result.code, result.out) == (0, ""), result.error
    assert "double.py: +2 -2" in result.error
    assert (project / "double.py").read_bytes() == b"def double(count):\r\n    return 2 * count\r\n"
    (task_id,) = re.findall(r"chargehand undo (\w{32})", result.error)

    (project / "double.py").write_bytes(b"mine\n")
    refused = await run_undo(project, task_id)
    assert refused.code == 1
    assert "+mine" in refused.error
    (project / "double.py").write_bytes(b"def double(count):\r\n    return 2 * count\r\n")
    undone = await run_undo(project, task_id, "--json")
    assert undone.code == 0, undone.error
    assert [answer["task_id"] for answer in undone.json] == [task_id]
    assert (project / "double.py").read_bytes() == b"def double(n):\r\n    return 2 * n\r\n"


async def run_undo(project: Path, *arguments: str) -> CommandResult:
    return await run_command(environment(project), "undo", *arguments, folder=project)
