"""The checks of an answer, cheapest first: parse, lint, tests, commands."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..editing.answer import Answer
from ..errors import FileRefused
from .executor import Executor
from .in_project import run_in_project, why_unseen
from .languages import guess_language, language_named, runtime_of
from .result import CheckResult
from .tests_given import TestsGiven

# Imported only when there is code to check, so that the server starts faster.
if TYPE_CHECKING:
    from .command_check import CommandCheck


@dataclass(frozen=True)
class FileGiven:
    """An answer that is a file of a project."""

    root: Path
    relative: Path
    data: bytes


@dataclass(frozen=True)
class _Fitting:
    language: str | None
    """None: unknown."""


@dataclass(frozen=True)
class AnswerChecks:
    """The checks of one task, applied to each of its answers."""

    tests: TestsGiven | None
    executor: Executor
    began: Callable[[], None] = lambda: None
    """Called before each test run or command of an answer."""
    commands: "tuple[CommandCheck, ...]" = ()
    """The user's commands, run in a copy of `project`."""
    project: Path | None = None
    file: FileGiven | None = None
    """The file that the answer is. None: it is standalone code."""

    async def run(self, answer: Answer) -> tuple[CheckResult, ...]:
        """Parse, lint, run the tests, then the commands; the first failure ends the checks."""
        from .parse import check_static

        language = language_named(answer.language) or guess_language(answer.code)
        if self.tests is not None:
            fitting = await self._language_for(self.tests, answer.code, language)
            if fitting is None and self.file is None:
                return (_in_another_language(self.tests, language),)
            language = fitting.language if fitting is not None else language
        checks = list(await check_static(answer.code, language))
        steps: list[Callable[[], Awaitable[CheckResult]]] = []
        if self.tests is not None:
            steps.append(partial(self._tested, answer.code, language, self.tests))
        steps += [partial(self._commanded, answer.code, language, command) for command in self.commands]
        for step in steps:
            if any(check.outcome == "failed" for check in checks):
                break
            self.began()
            checks.append(await step())
        return tuple(checks)

    async def _language_for(self, tests: TestsGiven, code: str, language: str | None) -> _Fitting | None:
        """The language to check the answer as. None: the answer and the tests differ in language."""
        from .parse import check_parse

        is_file = self.file is not None
        if runtime_of(language) in tests.languages or (
            language is None and "python" in tests.languages and not is_file
        ):
            return _Fitting(language)
        if is_file and language is not None:
            return None  # its name is authoritative: JSON also parses as Python
        for wanted in tests.languages:
            # Wrong tags are common; code that parses as Python is Python.
            if (language is None and not is_file) or (await check_parse(code, wanted)).outcome == "passed":
                return _Fitting(wanted)
        return None

    async def _tested(self, code: str, language: str | None, tests: TestsGiven) -> CheckResult:
        from .project_copy import copied_project
        from .running import run_project_tests, run_tests
        from .verdict import not_run

        sandbox = await self.executor.sandbox()
        if isinstance(sandbox, str):
            return not_run(f"the tests were not run: {sandbox}")
        try:
            if self.file is not None:
                root, relative = self.file.root, self.file.relative
                place, copied = root / relative, tests.root or root
                if not place.is_relative_to(copied):
                    return not_run(f"the tests were not run: {why_unseen(place, copied)}")
                written = {place.relative_to(copied): self.file.data}
                given = [("", code)]
                return await run_in_project(
                    tests, (root, relative), code, language, written, self.executor, sandbox, given
                )
            if runtime_of(language) == "javascript":
                return await self.executor.node_tests(code, tests.code or "", sandbox)
            if tests.root is None:
                return await run_tests(
                    code, tests.code or "", sandbox, self.executor.limits, search=self.executor.search
                )
            async with copied_project(tests.root) as copy:
                limits, search = self.executor.limits, self.executor.search
                return await run_project_tests(code, tests.files, copy, sandbox, limits, search=search)
        except FileRefused as error:
            return not_run(str(error))

    async def _commanded(self, code: str, language: str | None, command: "CommandCheck") -> CheckResult:
        from .command_check import run_command_check
        from .verdict import not_run

        sandbox = await self.executor.sandbox()
        if isinstance(sandbox, str):
            return not_run(f"{command.name} was not run: {sandbox}", command.name)
        return await run_command_check(command, code, language, self.project, sandbox, search=self.executor.search)


def _in_another_language(tests: TestsGiven, language: str | None) -> CheckResult:
    """The failed check of an answer in another language than the tests."""
    wanted = " or ".join("Python" if name == "python" else "JavaScript" for name in tests.languages)
    return CheckResult(
        "tests",
        "failed",
        first_failure=f"The tests are {wanted} and the answer is {language}: use {wanted}.",
        note=f"if {language} is right, name its file (`target`; `files` to validate it), so that the tests can read it",
    )
