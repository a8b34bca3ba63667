"""Accuracy of the verdicts of executed checks, on labelled programs with tests.

Each program gets the same checks as an answer in a delegation. A wrong pass is the worst possible error; a wrong fail
costs another attempt. When a verdict contradicts the data set, plain Python decides in the same sandbox, without our
checker.
"""

import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anyio
import anyio.to_thread
from rich.progress import Progress
from rich.table import Table

from ...tools.checking.answer_checks import AnswerChecks
from ...tools.checking.executor import Executor
from ...tools.checking.result import CheckResult
from ...tools.checking.sandbox import Command, Sandbox
from ...tools.checking.sandbox_search import SandboxConfig, SandboxSearch, find_sandbox
from ...tools.checking.tests_given import TestsGiven
from ...tools.editing.answer import Answer
from ..unusable import in_words
from .output import output, progress_output, refuse
from .programs import Program, UnknownPrograms, read_programs

_AT_ONCE = 2
_IMPORTABLE = """\
import importlib.util, sys
for name in sys.argv[1:]:
    print(name, importlib.util.find_spec(name) is not None)
"""


_WITH_ITS_NAMES = "import sys\nsys.path.insert(0, '.')\nfrom solution import *\n"


@dataclass(frozen=True)
class Judged:
    program: Program
    verdict: Literal["passed", "failed", "not run"]
    """not run: nothing was executed, and no check failed."""
    is_right: bool
    """According to the data set, unless plain Python contradicts it."""
    is_disputed: bool
    """True: plain Python contradicts the data set."""
    why: str

    @property
    def is_wrong_pass(self) -> bool:
        return self.verdict == "passed" and not self.is_right

    @property
    def is_wrong_fail(self) -> bool:
        return self.verdict == "failed" and self.is_right


async def measure_verdicts(data: Path, *, limit: int | None = None, python: Path | None = None) -> int:
    """Judge the programs of a data set and print the results; returns the exit code.

    1: a verdict is wrong. 2: the data or a sandbox is missing.
    limit: only the first programs. python: absolute path; programs may import its packages, as with `[sandbox] python`.
    """
    console = output()
    try:
        programs = (await anyio.to_thread.run_sync(read_programs, data))[:limit]
    except (OSError, UnknownPrograms) as error:
        return refuse(in_words(error, data))
    search = await find_sandbox(SandboxConfig(python=python))
    if search.sandbox is None:
        return refuse(f"{search.reason}. {search.remedy or ''}")
    there = await _importable(search.sandbox, programs)
    left_out = [program for program in programs if not all(there.get(name) for name in program.needs)]
    judged = await _judge_all([p for p in programs if p not in left_out], search.sandbox)
    console.print(_table(judged, f"{data.name}, {search.sandbox.name}"))
    if left_out:
        missing = sorted({name for program in left_out for name in program.needs if not there.get(name)})
        console.print(f"{len(left_out)} programs are left out: {', '.join(missing)} cannot be imported.", markup=False)
    if no_tests := sum(one.program.tests is None for one in judged):
        console.print(
            f"{no_tests} programs are only parsed: their tests need a command of yours, [checks.NAME].", markup=False
        )
    for one in judged:
        has_tests = one.program.tests is not None
        if one.is_wrong_pass or one.is_wrong_fail or one.is_disputed or (has_tests and one.verdict == "not run"):
            kind = "WRONG" if one.is_wrong_pass or one.is_wrong_fail else "disputed" if one.is_disputed else "not run"
            console.print(f"{kind}: {one.program.name} ({one.program.kind}): {one.verdict}: {one.why}", markup=False)
    return 1 if any(one.is_wrong_pass or one.is_wrong_fail for one in judged) else 0


async def _importable(sandbox: Sandbox, programs: Sequence[Program]) -> Mapping[str, bool]:
    names = sorted({name for program in programs for name in program.needs})
    run = await sandbox.run(Command([*sandbox.python, "-c", _IMPORTABLE, *names]))
    found = (line.split() for line in run.output.splitlines())
    return {name: said == "True" for name, said in found}


async def _judge_all(programs: Sequence[Program], sandbox: Sandbox) -> list[Judged]:
    judged: dict[int, Judged] = {}
    limiter = anyio.CapacityLimiter(_AT_ONCE)
    with Progress(console=progress_output(), transient=True) as progress:
        bar = progress.add_task("judging programs", total=len(programs))

        async def one(place: int, program: Program) -> None:
            async with limiter:
                judged[place] = await _judge(program, sandbox)
            progress.advance(bar)

        async with anyio.create_task_group() as group:
            for place, program in enumerate(programs):
                group.start_soon(one, place, program)
    return [judged[place] for place in sorted(judged)]


async def _judge(program: Program, sandbox: Sandbox) -> Judged:
    tests = None if program.tests is None else TestsGiven(code=program.tests)

    async def found() -> SandboxSearch:
        return SandboxSearch(sandbox, sandbox.name)

    checks = AnswerChecks(tests, Executor(found))
    results = await checks.run(Answer(code=program.code, language=program.language, is_whole=True))
    verdict = _verdict(results)
    expected, is_disputed = program.is_right, False
    if program.plain is not None and (expected is None or (verdict == "passed") != expected):
        by_python = await _passes_in_plain_python(program.code, program.plain, sandbox)
        is_disputed = expected is not None and by_python != expected
        expected = by_python
    return Judged(program, verdict, bool(expected), is_disputed, _why(results))


def _verdict(results: Sequence[CheckResult]) -> Literal["passed", "failed", "not run"]:
    if any(check.outcome == "failed" for check in results):
        return "failed"
    return "passed" if any(check.executed and check.outcome == "passed" for check in results) else "not run"


def _why(results: Sequence[CheckResult]) -> str:
    """The last line of the first failure, or why nothing was run."""
    said = next((check.first_failure for check in results if check.first_failure), None)
    notes = "; ".join(check.note for check in results if check.note)
    return ((said or "").strip().rpartition("\n")[2] or notes or "nothing was executed")[:200]


async def _passes_in_plain_python(code: str, tests: str, sandbox: Sandbox) -> bool:
    """Whether plain Python exits with 0 when it runs the tests in the namespace of the code."""
    with tempfile.TemporaryDirectory() as name:
        await anyio.Path(name, "solution.py").write_text(code)
        await anyio.Path(name, "plain.py").write_text(f"{_WITH_ITS_NAMES}{tests}")
        run = await sandbox.run(Command([*sandbox.python, "plain.py"], Path(name)))
    return run.exit_code == 0


def _table(judged: Sequence[Judged], title: str) -> Table:
    groups: defaultdict[tuple[str, str], list[Judged]] = defaultdict(list)
    for one in judged:
        groups[one.program.language, one.program.kind].append(one)
    columns = ("language", "kind", "programs", "passed", "failed", "not run", "wrong passes", "wrong fails", "disputed")
    table = Table(*columns, title=title)
    for (language, kind), ones in groups.items():
        counts = [sum(one.verdict == verdict for one in ones) for verdict in ("passed", "failed", "not run")]
        wrong = [sum(o.is_wrong_pass for o in ones), sum(o.is_wrong_fail for o in ones)]
        disputed = sum(one.is_disputed for one in ones)
        table.add_row(language, kind, *map(str, (len(ones), *counts, *wrong, disputed)))
    return table
