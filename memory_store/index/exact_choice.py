"""That exact search was chosen over Chroma, for every process on a data folder and until the memory has changed.

Chroma's graph can miss one in ten and more of tasks that differ in a word alone, with whatever settings: of 400
that differ in a number 69 with ours, and 0 to 97 with seven others, none of which is best on other tasks too
(chromadb 1.5.9, measured 2026-11-29). Building it once more from the same vectors does not help.
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
    """What built the index that missed them: `index_form`."""
    vectors: int
    """So many were in it."""
    misses: int
    looked_for: int

    def holds_at(self, vectors: int, form: str) -> bool:
        """Whether another try would be the same try: with neither twice nor half as many, by the same Chroma."""
        return form == self.form and self.vectors < 2 * vectors and vectors < 2 * self.vectors

    def as_text(self) -> str:
        return (
            f"tasks are searched exactly, since a new Chroma index of {self.vectors:,} did not find"
            f" {self.misses} of {self.looked_for} that it was asked for; it is tried again at {2 * self.vectors:,}"
        )


class ChoiceFile:
    """Where the choice for one embedder is kept."""

    def __init__(self, folder: Path | None, embedder: str) -> None:
        """folder: None: it is kept in memory alone."""
        digest = hashlib.blake2b(embedder.encode(), digest_size=4).hexdigest()
        self._file = None if folder is None else folder / f"exact-{digest}.json"
        self._kept: ExactChoice | None = None

    async def read(self) -> ExactChoice | None:
        """The choice; None when there is none that can be read."""
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
    """What was chosen, for each embedder."""
    return [choice for file in sorted(folder.glob("exact-*.json")) if (choice := _read(file)) is not None]


def forget_choices(folder: Path) -> None:
    """Have the next process on the folder try Chroma again."""
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
