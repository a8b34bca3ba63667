"""The checks of an answer, cheapest first: parse, lint, tests, commands."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread

from ..editing.answer import Answer
from ..errors import BadArgument, FileRefused
from ..guarding.roots import Roots
from ..guarding.text import visible
from .executor import Executor
from .languages import guess_language, language_named
from .result import CheckResult

# Imported only when there is code to check, so that the server starts faster.
if TYPE_CHECKING:
    from .command_check import CommandCheck

# A line that can only be the path of a Python test file, or of a test in it.
_TEST_PATH = re.compile(r"[\w.+/\\-]+\.py(?:::[\w.:\[\]-]+)?")
# Anything that can assert, call or raise, in Python and in JavaScript.
_COULD_FAIL = re.compile(r"\(|\b(?:assert|raise|throw|new)\b|`")


@dataclass(frozen=True)
class TestsGiven:
    """The tests to pass: as text, or test files of the project."""

    __test__ = False  # keeps pytest from collecting it as a test class

    code: str | None = None
    languages: tuple[str | None, ...] = ("python",)
    """The possible languages of `code`: `python`, `javascript` (includes TypeScript); a few lines can be both."""
    files: tuple[str, ...] = ()
    """Paths relative to `root`, each with a pytest selector after `::` if given."""
    root: Path | None = None

    @property
    def likely_language(self) -> str | None:
        """The most likely of the possible languages: as guessed from the code, else the first."""
        looks = runtime_of(guess_language(self.code or ""))
        return looks if looks in self.languages else self.languages[0]


async def tests_given(tests: str, roots: Roots) -> TestsGiven:
    """The parsed `tests` argument: paths of test files below one root, or code whose language is detected.

    Raises NoRoots, FileRefused, or BadArgument for code that does not parse, which would fail every answer, or in
    which nothing can fail, such as the path `tests/a.test.js` read as code.
    """
    from .parse import check_parse

    lines = [line.strip() for line in tests.splitlines() if line.strip()]
    if lines and all(_TEST_PATH.fullmatch(line) for line in lines):
        return await anyio.to_thread.run_sync(_files_below_one_root, lines, roots)
    parsed = {language: await check_parse(tests, language) for language in ("python", "javascript", "typescript")}
    languages = tuple(language for language, check in parsed.items() if check.outcome == "passed")
    if languages and not _COULD_FAIL.search(tests):
        raise BadArgument(
            f"tests: nothing in {visible(tests.strip())[:80]!r} can fail. Write asserts, or name .py files, one per"
            " line; for JavaScript, give the text."
        )
    if languages:
        return TestsGiven(code=tests, languages=tuple(dict.fromkeys(runtime_of(language) for language in languages)))
    looks = guess_language(tests)
    if looks in ("javascript", "typescript"):
        raise BadArgument(
            f"tests: they do not parse as JavaScript: {parsed['javascript'].first_failure}. Correct them."
        )
    if parsed["python"].outcome != "failed":  # could not be parsed: the runner will report why
        return TestsGiven(code=tests)
    if looks not in ("python", None):
        raise BadArgument(
            f"tests: they look like {looks}, and only Python and JavaScript are run here. A command of the user's can"
            " run others: [checks.NAME] in config.toml, named in `checks`."
        )
    raise BadArgument(f"tests: they do not parse as Python: {parsed['python'].first_failure}. Correct them.")


def runtime_of(language: str | None) -> str | None:
    """The runtime of a language: TypeScript runs on Node.js too."""
    return "javascript" if language == "typescript" else language


def _files_below_one_root(lines: list[str], roots: Roots) -> TestsGiven:
    found: list[str] = []
    places: set[Path] = set()
    for line in lines:
        path, _, selector = line.partition("::")
        roots.read(path, "tests")
        root, relative = roots.locate(path, "tests")
        places.add(root)
        found.append(f"{relative.as_posix()}::{selector}" if selector else relative.as_posix())
    if len(places) > 1:
        raise FileRefused("tests: the files are in different roots. Name files of one project.")
    return TestsGiven(files=tuple(found), root=places.pop())


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
        from .in_project import run_in_project
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


def why_unseen(file: Path, root: Path) -> str:
    """Why what runs in a copy of a root says nothing of a file outside it, with the remedy."""
    return (
        f"{file} is not below {root}, a copy of which they would run in. Let one of CHARGEHAND_ROOTS hold both, and"
        " name paths from it"
    )


def _in_another_language(tests: TestsGiven, language: str | None) -> CheckResult:
    """The failed check of an answer in another language than the tests."""
    wanted = " or ".join("Python" if name == "python" else "JavaScript" for name in tests.languages)
    return CheckResult(
        "tests",
        "failed",
        first_failure=f"The tests are {wanted} and the answer is {language}: use {wanted}.",
        note=f"if {language} is right, name its file (`target`; `files` to validate it), so that the tests can read it",
    )
