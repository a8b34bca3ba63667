"""A slot's record of its Chroma folder: contents and file checksums (the seal).

Chroma does not verify its graph files: altered bytes crash the process with SIGSEGV, and a missing file
silently empties the index (chromadb 1.5.9, measured 2026-11-24). So the seal is updated after each write,
and the files are opened only when it matches.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

RECORD_SCHEMA = 1
_RECORD_FILE = "slot.json"
_DATABASE = "chroma.sqlite3"
_CALL_FILE = "call"

Seal = Mapping[str, tuple[int, int, str]]
"""Per graph file: size in bytes, modification time in ns, digest."""


@dataclass(frozen=True)
class SlotRecord:
    embedder: str
    chroma: str
    """The Chroma version that wrote the folder."""
    folder: str
    """Name of the Chroma folder in the slot; a rebuilt index gets a new one."""
    caught_up: int = 0
    """The index holds all vectors of the ledger up to this row."""
    schema: int = RECORD_SCHEMA
    seal: Seal = field(default_factory=dict[str, tuple[int, int, str]])


def read_record(slot: Path) -> SlotRecord | None:
    """The record; None when it is missing or unreadable by this version."""
    try:
        fields: Any = json.loads((slot / _RECORD_FILE).read_text(encoding="utf-8"))
        if fields["schema"] != RECORD_SCHEMA:
            return None
        seal = {name: (int(size), int(at), str(digest)) for name, (size, at, digest) in fields.pop("seal").items()}
        record = SlotRecord(**fields, seal=seal)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    # The name is read from a file and must not point outside the slot.
    return record if Path(record.folder).name == record.folder else None


def write_record(slot: Path, record: SlotRecord) -> None:
    """Write the record atomically. After a power cut it may be the old one or missing; the index is then
    compared or rebuilt."""
    draft = slot / f"{_RECORD_FILE}.new"
    draft.write_text(json.dumps(asdict(record)), encoding="utf-8")
    draft.replace(slot / _RECORD_FILE)


def seal_of(chroma_folder: Path, before: Seal) -> Seal:
    """The graph files' current seal; files with the size and time in `before` are not read again."""
    seal: dict[str, tuple[int, int, str]] = {}
    for path in sorted(chroma_folder.rglob("*")):
        if path.is_file() and not path.name.startswith(_DATABASE):
            name, facts = path.relative_to(chroma_folder).as_posix(), path.stat()
            old = before.get(name)
            if old is not None and old[:2] == (facts.st_size, facts.st_mtime_ns):
                seal[name] = old
            else:
                seal[name] = (facts.st_size, facts.st_mtime_ns, _digest(path))
    return seal


def seal_holds(chroma_folder: Path, seal: Seal) -> bool:
    """Whether sizes and digests of all graph files match the seal."""
    now = seal_of(chroma_folder, {})
    return {name: (size, digest) for name, (size, _, digest) in now.items()} == {
        name: (size, digest) for name, (size, _, digest) in seal.items()
    }


class CallMark:
    """A persistent mark that is set while a process reads from the index.

    If it is still set later, that process died while reading, and the index may crash the next one too. Dying
    while writing is harmless, since Chroma recovers from its log.
    """

    def __init__(self, slot: Path) -> None:
        descriptor = os.open(slot / _CALL_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        self._file = os.fdopen(descriptor, "r+b", buffering=0)

    @property
    def is_set(self) -> bool:
        self._file.seek(0)
        return self._file.read(1) == b"1"

    def __enter__(self) -> None:
        self._write(b"1")

    def __exit__(self, *_: object) -> None:
        self._write(b"0")

    def close(self) -> None:
        self._file.close()

    def _write(self, word: bytes) -> None:
        self._file.seek(0)
        self._file.write(word)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
