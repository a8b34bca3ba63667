"""Tests of an answer, run in a sandbox: whether it is right, as far as the tests can tell.

The answer and its tests share one interpreter, as they must (the tests call it). The checker's files
are read-only, the verdict carries a secret that is read before the answer runs, and the process ends
with the verdict. So an answer does not pass by exiting early, by what it registers for the exit, by
printing, by writing files, by forking, or by replacing modules' functions that the checker holds.

What it does not protect against: an answer written against this very checker. Code in the same
interpreter can search its memory for the secret, replace parts of pytest or return objects that
compare equal to anything. Nor does it judge the tests: weak ones pass wrong answers.
"""

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from ..guarding.text import visible
from .interpreter import pytest_modules
from .result import CheckResult
from .sandbox import WORK_FOLDER, Limits, Sandbox, SandboxFailed, SandboxRun

FAILURE_CHARACTERS = 4000

_RUNNER = "/checker/tests.py"
_SITE = "/checker/site"
_PYTEST_STYLE = re.compile(r"^\s*(?:(?:async\s+)?def\s+test_|class\s+Test)", re.MULTILINE)
_OUR_PATHS = re.compile(
    r"(?:/tmp/solution|/checker|" + WORK_FOLDER + r")/|(?<![\w./+-])/[\w./+-]*/(?=(?:lib|lib64)/python3\.\d+/)"
)
"""Folders of the sandbox, and of this machine's Python, as they stand in tracebacks."""


class _Verdict(BaseModel):
    """What inside_tests.py reports."""

    status: Literal["passed", "failed", "broken_tests", "no_tests"]
    failure: str | None = None
    passed: int | None = None
    total: int | None = None
    missing_module: str | None = None


async def run_tests(answer: str, tests: str, sandbox: Sandbox | None, limits: Limits | None = None) -> CheckResult:
    """Run tests given as text.

    Tests with `def test_` or `class Test` are a pytest module: the answer is the module `solution`, and
    its public names are already imported. Others are a script, run after the answer in its namespace.
    sandbox: None when this machine has none: nothing is run.
    """
    kind = "module" if _PYTEST_STYLE.search(tests) else "script"
    return await _run({"kind": kind, "answer": answer, "tests": tests}, None, sandbox, limits or Limits())


async def run_project_tests(
    answer: str, test_paths: Sequence[str], copy: Path, sandbox: Sandbox | None, limits: Limits | None = None
) -> CheckResult:
    """Run test files of a project by pytest in a copy of it, see `project_copy.py`.

    answer: is importable as the module `solution`. test_paths: relative to the copy.
    """
    job = {"kind": "project", "answer": answer, "tests": "", "paths": list(test_paths), "options": []}
    result = await _run(job, copy, sandbox, limits or Limits())
    if result.outcome == "not_run" and "unrecognized arguments" in (result.note or ""):
        # The project's own options ask for plugins, of which there are none inside.
        result = await _run({**job, "options": ["-o", "addopts="]}, copy, sandbox, limits or Limits())
    return result


def not_run(reason: str) -> CheckResult:
    """Tests that could not be run; they prove nothing either way."""
    return CheckResult("tests", "not_run", note=reason)


async def _run(job: Mapping[str, object], folder: Path | None, sandbox: Sandbox | None, limits: Limits) -> CheckResult:
    if sandbox is None:
        return not_run("the tests were not run: no sandbox works on this machine; `chargehand doctor` says why")
    nonce = secrets.token_hex(16)
    shown = {_RUNNER: Path(__file__).with_name("inside_tests.py")}
    try:
        if job["kind"] != "script":
            shown |= {f"{_SITE}/{name}": path for name, path in pytest_modules().items()}
        run = await sandbox.run(
            [*sandbox.python, _RUNNER],
            folder,
            limits,
            stdin=json.dumps({**job, "nonce": nonce}).encode(),
            read_only=shown,
        )
    except (SandboxFailed, ModuleNotFoundError) as failure:
        return not_run(f"the tests were not run: {failure}")
    result = _judged(run, _verdict(run, nonce), str(job["tests"]), limits)
    return replace(result, sandbox=sandbox.name, seconds=run.seconds)


def _verdict(run: SandboxRun, nonce: str) -> _Verdict | None:
    """The one verdict that knows the secret. None: there is none, or more than one, or the process was killed."""
    secret = nonce.encode()
    if run.killed_by is not None or not run.report.startswith(secret) or run.report.count(secret) != 1:
        return None
    try:
        return _Verdict.model_validate_json(run.report.removeprefix(secret))
    except ValidationError:
        return None


def _judged(run: SandboxRun, verdict: _Verdict | None, tests: str, limits: Limits) -> CheckResult:
    if verdict is None:
        return CheckResult("tests", "failed", executed=True, first_failure=_why_it_never_ended(run, limits))
    if verdict.status == "broken_tests":
        return not_run(f"the tests themselves cannot be run: {_shown(verdict.failure or run.output, 1000)}")
    if verdict.status == "no_tests":
        found = "every test was skipped" if verdict.total else "there is no test in it that could fail"
        return not_run(f"nothing was tested: {found}")
    note = None if verdict.missing_module is None else _missing(verdict.missing_module)
    if verdict.missing_module is not None and _imports(tests, verdict.missing_module):
        return not_run(note or "")
    return CheckResult(
        "tests",
        verdict.status,
        executed=True,
        tests_passed=verdict.passed if verdict.total else None,
        tests_total=verdict.total or None,
        first_failure=None if verdict.failure is None else _shown(verdict.failure, FAILURE_CHARACTERS),
        missing_module=verdict.missing_module,
        note=note,
    )


def _why_it_never_ended(run: SandboxRun, limits: Limits) -> str:
    reasons = {
        "wall_time": f"the tests did not end within {limits.wall_s:g} s",
        "cpu_time": f"the tests used more than {limits.cpu_s} s of processor time",
        "output": f"more than {limits.output_kb} kB were printed",
        "signal": "the process died of a signal (out of memory, or a crash)",
    }
    ended = f"the code ended the process (exit code {run.exit_code}) before the tests had run to their end"
    reason = reasons[run.killed_by] if run.killed_by else ended
    last = _shown(run.output.strip()[-1500:], 1500)
    return f"{reason}\nthe last it printed:\n{last}" if last else reason


def _missing(module: str) -> str:
    return f"the sandbox has Python's standard library and pytest only; module {module} is missing"


def _imports(code: str, module: str) -> bool:
    top = re.escape(module.split(".")[0])
    return re.search(rf"^\s*(?:import|from)\s+(?:[\w., ]*,\s*)?{top}\b", code, re.MULTILINE) is not None


def _shown(text: str, characters: int) -> str:
    """The text without our paths and what nobody sees; a long one loses its middle, as causes stand at the ends."""
    clean = _OUR_PATHS.sub("", visible(text)).strip()
    if len(clean) <= characters:
        return clean
    mark = f"\n[... {len(clean) - characters:,} characters and more cut ...]\n"
    head = (characters - len(mark)) // 3
    return clean[:head] + mark + clean[head + len(mark) - characters :]
