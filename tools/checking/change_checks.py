"""Checks an answer that changes files: it applies, each file parses, and tests and commands pass in a copy.

The project itself is not touched: the change is made in a copy, where everything is executed.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..editing.answer import Answer
from ..editing.change import Change, FileWrite, PlannedChanges
from ..editing.workspace import Place
from ..errors import FileRefused
from .executor import Executor
from .in_project import run_in_project, why_unseen
from .languages import guess_language, language_of_file, language_to_check
from .result import CheckResult
from .tests_given import TestsGiven

if TYPE_CHECKING:
    from .command_check import CommandCheck


@dataclass(frozen=True)
class ChangeChecks:
    """The checks of one file-changing task, applied to each of its answers."""

    changes: PlannedChanges
    executor: Executor
    tests: TestsGiven | None = None
    commands: "tuple[CommandCheck, ...]" = ()
    project: Path | None = None
    """The commands run in a copy of this folder."""
    began: Callable[[], None] = field(default=lambda: None)

    async def run(self, answer: Answer) -> tuple[CheckResult, ...]:
        """Apply the edits, parse and lint, run the tests, then the commands; the first failure ends the checks."""
        change = await self.changes.by(answer)
        if change.failures:
            return (CheckResult("edit", "failed", first_failure="\n".join(change.failures)),)
        checks = await _static(change.files)
        steps: list[Callable[[], Awaitable[CheckResult]]] = []
        if self.tests is not None:
            steps.append(partial(self._tested, change, self.tests))
        steps += [partial(self._commanded, change, command) for command in self.commands]
        for step in steps:
            if any(check.outcome == "failed" for check in checks):
                break
            self.began()
            checks.append(await step())
        return tuple(checks)

    async def _tested(self, change: Change, tests: TestsGiven) -> CheckResult:
        from .verdict import not_run

        sandbox = await self.executor.sandbox()
        if isinstance(sandbox, str):
            return not_run(f"the tests were not run: {sandbox}")
        main = self._main_file(change)
        if main is None:
            return not_run("nothing was tested: the answer changes no file that the tests could cover")
        root = tests.root or main[0]
        if (why := _why_unseen(change, main, root)) is not None:
            return not_run(f"the tests were not run: {why}")
        text, written = self._text(change, main), change.below(root)
        language = language_of_file(main[1].name) or guess_language(text)
        try:
            texts = [(file.text_before, file.text_after) for file in change.files]
            return await run_in_project(tests, main, text, language, written, self.executor, sandbox, texts)
        except FileRefused as error:
            return not_run(str(error))

    async def _commanded(self, change: Change, command: "CommandCheck") -> CheckResult:
        from .command_check import run_command_check
        from .verdict import not_run

        sandbox = await self.executor.sandbox()
        if isinstance(sandbox, str):
            return not_run(f"{command.name} was not run: {sandbox}", command.name)
        if self.project is not None and (why := _why_unseen(change, self._main_file(change), self.project)) is not None:
            return not_run(f"{command.name} was not run: {why}", command.name)
        languages = {language_of_file(file.path) for file in change.files}
        language = command.language if command.language in languages else next(iter(languages), None)
        changed: Mapping[Path, bytes] = change.below(self.project) if self.project is not None else {}
        return await run_command_check(command, "", language, self.project, sandbox, changed, self.executor.search)

    def _main_file(self, change: Change) -> Place | None:
        """The file under test: the target, else the first Python file, else the first file."""
        workspace = self.changes.workspace
        if workspace.target is not None:
            return workspace.sources[workspace.target].place
        places = [file.place for file in change.files] or [source.place for source in workspace.sources.values()]
        return next((place for place in places if place[1].suffix == ".py"), next(iter(places), None))

    def _text(self, change: Change, place: Place) -> str:
        """The text of the file after the change."""
        changed = next((file.text_after for file in change.files if file.place == place), None)
        if changed is not None:
            return changed
        source = self.changes.workspace.source_at(place)
        return source.content.text if source is not None and source.content is not None else ""


def _why_unseen(change: Change, main: Place | None, root: Path) -> str | None:
    """Why a copy of a root does not hold the whole answer, with the remedy. None: it does."""
    places = [file.place for file in change.files] or [place for place in (main,) if place is not None]
    outside = next((folder / path for folder, path in places if not (folder / path).is_relative_to(root)), None)
    return outside and why_unseen(outside, root)


async def _static(files: Sequence[FileWrite]) -> list[CheckResult]:
    """`parse` and `lint` of all files: the first failure, else the worst result of each check."""
    from .parse import check_static

    found: dict[str, CheckResult] = {}
    for file in files:
        language = language_to_check(file.path, file.text_after) or "text"
        for result in await check_static(file.text_after, language):
            check = _at(file.path, result)
            if check.outcome == "failed" and file.before is not None:
                check = _excused(check, await check_static(file.text_before, language))
            worst = found.get(check.name)
            if worst is None or _RANK[check.outcome] > _RANK[worst.outcome]:
                found[check.name] = check
        if any(check.outcome == "failed" for check in found.values()):
            break
    return list(found.values())


def _excused(check: CheckResult, before: Sequence[CheckResult]) -> CheckResult:
    """Turns a failure that the file also had before the change into `not_run`: it says nothing about the answer."""
    if not any(old.name == check.name and old.outcome == "failed" for old in before):
        return check
    note = f"it failed before the change too: {check.first_failure}"
    return replace(check, outcome="not_run", first_failure=None, note=note)


_RANK = {"passed": 0, "not_run": 1, "failed": 2}


def _at(path: str, check: CheckResult) -> CheckResult:
    """The check with the file's path prefixed to its messages."""
    return replace(
        check,
        first_failure=f"{path}: {check.first_failure}" if check.outcome == "failed" else None,
        findings=tuple(replace(finding, path=path) for finding in check.findings),
        note=f"{path}: {check.note}" if check.note else None,
    )
