"""Applies a diff written by `Change.as_text` to the current files, in memory."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import FileMissing
from ..guarding.roots import Roots
from .file_form import FileText, NotText, NotWritable, in_form_of, read_text
from .line_diff import lines_of

_EMPTY_FILE = re.compile(r"diff --git a/(?P<path>[^\n]+) b/(?P=path)\nnew file mode 100644\n")
_BEGINNING = re.compile(rf"\A(?:--- (?:a/[^\n]+|/dev/null)\n\+\+\+ b/[^\n]+\n@@ -|{_EMPTY_FILE.pattern})")
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@\n")


class DoesNotApply(Exception):
    """A file differs from what the diff was made from. The message is its path."""


@dataclass(frozen=True)
class FileAfter:
    """A file after the diff."""

    root: Path
    relative: Path
    text: str
    """With \\n as line end."""
    data: bytes


def is_own_diff(code: str) -> bool:
    return _BEGINNING.match(code) is not None


def apply_own_diff(diff: str, roots: Roots) -> list[FileAfter]:
    """The files after a diff of our own, in order. Reads below the roots and writes nothing.

    Hunks apply only at their exact line numbers. Raises NoRoots, FileRefused or DoesNotApply.
    """
    return [_after(file, roots) for file in _read(diff)]


@dataclass(frozen=True)
class _Hunk:
    first_line: int
    """Line in the old text, counted from 0."""
    before: Sequence[str]
    after: Sequence[str]


@dataclass(frozen=True)
class _FileDiff:
    path: str
    is_new: bool
    hunks: Sequence[_Hunk]


def _read(diff: str) -> Iterator[_FileDiff]:
    lines = lines_of(diff)
    at = 0
    while at < len(lines):
        old, new = lines[at], "".join(lines[at + 1 : at + 2])
        if (empty := _EMPTY_FILE.fullmatch(old + new)) is not None:
            yield _FileDiff(empty["path"], is_new=True, hunks=())
            at += 2
            continue
        if not (old.startswith("--- ") and new.startswith("+++ b/")):  # written by a model, with wrong line counts
            raise DoesNotApply("any file")
        at += 2
        hunks: list[_Hunk] = []
        while at < len(lines) and (head := _HUNK.fullmatch(lines[at])) is not None:
            first, removed, added = int(head[1]), int(head[2] or 1), int(head[3] or 1)
            before, after, at = _body(lines, at + 1, removed, added)
            hunks.append(_Hunk(first - 1 if removed else first, before, after))
        yield _FileDiff(new[len("+++ b/") :].rstrip("\n"), old == "--- /dev/null\n", hunks)


def _body(lines: Sequence[str], at: int, removed: int, added: int) -> tuple[list[str], list[str], int]:
    """The old and the new lines of a hunk, and the index of the next hunk.

    Uses the counts in the hunk header, because a removed line can look like a file header.
    """
    before: list[str] = []
    after: list[str] = []
    while at < len(lines) and (len(before) < removed or len(after) < added or lines[at].startswith("\\")):
        mark, line = lines[at][0], lines[at][1:]
        if at + 1 < len(lines) and lines[at + 1].startswith("\\"):
            line = line.removesuffix("\n")
        if mark in " -":
            before.append(line)
        if mark in " +":
            after.append(line)
        at += 1
    return before, after, at


def _after(file: _FileDiff, roots: Roots) -> FileAfter:
    for folder in roots.folders:
        content = _content(file, folder, roots)
        lines = _patched([] if content is None else lines_of(content.text), file.hunks)
        if lines is not None and (content is None) == file.is_new:
            try:
                data = in_form_of("".join(lines), content)
            except NotWritable as error:
                raise DoesNotApply(file.path) from error
            return FileAfter(folder, Path(file.path), "".join(lines), data)
    raise DoesNotApply(file.path)


def _content(file: _FileDiff, folder: Path, roots: Roots) -> FileText | None:
    """The content of the file below a root. None: it does not exist."""
    try:
        return read_text(roots.read_bytes(str(folder / file.path), "task_id"))
    except FileMissing:
        return None
    except NotText as error:
        raise DoesNotApply(file.path) from error


def _patched(lines: list[str], hunks: Sequence[_Hunk]) -> list[str] | None:
    """The lines after all hunks. None: a hunk does not match."""
    for hunk in reversed(hunks):
        end = hunk.first_line + len(hunk.before)
        if lines[hunk.first_line : end] != hunk.before:
            return None
        lines[hunk.first_line : end] = hunk.after
    return lines
