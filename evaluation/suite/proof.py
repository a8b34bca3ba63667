"""Proves a task with its known answers: its reference must pass its check, its wrong answers must fail it.

The check and the sandbox are the same as for an answer in a delegation.
"""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anyio
import anyio.to_thread

from ...tools.checking.answer_checks import AnswerChecks
from ...tools.checking.change_checks import ChangeChecks
from ...tools.checking.executor import Executor
from ...tools.checking.result import CheckResult
from ...tools.checking.sandbox_search import SandboxSearch, find_sandbox
from ...tools.checking.scratch import scratch_folder
from ...tools.checking.tests_given import tests_given
from ...tools.editing.answer import read_answer
from ...tools.editing.change import PlannedChanges
from ...tools.editing.context import ContextFile
from ...tools.editing.protected import Protection
from ...tools.editing.workspace import snapshot_workspace
from ...tools.errors import CallerError
from ...tools.guarding.roots import Roots
from .task import SuiteTask

FindSandbox = Callable[[], Awaitable[SandboxSearch]]

JudgeReply = Callable[[str], Awaitable[Sequence[CheckResult]]]
"""Runs the checks on a model's reply, as in a delegation."""


@dataclass(frozen=True)
class Proof:
    task: SuiteTask
    verdict: Literal["proved", "broken", "not provable"]
    """broken: the check misjudges an answer. not provable: this machine cannot run it."""
    faults: tuple[str, ...] = ()
    """Reasons that it is not proved."""
    seconds: float = 0.0


async def prove_all(
    tasks: Sequence[SuiteTask],
    find: FindSandbox = find_sandbox,
    *,
    on_proof: Callable[[Proof], None] = lambda _: None,
) -> tuple[Proof, ...]:
    """Prove all tasks, in order; as many answers are checked at once as there are processors.

    on_proof: called with each proof as soon as it is complete.
    """
    limiter = anyio.CapacityLimiter(os.cpu_count() or 1)
    proofs: dict[int, Proof] = {}

    async def one(place: int, task: SuiteTask) -> None:
        proofs[place] = await prove(task, find, limiter)
        on_proof(proofs[place])

    async with anyio.create_task_group() as group:
        for place, task in enumerate(tasks):
            group.start_soon(one, place, task)
    return tuple(proofs[place] for place in range(len(tasks)))


async def prove(
    task: SuiteTask, find: FindSandbox = find_sandbox, limiter: anyio.CapacityLimiter | None = None
) -> Proof:
    """Check that the task's check passes its reference, and fails its wrong answers and an empty one."""
    limiter = limiter or anyio.CapacityLimiter(1)
    answers = [("the reference", task.reference), *zip(_titles(task), task.wrong, strict=True), ("an empty answer", "")]
    results: dict[str, Sequence[CheckResult]] = {}
    try:
        async with judge_of(task, find) as judge:

            async def check(title: str, reply: str) -> None:
                async with limiter:
                    results[title] = await judge(reply)

            async with anyio.create_task_group() as group:
                for title, reply in answers:
                    group.start_soon(check, title, reply)
    except CallerError as error:
        return Proof(task, "broken", (str(error),))
    seconds = sum(check.seconds for checks in results.values() for check in checks)
    right = results["the reference"]
    if why := _why_not_run(right):
        return Proof(task, "broken" if "tests themselves" in why else "not provable", (why,), seconds)
    faults = [] if has_passed(right) else [f"the reference fails: {_failure(right)}"]
    faults += [f"{title} does not fail" for title, _ in answers[1:] if not has_failed(results[title])]
    return Proof(task, "broken" if faults else "proved", tuple(faults), seconds)


@asynccontextmanager
async def judge_of(task: SuiteTask, find: FindSandbox = find_sandbox) -> AsyncGenerator[JudgeReply]:
    """A function that checks replies to a task. The task's files, if any, are in a temporary folder meanwhile.

    Raises a CallerError when the tests cannot be read.
    """
    if task.target is None:
        checks = AnswerChecks(await tests_given(task.tests, Roots(())), Executor(find)).run
        yield lambda reply: checks(read_answer(reply, prose=False))
        return
    async with scratch_folder("item") as root:
        await anyio.to_thread.run_sync(unpack, task, root)
        roots = Roots((root,))
        given = await tests_given(task.tests, roots)
        test_files = frozenset((root, Path(path.partition("::")[0])) for path in given.files)
        shown = task.files if task.shown is None else task.shown
        files = [ContextFile(path, task.files[path]) for path in shown]
        workspace = await snapshot_workspace(task.target, files, roots, Protection(), test_files)
        checks = ChangeChecks(PlannedChanges(workspace), Executor(find), given, project=root).run
        yield lambda reply: checks(read_answer(reply, prose=False))


def unpack(task: SuiteTask, folder: Path) -> None:
    """Write the task's files below a folder."""
    for path, text in task.files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8", newline="")


def has_passed(checks: Sequence[CheckResult]) -> bool:
    """Whether an answer was executed, and no check failed."""
    return not has_failed(checks) and any(check.executed and check.outcome == "passed" for check in checks)


def has_failed(checks: Sequence[CheckResult]) -> bool:
    """Whether any check failed, executed or not."""
    return any(check.outcome == "failed" for check in checks)


def _titles(task: SuiteTask) -> list[str]:
    slips = task.slips or ("",) * len(task.wrong)
    return [f"wrong answer {number} ({slip})" for number, slip in enumerate(slips, start=1)]


def _why_not_run(checks: Sequence[CheckResult]) -> str | None:
    """Why nothing was executed. None: something was executed, or a check failed."""
    if has_failed(checks) or any(check.executed for check in checks):
        return None
    return "; ".join(check.note for check in checks if check.note) or "nothing was run"


def _failure(checks: Sequence[CheckResult]) -> str:
    failed = next(check for check in checks if check.outcome == "failed")
    return f"{failed.name}: {failed.first_failure or failed.note}"
