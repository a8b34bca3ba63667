"""Makes the tests of a project fail at their end, to see whether an answer that may end the process lets them run."""

import re
from collections.abc import Mapping
from pathlib import Path

from .languages import is_file_of_tests, language_of_file
from .project_copy import copied_files

REACHED = "chargehand: the end of these tests is reached"
"""What tests say when they fail at their end."""
_LATER = f'\nsetTimeout(() => {{ throw new Error("{REACHED}"); }});\n'
"""After what modules start when they are loaded, such as a `main` that ends the process."""
_FAILING = {
    "javascript": _LATER,
    "php": f'\nthrow new \\Exception("{REACHED}");\n',
    "python": f'\nimport atexit, os\natexit.register(lambda: (os.write(2, b"{REACHED}"), os._exit(1)))\n',
    "ruby": f'\nraise "{REACHED}"\n',
    "typescript": _LATER,
}
_LOADED_FIRST = re.compile(r"(?i)helper|testcase|bootstrap")
"""In the names of files that tests load before the answer, and that must not fail then."""
_ENDS = re.compile(rb"(?i)(?<![\w.$:])[\w.$:]{0,40}\b_?(?:exit|quit|die|abort|reallyexit)\b!?")
"""Names of functions that end a process."""
_IDLE = {"javascript": b"Boolean", "php": b"print", "python": b"bool", "ruby": b"Array", "typescript": b"Boolean"}
"""Names that may be called in their place and do nothing of note."""


def without_ends(change: Mapping[Path, bytes], project: Path) -> Mapping[Path, bytes] | None:
    """An answer whose calls that may end the process do nothing instead. None: it brings in no such call.

    change: by path relative to the project.
    """
    idle = {path: word for path in change if (word := _IDLE.get(language_of_file(path.name) or "")) is not None}
    if not any(len(_ENDS.findall(change[path])) > len(_ENDS.findall(_before(project / path))) for path in idle):
        return None
    return {**change, **{path: _ENDS.sub(word, change[path]) for path, word in idle.items()}}


def failing_tests(change: Mapping[Path, bytes], project: Path) -> Mapping[Path, bytes]:
    """The tests of the changed project, by path relative to it, each with a statement at its end that fails.

    Empty: there are none in a language that may end the process unnoticed.
    """
    paths = {*change, *(path.relative_to(project) for path in copied_files(project))}
    failing = {path: _FAILING[language] for path in paths if (language := _language_of_tests(path)) is not None}
    return {path: change.get(path, _before(project / path)) + end.encode() for path, end in failing.items()}


def _language_of_tests(path: Path) -> str | None:
    """The language of a file of tests that can be made to fail."""
    language = language_of_file(path.name)
    is_one = is_file_of_tests(path.as_posix()) and not _LOADED_FIRST.search(path.name)
    return language if language in _FAILING and is_one else None


def _before(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
