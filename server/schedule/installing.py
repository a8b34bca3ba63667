"""Writes and removes a scheduler's files; files that others wrote, or changed since, are left alone.

A record in the data folder has the digest of each file. It is written first, so that it also covers files from an
interrupted installation.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from ...profiles.durable_files import replace_file
from ...tools.errors import CallerError

RECORD = "schedule.json"


class ScheduleRefused(CallerError):
    """A scheduler's file cannot be written or removed; it is unchanged."""


@dataclass(frozen=True)
class Removal:
    removed: tuple[Path, ...]
    kept: tuple[Path, ...]
    """Files that we wrote and others have changed since."""


def is_installed(home: Path) -> bool:
    """Whether this data folder has a schedule."""
    return bool(_read_record(home))


def write_schedule(home: Path, files: Mapping[Path, bytes]) -> tuple[Path, ...]:
    """Write or update the files. Returns those that changed.

    Raises ScheduleRefused: before any change if a file is not ours, else when writing fails.
    """
    record = _read_record(home)
    changed: dict[Path, bytes] = {}
    for path, content in files.items():
        existing = _read(path)
        if existing == content:
            continue
        if existing is not None and _digest(existing) != record.get(str(path)):
            by_whom = "was changed since" if str(path) in record else f"was not written by Chargehand in {home}"
            raise ScheduleRefused(f"{path}: it {by_whom}. Move it away, then run this again. Nothing was changed.")
        changed[path] = content
    digests = {str(path): _digest(content) for path, content in files.items()}
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(home / RECORD, json.dumps(record | digests, indent=2).encode())
        for path, content in changed.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, content)
    except OSError as error:
        raise ScheduleRefused(f"{error.filename}: it cannot be written ({error.strerror}).") from error
    return tuple(changed)


def remove_schedule(home: Path) -> Removal:
    """Remove the files that `write_schedule` wrote. Raises ScheduleRefused."""
    removed: list[Path] = []
    kept: list[Path] = []
    for name, digest in _read_record(home).items():
        path = Path(name)
        existing = _read(path)
        if existing is None:
            continue
        if _digest(existing) != digest:
            kept.append(path)
            continue
        try:
            path.unlink()
        except OSError as error:
            raise ScheduleRefused(f"{path}: it cannot be removed ({error.strerror}).") from error
        removed.append(path)
    (home / RECORD).unlink(missing_ok=True)
    return Removal(tuple(removed), tuple(kept))


def _read_record(home: Path) -> dict[str, str]:
    """The digest of each written file, by path."""
    text = _read(home / RECORD)
    if text is None:
        return {}
    try:
        record: object = json.loads(text)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise ScheduleRefused(f"{home / RECORD}: it is not a record of a schedule. Remove it, then run this again.")
    return {str(path): str(digest) for path, digest in cast(dict[object, object], record).items()}


def _read(path: Path) -> bytes | None:
    """The content. None: the path does not exist. Raises ScheduleRefused, as for a broken link or a folder."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        if path.is_symlink():
            raise ScheduleRefused(f"{path}: it is a broken link. Move it away, then run this again.") from error
        return None
    except OSError as error:
        raise ScheduleRefused(f"{path}: it cannot be read ({error.strerror}). Move it away.") from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
