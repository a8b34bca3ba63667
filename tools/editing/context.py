"""Reads the context files of a task."""

from collections.abc import Sequence
from dataclasses import dataclass

import anyio.to_thread

from ..errors import BadArgument
from ..guarding.roots import Roots

CONTEXT_CHARACTERS_AT_MOST = 8_000_000


@dataclass(frozen=True)
class ContextFile:
    path: str
    """As the caller named it."""
    text: str
    is_whole: bool = True
    """False: the text is an excerpt that marks omitted lines."""


async def read_context(paths: Sequence[str], roots: Roots) -> tuple[ContextFile, ...]:
    """The files, complete and in order, without duplicates.

    Raises NoRoots, FileRefused, or BadArgument if together they exceed CONTEXT_CHARACTERS_AT_MOST.
    """
    return await anyio.to_thread.run_sync(_read_all, paths, roots) if paths else ()


def _read_all(paths: Sequence[str], roots: Roots) -> tuple[ContextFile, ...]:
    by_place = {roots.locate(path, "context_files"): path for path in reversed(paths)}
    files: list[ContextFile] = []
    characters = 0
    for path in sorted(by_place.values(), key=list(paths).index):
        files.append(ContextFile(path, roots.read(path, "context_files")))
        characters += len(files[-1].text)
        if characters > CONTEXT_CHARACTERS_AT_MOST:
            raise BadArgument(
                f"context_files: the first {len(files)} files hold {characters:,} characters, more than"
                f" {CONTEXT_CHARACTERS_AT_MOST:,}. Name only those the task needs."
            )
    return tuple(files)
