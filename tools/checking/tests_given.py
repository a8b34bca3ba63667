"""The `tests` argument: text in Python or JavaScript, or test files of the project."""

import re
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from ..errors import BadArgument, FileRefused
from ..guarding.roots import Roots
from ..guarding.text import visible
from .languages import guess_language, runtime_of

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
