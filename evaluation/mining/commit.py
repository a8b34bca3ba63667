"""Git's commits, trees and diffs, parsed into values."""

import codecs
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

_REGULAR = frozenset({"100644", "100755", "100664"})

Status = Literal["added", "changed", "removed"]


@dataclass(frozen=True)
class Commit:
    id: str
    """The full hexadecimal id."""
    parents: tuple[str, ...]
    """Parents in the clone; none at the border of a shallow clone."""
    is_border: bool
    """Whether its parents are missing from the clone."""
    message: str

    @property
    def short_id(self) -> str:
        return self.id[:12]

    @property
    def subject(self) -> str:
        return self.message.strip().split("\n", 1)[0].strip()


@dataclass(frozen=True)
class Delta:
    """One path that a commit changed."""

    path: str
    """Relative to the project's root, with slashes; bytes that are not UTF-8 are surrogate-escaped."""
    status: Status
    before: str | None
    """Blob id. None: there was no regular file."""
    after: str | None
    """Blob id. None: there is no regular file any more."""


@dataclass(frozen=True)
class Entry:
    """One entry of a tree, directories excluded."""

    path: str
    """As in `Delta`."""
    id: str
    size_bytes: int
    is_regular: bool
    """False: a symbolic link or a submodule."""


def parse_commit(commit_id: str, parents: list[str], raw: bytes) -> Commit:
    """Parse a raw commit object. parents: as listed by `rev-list`."""
    head, _, body = raw.partition(b"\n\n")
    named = re.search(rb"^encoding (\S+)$", head, re.MULTILINE)
    encoding = named[1].decode("ascii", "replace") if named else "utf-8"
    try:
        codecs.lookup(encoding)
    except LookupError:
        encoding = "utf-8"
    is_border = not parents and re.search(rb"^parent ", head, re.MULTILINE) is not None
    return Commit(commit_id, tuple(parents), is_border, body.decode(encoding, "replace"))


def parse_deltas(output: bytes) -> Mapping[str, tuple[Delta, ...]]:
    """Parse `diff-tree --stdin -z --raw`: a commit id, then for each path its modes, ids and status, and its name."""
    found: dict[str, list[Delta]] = {}
    commit = ""
    fields = iter(output.split(b"\0"))
    for field in fields:
        if field.startswith(b":"):
            found[commit].append(_delta(field[1:].decode("ascii").split(), os.fsdecode(next(fields))))
        elif field:
            commit = field.decode("ascii").strip()
            found[commit] = []
    return {commit: tuple(deltas) for commit, deltas in found.items()}


def _delta(fields: list[str], path: str) -> Delta:
    mode_before, mode_after, before, after, letter = fields
    status: Status = "added" if letter == "A" else "removed" if letter == "D" else "changed"
    return Delta(path, status, before if mode_before in _REGULAR else None, after if mode_after in _REGULAR else None)


def parse_tree(output: bytes) -> tuple[Entry, ...]:
    """Parse `ls-tree -z -l`: mode, type, id and size, a tab, and the path."""
    entries: list[Entry] = []
    for record in output.split(b"\0"):
        if record:
            facts, _, path = record.partition(b"\t")
            mode, _, content, size = facts.decode("ascii").split()
            entries.append(Entry(os.fsdecode(path), content, int(size) if size.isdigit() else 0, mode in _REGULAR))
    return tuple(entries)
