"""Path patterns for files whose text stays on the machine: `[privacy] local_only = ["src/billing/**"]`.

Patterns are matched against a file's path below each root, ignoring case, Unicode normalization form and
invisible characters. A file with several names (hard links) matches by any name below a root. A copy does
not inherit the match.
"""

import os
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath, PureWindowsPath

from .text import visible


@dataclass(frozen=True)
class LocalPathMatch:
    """The pattern that keeps a file on the machine."""

    pattern: str
    name: Path
    """The path that matched: the file's own, or that of a hard link to it."""


class BadPathPattern(ValueError):
    """A pattern that cannot match below a root. The message says what to write instead."""


@dataclass(frozen=True)
class LocalPaths:
    """The patterns. `*` and `?` match within a name, `**` crosses folders.

    A pattern without a slash matches a name at any depth; one that matches a folder covers everything in it.
    """

    patterns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises BadPathPattern."""
        for pattern in self.patterns:
            _refuse_useless(pattern)

    @cached_property
    def _compiled(self) -> tuple[tuple[str, re.Pattern[str]], ...]:
        return tuple((pattern, re.compile(_expression(pattern), re.DOTALL)) for pattern in self.patterns)

    def matching(self, path: Path, roots: Sequence[Path]) -> str | None:
        """The first pattern that matches the path below any root, or None. path: absolute."""
        relatives = [_plain(path.relative_to(root)) for root in roots if path.is_relative_to(root)]
        for pattern, expression in self._compiled:
            if any(expression.fullmatch(relative) for relative in relatives):
                return pattern
        return None

    def local_files(self, paths: Iterable[Path], roots: Sequence[Path]) -> Iterator[tuple[Path, LocalPathMatch]]:
        """The files that a pattern matches by any of their names. paths: absolute; they need not exist.

        Scans all roots once if a file has several names, otherwise not at all.
        """
        linked = dict[tuple[int, int], list[Path]]()
        for path in paths if self.patterns else ():
            if (pattern := self.matching(path, roots)) is not None:
                yield path, LocalPathMatch(pattern, path)
            elif (file := _file_of(path)) is not None and file.st_nlink > 1:
                linked.setdefault((file.st_dev, file.st_ino), []).append(path)
        for name in _names(linked, roots):
            if (pattern := self.matching(name, roots)) is not None and (file := _file_of(name)) is not None:
                for path in linked.pop((file.st_dev, file.st_ino), ()):
                    yield path, LocalPathMatch(pattern, name)
                if not linked:
                    return


def _file_of(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except (OSError, ValueError):
        return None


def _names(wanted: Collection[tuple[int, int]], roots: Sequence[Path]) -> Iterator[Path]:
    """The paths below the roots with the inode of a wanted file; the device is not compared."""
    inodes = {inode for _, inode in wanted}
    folders = [*roots] if wanted else []
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(Path(entry.path))
                    elif entry.inode() in inodes:
                        yield Path(entry.path)
        except OSError:  # not a folder, or not readable
            continue


def _refuse_useless(pattern: str) -> None:
    parts = PurePath(pattern.replace("\\", "/")).parts
    if not pattern.strip("/*. ") and pattern.strip() not in ("*", "**", "**/*"):
        raise BadPathPattern(f"{pattern!r} names nothing. Write a path below a root, e.g. src/billing/**")
    if pattern.startswith(("/", "~")) or PureWindowsPath(pattern).drive or ".." in parts:
        raise BadPathPattern(
            f"{pattern!r:.80} is not below a root. Write it relative to the project, e.g. src/billing/**"
        )
    if pattern.startswith("!"):
        raise BadPathPattern(f"{pattern!r:.80}: patterns can only add. Remove the ! and name what must stay")


def _expression(pattern: str) -> str:
    written = _plain(PurePath(pattern.replace("\\", "/").removeprefix("./")))
    anywhere = "" if "/" in written else "(?:.*/)?"
    return anywhere + "".join(_parts(written)) + "(?:/.*)?"


_WILDCARDS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def _parts(pattern: str) -> Iterator[str]:
    for part in re.findall(r"\*\*/|\*\*|\*|\?|[^*?]+", pattern):
        yield _WILDCARDS.get(part) or re.escape(part)


def _plain(path: PurePath) -> str:
    """The path as compared by file systems that ignore case and Unicode normalization form.

    Windows drops trailing dots and spaces of a name and puts a file's stream after a colon.
    """
    parts = (unicodedata.normalize("NFKC", visible(part)).casefold() for part in path.parts)
    return "/".join(part.partition(":")[0].rstrip(". ") or part for part in parts)
