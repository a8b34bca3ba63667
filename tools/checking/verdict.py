"""Interprets the verdict of a test runner inside the sandbox.

A runner reads a nonce before the answer runs and puts it before its verdict; any other output, and an exit without a
verdict, is a failure of the answer.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel, ValidationError

from ..guarding.secrets import SecretSearch
from ..guarding.text import visible
from ..vocabulary import CheckName
from .result import CheckResult
from .sandbox import WORK_FOLDER, Limits, Sandbox, SandboxRun

FAILURE_CHARACTERS = 4000

_OUR_PATHS = re.compile(
    r"(?:file://)?(?:/[\w./+-]*chargehand-run-\w+)?(?:/tmp/solution|/checker|"
    + WORK_FOLDER
    + r")/|(?<![\w./+-])/[\w./+-]*/(?=(?:lib|lib64)/python3\.\d+/)"
)
"""Folders of the sandbox and of this machine's Python, as they appear in tracebacks."""
SHIPPED = SecretSearch()
"""The search for shipped secret patterns, without user-defined ones."""
_LACKING = re.compile(r"No module named|Missing required plugins|\bfixture '?\w+'? (?:not found|is `async`)")
"""Why tests cannot be run that a Python with more packages may run (pytest 9.2, seen 2026-11-30)."""
_SLOW = "if they are slow with right code too, give fewer, or run them by [checks.NAME] with a `timeout_s`"
_UNSET = "`variables` of [sandbox] in config.toml can set it, or a command of yours, [checks.NAME], can run them"
_NOTHING_COULD_FAIL = "there is no test in it that could fail"


class RunnerReport(BaseModel):
    """The report of a runner."""

    status: Literal["passed", "failed", "broken_tests", "no_tests"]
    failure: str | None = None
    passed: int | None = None
    total: int | None = None
    missing_module: str | None = None
    imported_in: str | None = None
    """The file of the project that imports the missing module."""
    missing_variable: str | None = None
    """The environment variable that the first failure is due to."""
    was_printed: bool = False
    """Whether the failure is only in the printed output, because the tests merely set an exit code."""


@dataclass(frozen=True)
class Runner:
    """Facts about the tests and the sandbox that the runner does not know."""

    has: str
    """What code inside can import, as text for the reader."""
    is_environments: Callable[[str, str | None], bool]
    """Whether a missing module says nothing of the answer, since the tests or the unchanged project need it. The second
    argument is the project's file that imports it, if known."""
    lacks: str | None
    """How to make a missing module available. None: the sandbox has the packages of the user's environment, so an
    import that the answer added is an error in the code."""
    began_to_ask_for: Callable[[str], bool] = lambda _: False
    """Whether the answer brought in a need for an environment variable."""
    search: SecretSearch = SHIPPED
    """Finds secrets in texts that must be truncated."""


def interpret_run(run: SandboxRun, nonce: str, runner: Runner, sandbox: Sandbox, limits: Limits) -> CheckResult:
    """The result of a test run. nonce: the secret of this run."""
    result = _interpreted(run, _report(run, nonce), runner, limits)
    return replace(result, sandbox=sandbox.name, seconds=run.seconds)


def not_run(reason: str, name: CheckName = "tests") -> CheckResult:
    """The result of tests that could not be run; says nothing about the answer."""
    return CheckResult(name, "not_run", note=reason)


def _report(run: SandboxRun, nonce: str) -> RunnerReport | None:
    """The report that begins with the nonce. None: there is none, more than one, or the process was killed."""
    secret = nonce.encode()
    if run.killed_by is not None or not run.report.startswith(secret):
        return None
    try:
        return RunnerReport.model_validate_json(run.report.removeprefix(secret))
    except ValidationError:
        return None


def _interpreted(run: SandboxRun, report: RunnerReport | None, runner: Runner, limits: Limits) -> CheckResult:
    search = runner.search
    if report is None:
        note = _SLOW if run.killed_by in ("wall_time", "cpu_time") else None
        return CheckResult(
            "tests", "failed", executed=True, first_failure=why_no_verdict(run, limits, search), note=note
        )
    variable = report.missing_variable
    if variable is not None and not runner.began_to_ask_for(variable):
        why = clip(report.failure or run.output, 1000, search)
        return not_run(f"they need the environment variable {visible(variable)[:80]}; {_UNSET}. {why}")
    if report.status == "broken_tests":
        why = clip(report.failure or run.output, 1000, search)
        remedy = f"{runner.has}; {runner.lacks}. " if runner.lacks and _LACKING.search(why) else ""
        return not_run(f"{remedy}the tests themselves cannot be run: {why}")
    if report.status == "no_tests":
        found = "every test was skipped, or asserts nothing" if report.total else _NOTHING_COULD_FAIL
        return not_run(f"nothing was tested: {clip(report.failure, 300, search) if report.failure else found}")
    missing, note = report.missing_module, None
    if missing is not None:
        note = "; ".join(filter(None, (runner.has, f"module {missing} is missing", runner.lacks)))
        if runner.is_environments(missing, report.imported_in):
            needs = visible(report.imported_in or "the tests")
            return not_run(note if runner.lacks else f"{note}, which {needs} imports: install it there, or build it")
    failure = report.failure
    if failure is not None and report.was_printed:
        failure = _with_last_output(failure, run, search)
    return CheckResult(
        "tests",
        report.status,
        executed=True,
        tests_passed=report.passed if report.total else None,
        tests_total=report.total or None,
        first_failure=None if failure is None else clip(failure, FAILURE_CHARACTERS, search),
        missing_module=None if runner.lacks is None else missing,
        note=note,
    )


def why_no_verdict(run: SandboxRun, limits: Limits, search: SecretSearch) -> str:
    """The reason why a run ended without a verdict, and the end of its output."""
    reasons = {
        "wall_time": f"the tests did not finish within {limits.wall_s:g} s",
        "cpu_time": f"the tests used more than {limits.cpu_s} s of processor time",
        "output": f"more than {limits.output_kb} kB were printed",
        "signal": "the process died of a signal (out of memory, or a crash)",
    }
    ended = f"the code ended the process (exit code {run.exit_code}) before the tests had finished"
    reason = reasons[run.killed_by] if run.killed_by else ended
    return _with_last_output(reason, run, search)


def _with_last_output(reason: str, run: SandboxRun, search: SecretSearch) -> str:
    last = _cleaned(run.output, 1500, search)[-1500:]
    return f"{reason}\nthe last it printed:\n{last}" if last else reason


def clip(text: str, characters: int, search: SecretSearch) -> str:
    """The text without our paths and invisible characters; a long text is truncated in the middle, because causes are
    at the ends."""
    clean = _cleaned(text, characters, search)
    if len(clean) <= characters:
        return clean
    mark = f"\n[... {len(clean) - characters:,} characters and more cut ...]\n"
    head = (characters - len(mark)) // 3
    return clean[:head] + mark + clean[head + len(mark) - characters :]


def _cleaned(text: str, characters: int, search: SecretSearch) -> str:
    """The cleaned text; secrets are redacted if it must be truncated, because a partial secret would not be recognized
    later."""
    clean = _OUR_PATHS.sub("", visible(text)).strip()
    return clean if len(clean) <= characters else search.redact(clean)
