"""Resolves patterns in `context_files`, such as `src/**/*.py`, to files.

A pattern skips files that git ignores, links, dot-files and files whose names suggest secrets; such files are read
only if named exactly.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from pathlib import Path, PurePosixPath

import anyio.to_thread

from ..checking.gitignore import Ignoring, ignoring_in
from ..checking.project_copy import SECRET_FOLDERS, is_secret
from ..errors import BadArgument, FileRefused
from ..guarding.roots import Roots
from ..some_names import some_names

FILES_AT_MOST = 500
"""Per pattern; more than a task needs or a receipt can list."""

ENTRIES_AT_MOST = 100_000
"""Files and folders scanned per pattern."""

_WILD = re.compile(r"[*?\[{]")
_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
_ALTERNATIVES_AT_MOST = 64
_NAMES_SHOWN = 5

# Large folders of third-party files, which not every project's .gitignore lists.
_NEVER_MEANT = SECRET_FOLDERS | {"node_modules", "__pycache__", "venv"}


@dataclass(frozen=True)
class FoundFiles:
    """The files that the paths and patterns of a call resolve to."""

    paths: tuple[str, ...]
    """Exact paths, in the order given; the matches of one pattern are sorted."""
    notes: tuple[str, ...]
    """Matches that were left out, for the receipt."""


async def find_files(named: Sequence[str], roots: Roots) -> FoundFiles:
    """The paths, with each pattern replaced by its matches.

    A name that exists literally is a path, whatever characters it contains. Raises NoRoots, FileRefused if a pattern
    matches nothing, or BadArgument if it matches too much.
    """
    if not any(map(_is_pattern, named)):
        return FoundFiles(tuple(named), ())
    return await anyio.to_thread.run_sync(_find_all, named, roots)


def _find_all(named: Sequence[str], roots: Roots) -> FoundFiles:
    paths: list[str] = []
    notes: list[str] = []
    for name in named:
        if not _is_pattern(name) or _exists(name, roots):
            paths.append(name)
            continue
        search = _Search(name, roots)
        paths += search.run()
        notes += search.notes
    return FoundFiles(tuple(dict.fromkeys(paths)), tuple(notes))


def _is_pattern(name: str) -> bool:
    return _WILD.search(name) is not None


def _exists(name: str, roots: Roots) -> bool:
    root, relative = roots.locate(name, "context_files")
    return os.path.lexists(root / relative)


@dataclass
class _Search:
    """The search for one pattern."""

    pattern: str
    roots: Roots
    notes: list[str] = field(default_factory=list[str])
    looked_at: int = 0

    def run(self) -> list[str]:
        """The paths found, absolute if the pattern is."""
        found: list[str] = []
        for alternative in _alternatives(self.pattern):
            found += self._find(alternative)
        found = sorted(dict.fromkeys(found))
        if len(found) > FILES_AT_MOST:
            raise BadArgument(
                f"context_files: {self.pattern!r} matches {len(found)} files, more than {FILES_AT_MOST}."
                " Narrow it to those the task needs."
            )
        readable = [path for path in found if self._is_text(path)]
        if unreadable := sorted(set(found) - set(readable)):
            self.notes.append(
                f"context_files: of {self.pattern!r}, {some_names(unreadable, _NAMES_SHOWN)} left out: binary, too"
                " large, or unreadable."
            )
        if not readable:
            raise FileRefused(
                f"context_files: {self.pattern!r} matches no text file below {self.roots.folders[0]}. What .gitignore"
                " lists, dot-files and files of keys must be named exactly. Correct the pattern, or name the files."
            )
        return readable

    def _find(self, pattern: str) -> Iterator[str]:
        slashed = pattern.replace("\\", "/") if os.sep == "\\" else pattern
        parts = slashed.split("/")
        fixed = next((n for n, part in enumerate(parts) if _is_pattern(part)), len(parts) - 1)
        prefix = "/".join(parts[:fixed]) or ("/" if slashed.startswith("/") else ".")
        root, start = self.roots.locate(prefix, "context_files")
        wanted = [re.compile(translate(part)) if part != "**" else None for part in parts[fixed:]]
        dotted = {part for part in parts[fixed:] if part.startswith(".") and not _is_pattern(part)}
        ignoring = ignoring_in(root)
        place = root
        for part in start.parts:
            place /= part
            if place.is_symlink() or ignoring.ignores(place, is_folder=True):
                return
            ignoring = ignoring.below(place)
        depth = None if "**" in parts else len(parts) - fixed
        for path in self._walk(place, ignoring, dotted, depth):
            relative = path.relative_to(place)
            if _fits(relative.parts, wanted):
                yield str(PurePosixPath(prefix, *relative.parts))

    def _walk(self, folder: Path, ignoring: Ignoring, dotted: set[str], depth: int | None) -> Iterator[Path]:
        """The files that a pattern may match; links are not followed, and files are checked again when opened."""
        try:
            with os.scandir(folder) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            return  # not readable, or not a folder
        for entry in inside:
            self.looked_at += 1
            if self.looked_at > ENTRIES_AT_MOST:
                raise BadArgument(
                    f"context_files: {self.pattern!r} would look at more than {ENTRIES_AT_MOST:,} files and folders."
                    " Start it with the folder that the task is about."
                )
            path, is_folder = Path(entry.path), entry.is_dir(follow_symlinks=False)
            if self._is_off(entry.name, path, ignoring, dotted, is_folder=is_folder):
                continue
            if not is_folder:
                if entry.is_file(follow_symlinks=False):
                    yield path
            elif depth is None or depth > 1:
                yield from self._walk(path, ignoring.below(path), dotted, None if depth is None else depth - 1)

    def _is_off(self, name: str, path: Path, ignoring: Ignoring, dotted: set[str], *, is_folder: bool) -> bool:
        if is_folder and (name in _NEVER_MEANT or any(path == off for off in self.roots.off_limits)):
            return True
        if name.startswith(".") and name not in dotted:
            return True
        return (not is_folder and is_secret(name)) or ignoring.ignores(path, is_folder=is_folder)

    def _is_text(self, path: str) -> bool:
        try:
            self.roots.read(path, "context_files")
        except FileRefused:
            return False
        return True


def _alternatives(pattern: str) -> list[str]:
    """Expands braces: `*.{js,ts}` becomes `*.js` and `*.ts`."""
    waiting, done = [pattern], list[str]()
    while waiting:
        next_one = waiting.pop()
        braces = _BRACES.search(next_one)
        if braces is None:
            done.append(next_one)
        else:
            waiting += [next_one[: braces.start()] + c + next_one[braces.end() :] for c in braces[1].split(",")]
        if len(waiting) + len(done) > _ALTERNATIVES_AT_MOST:
            raise BadArgument(f"context_files: {pattern!r} has too many choices in braces. Write several patterns.")
    return done


def _fits(parts: Sequence[str], wanted: Sequence[re.Pattern[str] | None]) -> bool:
    """Whether a path matches by component. None stands for `**`: any number of folders, at the end also a file."""
    reached = {0}
    for part in parts:
        reached = _with_nothing(reached, wanted)
        reached = {
            at + (pattern is not None)
            for at in reached
            if at < len(wanted) and ((pattern := wanted[at]) is None or pattern.match(part))
        }
    return len(wanted) in _with_nothing(reached, wanted)


def _with_nothing(reached: set[int], wanted: Sequence[re.Pattern[str] | None]) -> set[int]:
    """The positions reached if each `**` may also match nothing."""
    found = set(reached)
    for at, pattern in enumerate(wanted):
        if at in found and pattern is None:
            found.add(at + 1)
    return found
