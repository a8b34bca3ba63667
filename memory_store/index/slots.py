"""Gives each process its own folder, protected by a lock that is released when the process ends.

No two processes may open the same Chroma folder: vectors get lost silently, or the process crashes (chromadb
1.5.9, measured). The operating system releases the lock even after kill -9. Lock files lie beside the folders
and are never removed, since two processes could otherwise hold locks of the same name.
"""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .errors import IndexUnavailable

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

SLOTS_AT_MOST = 64
IDLE_AFTER_S = 7 * 24 * 3600.0
"""Free slots unused for this long are emptied."""


class Slot:
    """A folder owned by this process until it is released or the process ends."""

    def __init__(self, number: int, folder: Path, lock: BinaryIO) -> None:
        self.number = number
        self.folder = folder
        self._lock = lock

    @property
    def descriptors(self) -> tuple[int, ...]:
        """File descriptors for a child process to inherit, so that the slot stays locked while it runs."""
        return () if sys.platform == "win32" else (self._lock.fileno(),)

    def release(self) -> None:
        self._lock.close()


def take_slot(root: Path) -> Slot:
    """Take the lowest-numbered free slot and create its folder if needed.

    root: the folder of all slots. Raises IndexUnavailable.
    """
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(SLOTS_AT_MOST):
            slot = _try_slot(root, number)
            if slot is not None:
                slot.folder.mkdir(mode=0o700, exist_ok=True)
                return slot
    except OSError as error:
        raise IndexUnavailable(remedy(root, error)) from error
    raise IndexUnavailable(
        f"all {SLOTS_AT_MOST} slots of {root} are held by running processes. End some of them,"
        " or set CHARGEHAND_CHROMA_URL to a Chroma server that they share"
    )


def remove_idle(root: Path, *, now: float | None = None, idle_after_s: float = IDLE_AFTER_S) -> list[int]:
    """Empty free slots that have been idle for long and return their numbers.

    now: seconds since 1970. A slot's last use is its folder's modification time. Folders that cannot be removed
    are skipped. Raises IndexUnavailable when the root cannot be read.
    """
    removed: list[int] = []
    for number, folder in _folders(root):
        try:
            if (time.time() if now is None else now) - folder.stat().st_mtime < idle_after_s:
                continue
            slot = _try_slot(root, number)
            if slot is None:
                continue
            try:
                shutil.rmtree(folder)
                removed.append(number)
            finally:
                slot.release()
        except OSError:
            continue  # another process emptied it first, or we lack permission; both are harmless
    return removed


def remedy(folder: Path, error: object) -> str:
    """The error message for an unusable index folder, with the remedy."""
    return (
        f"the index in {folder} cannot be used ({error}). Make the folder writable and free disk space, or set"
        " CHARGEHAND_HOME to another folder"
    )


def _folders(root: Path) -> Iterator[tuple[int, Path]]:
    try:
        folders = sorted(root.iterdir()) if os.path.lexists(root) else []
    except OSError as error:
        raise IndexUnavailable(remedy(root, error)) from error
    for folder in folders:
        if folder.name.isdecimal() and folder.is_dir():
            yield int(folder.name), folder


def _try_slot(root: Path, number: int) -> Slot | None:
    descriptor = os.open(root / f"{number}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    lock = os.fdopen(descriptor, "r+b", buffering=0)
    try:
        if _lock(lock):
            return Slot(number, root / str(number), lock)
    except BaseException:
        lock.close()
        raise
    lock.close()
    return None


if sys.platform == "win32":

    def _lock(file: BinaryIO) -> bool:
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:

    def _lock(file: BinaryIO) -> bool:
        try:
            # flock belongs to the open file, not the process, so two servers in one process are separated too.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
