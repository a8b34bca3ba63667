"""Remembers, for all processes on a data folder, that exact search is used instead of Chroma.

With any settings, Chroma's graph can miss a tenth or more of tasks that differ in one word only: of 400 that
differ in a number, ours miss 69, and seven others 0 to 97, none of which is best on other tasks too (chromadb
1.5.9, measured 2026-11-29). Rebuilding it from the same vectors does not help, so the choice holds until the
memory has doubled or halved, or Chroma or our settings change.
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import anyio.to_thread

from ...profiles.durable_files import replace_file

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExactChoice:
    embedder: str
    form: str
    """`index_form` of the index with the misses."""
    vectors: int
    """Number of vectors in it."""
    misses: int
    looked_for: int

    def holds_at(self, vectors: int, form: str) -> bool:
        """Whether the choice still holds: same form, and fewer than twice and more than half as many vectors."""
        return form == self.form and self.vectors < 2 * vectors and vectors < 2 * self.vectors

    def as_text(self) -> str:
        return (
            f"tasks are searched exactly, since a new Chroma index of {self.vectors:,} did not find"
            f" {self.misses} of {self.looked_for} that it was asked for; it is tried again at {2 * self.vectors:,}"
        )


class ChoiceFile:
    """Stores the choice for one embedder."""

    def __init__(self, folder: Path | None, embedder: str) -> None:
        """folder: None: only in memory."""
        digest = hashlib.blake2b(embedder.encode(), digest_size=4).hexdigest()
        self._file = None if folder is None else folder / f"exact-{digest}.json"
        self._kept: ExactChoice | None = None

    async def read(self) -> ExactChoice | None:
        """The choice; None when there is none or it is unreadable."""
        if self._file is not None:
            found = await anyio.to_thread.run_sync(_read, self._file)
            self._kept = found or self._kept
        return self._kept

    async def write(self, choice: ExactChoice) -> None:
        self._kept = choice
        if self._file is not None:
            await anyio.to_thread.run_sync(_write, self._file, choice)

    async def clear(self) -> None:
        self._kept = None
        if self._file is not None:
            await anyio.to_thread.run_sync(_remove, self._file)


def choices_in(folder: Path) -> Sequence[ExactChoice]:
    """The stored choices of all embedders."""
    return [choice for file in sorted(folder.glob("exact-*.json")) if (choice := _read(file)) is not None]


def forget_choices(folder: Path) -> None:
    """Delete all choices, so that the next process tries Chroma again."""
    for file in folder.glob("exact-*.json"):
        file.unlink(missing_ok=True)


def _read(file: Path) -> ExactChoice | None:
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
        return ExactChoice(
            str(fields["embedder"]),
            str(fields["form"]),
            int(fields["vectors"]),
            int(fields["misses"]),
            int(fields["looked_for"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        _log.warning("%s cannot be read, so Chroma is tried again: %s", file, error)
        return None


def _write(file: Path, choice: ExactChoice) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(file, json.dumps(asdict(choice)).encode())
    except OSError as error:
        _log.warning("%s cannot be written, so the next start tries Chroma again: %s", file, error)


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("%s cannot be removed, so the next start searches exactly: %s", file, error)
