"""The checks of an answer that changes files: it can be placed, each file parses, and what runs passes in a copy.

Nothing of the project itself is touched: the change is made in a copy, and all that is executed runs there.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..editing.answer import Answer
from ..editing.change import Change, Changes, FileChange
from ..errors import FileRefused
from .answer_checks import TestsGiven, family
from .executing import Executing
from .languages import guess_language, language_of_file
from .result import CheckResult

if TYPE_CHECKING:
    from .command_check import CommandCheck
    from .running import InPlace
    from .sandbox import Sandbox


@dataclass(frozen=True)
class ChangeChecks:
    """The checks of one task that changes files, for each of its answers."""

    changes: Changes
    executing: Executing
    tests: TestsGiven | None = None
    commands: "tuple[CommandCheck, ...]" = ()
    project: Path | None = None
    """Where the commands run, in a copy."""
    began: Callable[[], None] = field(default=lambda: None)

    async def run(self, answer: Answer) -> tuple[CheckResult, ...]:
        """Place, then parse and lint, then tests, then commands; whatever fails ends them."""
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

        sandbox = await self.executing.sandbox()
        if isinstance(sandbox, str):
            return not_run(f"the tests were not run: {sandbox}")
        main = self._main_file(change)
        root = tests.root or (main[0] if main is not None else None)
        if root is None or main is None:
            return not_run("nothing was tested: the answer changes no file that the tests could cover")
        try:
            return await self._in_a_copy(change, tests, root, main, sandbox)
        except FileRefused as error:
            return not_run(str(error))

    async def _in_a_copy(
        self, change: Change, tests: TestsGiven, root: Path, main: tuple[Path, Path], sandbox: "Sandbox"
    ) -> CheckResult:
        from .project_copy import copied_project
        from .running import run_project_tests, run_tests
        from .running_node import InProject

        text, limits = self._text(change, main), self.executing.limits
        language = family(language_of_file(main[1].name) or guess_language(text))
        async with copied_project(root, change.below(root)) as copy:
            in_place = _in_place(copy, change, root, main)
            if tests.code is None:
                answer = text if language == "python" else ""
                return await run_project_tests(answer, tests.files, copy, sandbox, limits, in_place)
            if language not in tests.languages:
                return await self.executing.tests_of_a_file(tests.code, tests.likeliest, copy, sandbox)
            if language == "javascript":
                return await self.executing.node_tests(text, tests.code, sandbox, InProject(copy, main[1]))
            return await run_tests(text, tests.code, sandbox, limits, in_place)

    async def _commanded(self, change: Change, command: "CommandCheck") -> CheckResult:
        from .command_check import run_command_check
        from .verdict import not_run

        sandbox = await self.executing.sandbox()
        if isinstance(sandbox, str):
            return not_run(f"{command.name} was not run: {sandbox}", command.name)
        languages = {language_of_file(file.path) for file in change.files}
        language = command.language if command.language in languages else next(iter(languages), None)
        changed: Mapping[Path, bytes] = change.below(self.project) if self.project is not None else {}
        return await run_command_check(command, "", language, self.project, sandbox, changed)

    def _main_file(self, change: Change) -> tuple[Path, Path] | None:
        """The file that tests are about: the target, else the first Python file, else the first."""
        site = self.changes.site
        if site.target is not None:
            return site.sources[site.target].place
        places = [file.place for file in change.files] or [source.place for source in site.sources.values()]
        return next((place for place in places if place[1].suffix == ".py"), next(iter(places), None))

    def _text(self, change: Change, place: tuple[Path, Path]) -> str:
        """What the file says after the change."""
        changed = next((file.text_after for file in change.files if file.place == place), None)
        if changed is not None:
            return changed
        source = self.changes.site.source_at(place)
        return source.content.text if source is not None and source.content is not None else ""


def _in_place(copy: Path, change: Change, root: Path, main: tuple[Path, Path]) -> "InPlace":
    from .import_path import import_path
    from .running import InPlace

    written = [import_path(file.relative, copy) for file in change.files if file.root == root]
    imported = import_path(main[1], copy) if main[0] == root else None
    return InPlace(copy, imported, tuple(path.name for path in written if path is not None))


async def _static(files: Sequence[FileChange]) -> list[CheckResult]:
    """`parse` and `lint` over all files: the first failure, else one of each that says what the worst file says."""
    from .parse import check_static

    found: dict[str, CheckResult] = {}
    for file in files:
        language = language_of_file(file.path) or "text"
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
    """A failure that the file had before the change: it proves nothing about the answer."""
    if not any(old.name == check.name and old.outcome == "failed" for old in before):
        return check
    note = f"it failed before the change too: {check.first_failure}"
    return replace(check, outcome="not_run", first_failure=None, note=note)


_RANK = {"passed": 0, "not_run": 1, "failed": 2}


def _at(path: str, check: CheckResult) -> CheckResult:
    """The check with the file it is about in what it says."""
    return replace(
        check,
        first_failure=f"{path}: {check.first_failure}" if check.outcome == "failed" else None,
        findings=tuple(replace(finding, path=path) for finding in check.findings),
        note=f"{path}: {check.note}" if check.note else None,
    )
