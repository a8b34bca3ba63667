"""The user's patterns of paths whose text stays on the machine: `[privacy] local_only = ["src/billing/**"]`.

A file is told by its path below each root, whatever spelling led to it: letter case, Unicode forms and
what cannot be seen make no difference. A hard link elsewhere, or a copy, is another path.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath, PureWindowsPath

from .text import visible


class BadPathPattern(ValueError):
    """A pattern that can match nothing below a root. The message says what to write instead."""


@dataclass(frozen=True)
class LocalPaths:
    """Which paths the patterns mean. `*` and `?` stay within a name, `**` crosses folders.

    A pattern without a slash means a name anywhere; one that means a folder means all that is in it.
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
        """The first pattern that means a file, seen from each root it lies below. path: absolute. None: none does."""
        relatives = [_plain(path.relative_to(root)) for root in roots if path.is_relative_to(root)]
        for pattern, expression in self._compiled:
            if any(expression.fullmatch(relative) for relative in relatives):
                return pattern
        return None


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
    """A path as file systems compare it that tell neither case nor forms of a letter apart.

    Windows drops dots and spaces at the end of a name, and names a file's streams behind a colon.
    """
    parts = (unicodedata.normalize("NFKC", visible(part)).casefold() for part in path.parts)
    return "/".join(part.partition(":")[0].rstrip(". ") or part for part in parts)
