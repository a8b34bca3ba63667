"""What a slot knows of its Chroma folder: what is in it, and the seal of its files.

Chroma reads the files of its graph without looking: changed bytes in one end the process with SIGSEGV,
a missing one empties the index in silence (chromadb 1.5.9, measured 2026-11-24). So the files are sealed
after each write that changed them, and opened only when the seal holds.
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
"""Per file of the graph: size in bytes, time of change in ns, digest."""


@dataclass(frozen=True)
class SlotRecord:
    embedder: str
    dimensions: int
    """0: no vector was put in yet."""
    chroma: str
    """The version that wrote the folder."""
    folder: str
    """Name of the Chroma folder inside the slot; a rebuilt index gets another."""
    caught_up: int = 0
    """The vectors of the ledger's rows up to this one are in."""
    schema: int = RECORD_SCHEMA
    seal: Seal = field(default_factory=dict[str, tuple[int, int, str]])


def read_record(slot: Path) -> SlotRecord | None:
    """The record; None when there is none that this version can read."""
    try:
        fields: Any = json.loads((slot / _RECORD_FILE).read_text(encoding="utf-8"))
        if fields["schema"] != RECORD_SCHEMA:
            return None
        seal = {name: (int(size), int(at), str(digest)) for name, (size, at, digest) in fields.pop("seal").items()}
        record = SlotRecord(**fields, seal=seal)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    # The name comes from a file: it must not lead out of the slot.
    return record if Path(record.folder).name == record.folder else None


def write_record(slot: Path, record: SlotRecord) -> None:
    """All of the record or nothing, should the process be killed. After a power cut it may be the old one or
    none: both lead to an index that is compared or built anew."""
    draft = slot / f"{_RECORD_FILE}.new"
    draft.write_text(json.dumps(asdict(record)), encoding="utf-8")
    draft.replace(slot / _RECORD_FILE)


def seal_of(chroma_folder: Path, before: Seal) -> Seal:
    """The files of the graph as they are; those that have not changed since `before` are not read again."""
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
    """Whether every byte of the graph's files is as it was."""
    now = seal_of(chroma_folder, {})
    return {name: (size, digest) for name, (size, _, digest) in now.items()} == {
        name: (size, digest) for name, (size, _, digest) in seal.items()
    }


class CallMark:
    """Survives the process and says whether it died while it read from the index.

    Then the index itself may be what killed it, and would kill the next one too. Dying while writing
    is harmless: Chroma's log takes care of it.
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
