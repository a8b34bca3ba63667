"""Makes useless answers out of new code, to see whether a command that passed uses it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..some_names import some_names
from .languages import is_file_of_tests, language_of_file

_COMPILED = {"c", "cpp", "csharp", "go", "java", "kotlin", "rust", "scala", "swift"}
_LOADED_WHEN_USED = {"bash", "javascript", "lua", "php", "python", "ruby", "typescript"}
_NONSENSE = b"<?php )(\n"
"""A syntax error in each of these languages."""
_TESTS = re.compile(r"test|spec|unit|verify")
"""In the name or the words of a check that does more than compile or lint."""
_NAMES_SHOWN = 3


@dataclass(frozen=True)
class UselessChange:
    """An answer without the code it adds, or with nonsense in its place."""

    files: Mapping[Path, bytes]
    """Its files, by path relative to the project; tests and what is no code as the answer has them."""
    why: str
    """Why a command that passes with it verifies nothing."""


def useless_change(change: Mapping[Path, bytes], project: Path, words: Sequence[str]) -> UselessChange | None:
    """A useless variant of an answer whose code, beside tests, is new files alone. None: it is not.

    Files that the project had are part of what it builds and tests. Compilers read all files, so for a command that
    tests compiled code, the new files are left out. words: the command's, and its name.
    """
    code = [path for path in change if language_of_file(path.name) in _COMPILED | _LOADED_WHEN_USED]
    tests = [path for path in change if is_file_of_tests(path.as_posix())]
    new = [path for path in code if path not in tests] or code
    if not new or any((project / path).exists() for path in new):
        return None
    others = {path: data for path, data in change.items() if path not in new}
    names = some_names([path.as_posix() for path in new], _NAMES_SHOWN)
    is_built = all(language_of_file(path.name) in _COMPILED for path in new)
    if is_built and not set(new) & set(tests) and any(map(_TESTS.search, words)):
        return UselessChange(others, f"it passes without {names} too, which no test uses: add tests of it")
    why = f"it passes whatever is in {names}, which nothing it runs reads: add tests of it"
    return UselessChange({**others, **dict.fromkeys(new, _NONSENSE)}, why)
