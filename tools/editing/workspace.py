"""A snapshot of the files that a task may change, taken when it begins."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from ..errors import FileMissing, FileRefused
from ..guarding.roots import Roots
from .context import ContextFile
from .file_form import FileText, NotText, read_text
from .folder import folder_below
from .protected import Protection

Place = tuple[Path, Path]
"""A root, and the path relative to it."""


@dataclass(frozen=True)
class Source:
    """A file that the caller named."""

    path: str
    """As the caller named it."""
    place: Place
    data: bytes | None
    """None, here and in `content`: the file does not exist yet."""
    content: FileText | None
    why_not: str | None = None
    """Why it must not be written, with the remedy. None: it may be."""


@dataclass(frozen=True)
class Workspace:
    sources: Mapping[str, Source]
    """By the path as the caller named it; each file once."""
    target: str | None
    """The file that the result belongs to, a key of `sources`."""
    roots: Roots
    protection: Protection
    test_files: frozenset[Place]
    """The test files that check the answer, which it must not change."""

    @property
    def current(self) -> dict[str, str]:
        """The text of each existing file, with \\n line ends."""
        return {name: source.content.text for name, source in self.sources.items() if source.content is not None}

    def source_at(self, place: Place) -> Source | None:
        return next((source for source in self.sources.values() if source.place == place), None)

    def is_beside(self, place: Place) -> bool:
        """Whether a file is in the same folder as a named file."""
        folders = {(root, relative.parent) for root, relative in (source.place for source in self.sources.values())}
        return (place[0], place[1].parent) in folders


async def snapshot_workspace(
    target: str | None,
    files: Sequence[ContextFile],
    roots: Roots,
    protection: Protection,
    test_files: frozenset[Place],
) -> Workspace:
    """The snapshot for a task: its target and its context files.

    Raises NoRoots, or FileRefused if the target must not be written or a file has changed since it was read into
    `files`.
    """
    return await anyio.to_thread.run_sync(_survey, target, files, roots, protection, test_files)


def _survey(
    target: str | None, files: Sequence[ContextFile], roots: Roots, protection: Protection, test_files: frozenset[Place]
) -> Workspace:
    sources: dict[str, Source] = {}
    for file in files:
        source = _read(file.path, "context_files", roots, protection)
        if source.content is not None and source.content.text != file.text.replace("\r\n", "\n").replace("\r", "\n"):
            raise FileRefused(f"context_files: {file.path!r} was changed while it was read. Call again.")
        sources[file.path] = source
    name: str | None = None
    if target is not None:
        if target.endswith(("/", os.sep)):
            raise FileRefused(f"target: {target!r} is a folder. Name the file in it that is to be written.")
        wanted = _read(target, "target", roots, protection)
        named = next((source for source in sources.values() if source.place == wanted.place), None)
        name = named.path if named is not None else target
        source = sources.setdefault(name, wanted)
        if source.why_not is not None:
            raise FileRefused(f"target: {target!r} {source.why_not}.")
    judging = frozenset(place for place in test_files if name is None or place != sources[name].place)
    return Workspace(sources, name, roots, protection, judging)


def _read(path: str, argument: str, roots: Roots, protection: Protection) -> Source:
    place = roots.locate(path, argument)
    why_not = protection.why_not(place[1], is_named=True)
    try:
        data = roots.read_bytes(path, argument)
    except FileMissing:
        return Source(path, place, None, None, why_not)
    try:
        content = read_text(data)
    except NotText as error:
        return Source(path, place, data, None, f"cannot be edited: {error}")
    return Source(path, place, data, content, why_not or _read_only(place))


def _read_only(place: Place) -> str | None:
    root, relative = place
    with folder_below(root, relative.parent) as folder:
        now = folder.look(relative.name)
    return "is read-only; make it writable (chmod u+w) first" if now and now.is_read_only else None
