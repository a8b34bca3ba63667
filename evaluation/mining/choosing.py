"""Selects the commits that may become tasks, from their messages and changed paths alone."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal, get_args

from .commit import Commit, Delta
from .intent import is_revert, tells_intent

Reason = Literal[
    "a merge",
    "the first commit",
    "at the border of a shallow clone",
    "a revert",
    "its message states no intent",
    "no Python source",
    "no test file",
    "only renames",
    "removes or moves source files",
    "too many files",
    "too many lines",
    "names that cannot be given",
    "not in the clone",
    "not text",
    "project too large",
    "may not be written",
    "needs a package",
    "tests cannot be run",
    "its own tests fail",
    "its tests pass before it",
]
"""Why a commit is no task, in the order of the checks."""
REASONS: tuple[Reason, ...] = get_args(Reason)

FILES_AT_MOST = 60
"""Limit on all files that one commit changes. This and the limits below are our choice: a larger change is more than
one task."""
SOURCES_AT_MOST = 8
TESTS_AT_MOST = 12
LINES_AT_MOST = 400
"""Limit on source lines added plus removed."""

_TEST_FOLDERS = frozenset({"test", "tests", "testing"})
_TEST_NAME = re.compile(r"test_.*\.py|.*_tests?\.py|tests?\.py")
_NO_SOURCE = frozenset({"setup.py", "conftest.py", "conf.py", "noxfile.py", "versioneer.py"})
"""Files that configure tools and are not the subject of tests."""

_GIVEN = re.compile(r"[\w.+/-]+\.py")
"""Paths that the `tests` argument accepts."""


@dataclass(frozen=True)
class Dropped:
    """A commit that is no task."""

    commit: Commit
    reason: Reason
    detail: str = ""
    """The specific value found. Empty: the reason suffices."""


@dataclass(frozen=True)
class CommitCandidate:
    """A commit that changes code and tests together."""

    commit: Commit
    sources: tuple[Delta, ...]
    """Python files that the task changes or adds."""
    tests: tuple[Delta, ...]
    """Test files, recognized by name."""
    given: tuple[Delta, ...]
    """All other changed files: data, documents, settings, test support."""


def choose(commit: Commit, deltas: Sequence[Delta]) -> CommitCandidate | Dropped:
    """The commit as a candidate, or the reason it is not one. deltas: against its only parent."""
    if commit.is_border:
        return Dropped(commit, "at the border of a shallow clone")
    if len(commit.parents) != 1:
        return Dropped(commit, "a merge" if commit.parents else "the first commit")
    if is_revert(commit.message):
        return Dropped(commit, "a revert")
    if not tells_intent(commit.message):
        return Dropped(commit, "its message states no intent", commit.subject[:80])
    if len(deltas) > FILES_AT_MOST:
        return Dropped(commit, "too many files", f"{len(deltas):,}, and at most {FILES_AT_MOST} are taken")
    moved = _moved(deltas)
    rest = [delta for delta in deltas if delta not in moved]
    sources = tuple(delta for delta in rest if is_source(delta.path) and delta.after is not None)
    tests = tuple(delta for delta in rest if is_test(delta.path) and delta.after is not None)
    if not sources:
        return Dropped(commit, "only renames" if moved and not rest else "no Python source")
    if not tests:
        return Dropped(commit, "no test file")
    gone = [delta.path for delta in deltas if is_source(delta.path) and delta.after is None]
    if gone:
        return Dropped(commit, "removes or moves source files", gone[0])
    for kind, files, at_most in (("source", sources, SOURCES_AT_MOST), ("test", tests, TESTS_AT_MOST)):
        if len(files) > at_most:
            return Dropped(commit, "too many files", f"{len(files)} {kind} files, and at most {at_most} are taken")
    bad = [delta.path for delta in (*sources, *tests) if not _can_be_given(delta.path)]
    if bad:
        return Dropped(commit, "names that cannot be given", ascii(bad[0]))
    given = tuple(delta for delta in deltas if delta not in sources and delta not in tests)
    return CommitCandidate(commit, sources, tests, given)


def is_test(path: str) -> bool:
    """Whether pytest or unittest would collect tests from it, by its name."""
    return _TEST_NAME.fullmatch(PurePosixPath(path).name) is not None


def is_source(path: str) -> bool:
    """Whether it is Python code under test: not a test, test support or a tool's configuration."""
    pure = PurePosixPath(path)
    is_python = pure.suffix == ".py" and pure.name not in _NO_SOURCE
    return is_python and not is_test(path) and _TEST_FOLDERS.isdisjoint(pure.parts[:-1])


def _moved(deltas: Sequence[Delta]) -> set[Delta]:
    """Both deltas of each file that was renamed without a change of content."""
    gone = {delta.before for delta in deltas if delta.status == "removed"}
    come = {delta.after for delta in deltas if delta.status == "added"}
    same = (gone & come) - {None}
    return {
        delta for delta in deltas
        if (delta.status == "removed" and delta.before in same) or (delta.status == "added" and delta.after in same)
    }  # fmt: skip


def _can_be_given(path: str) -> bool:
    """Whether the path is valid in a prompt and as an argument, and cannot be taken for an option."""
    parts = PurePosixPath(path).parts
    return _GIVEN.fullmatch(path) is not None and not any(part.startswith("-") or part == ".." for part in parts)
