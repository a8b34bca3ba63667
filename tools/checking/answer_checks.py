"""The checks that one answer gets, cheapest first: it parses, it names what exists, its tests pass."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import anyio.to_thread

from ..editing.answer import Answer
from ..errors import BadArgument, FileRefused
from ..guarding.roots import Roots
from .languages import guess_language, language_named
from .parse import check_parse, check_static
from .project_copy import copied_project
from .result import CheckResult
from .running import not_run, run_project_tests, run_tests
from .sandbox import Limits
from .sandbox_search import SandboxSearch

# A line that can only be the path of a Python test file or of a test in it.
_TEST_PATH = re.compile(r"[\w.+/\\-]+\.py(?:::[\w.:\[\]-]+)?")


@dataclass(frozen=True)
class TestsGiven:
    """What must pass: the text of tests, or test files of the project."""

    __test__ = False  # not a test class, though pytest would think so by its name

    code: str | None = None
    files: tuple[str, ...] = ()
    """Paths relative to `root`, each with a pytest selector behind `::` where one was given."""
    root: Path | None = None


async def tests_given(tests: str, roots: Roots) -> TestsGiven:
    """The `tests` argument, understood: paths of test files below one root, or Python.

    Raises NoRoots, FileRefused, or BadArgument when it is Python that cannot be parsed: such tests
    would fail every answer.
    """
    lines = [line.strip() for line in tests.splitlines() if line.strip()]
    if lines and all(_TEST_PATH.fullmatch(line) for line in lines):
        return await anyio.to_thread.run_sync(_files_below_one_root, lines, roots)
    parsed = await check_parse(tests, "python")
    if parsed.outcome == "failed":
        raise BadArgument(f"tests: they are not Python that parses: {parsed.first_failure}. Correct them.")
    return TestsGiven(code=tests)


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
        raise FileRefused("tests: the files lie below several roots. Name files of one project.")
    return TestsGiven(files=tuple(found), root=places.pop())


@dataclass(frozen=True)
class AnswerChecks:
    """The checks of one task, for each of its answers."""

    tests: TestsGiven | None
    find_sandbox: Callable[[], Awaitable[SandboxSearch]]
    began: Callable[[], None] = lambda: None
    """Called before the tests of an answer start to run."""
    limits: Limits = field(default_factory=Limits)

    async def run(self, answer: Answer) -> tuple[CheckResult, ...]:
        """Parse, then lint, then tests; whatever fails ends them."""
        language = language_named(answer.language) or guess_language(answer.code)
        if self.tests is not None and language not in (None, "python"):
            # A wrong tag is common; code that parses as Python is Python.
            if (await check_parse(answer.code, "python")).outcome != "passed":
                return (_in_another_language(language),)
            language = "python"
        checks = list(await check_static(answer.code, language))
        if self.tests is not None and not any(check.outcome == "failed" for check in checks):
            self.began()
            checks.append(await self._tested(answer.code, self.tests))
        return tuple(checks)

    async def _tested(self, code: str, tests: TestsGiven) -> CheckResult:
        search = await self.find_sandbox()
        if search.sandbox is None:
            remedy = f"; {search.remedy}" if search.remedy else ""
            return not_run(f"the tests were not run: {search.reason}{remedy}")
        if tests.root is None:
            return await run_tests(code, tests.code or "", search.sandbox, self.limits)
        try:
            async with copied_project(tests.root) as copy:
                return await run_project_tests(code, tests.files, copy, search.sandbox, self.limits)
        except FileRefused as error:
            return not_run(str(error))


def _in_another_language(language: str | None) -> CheckResult:
    return CheckResult(
        "tests", "failed", first_failure=f"The tests are Python and the answer is {language}: use Python."
    )
