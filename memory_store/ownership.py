"""Tracks live processes: each holds a lock on its own file while it runs.

The kernel releases the lock however the process ends, kill -9 included, so a file that can be locked
belongs to a dead process. The data folder must be on a local disk, as SQLite's log also requires.
"""

import contextlib
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Self

import anyio
import anyio.to_thread

from .errors import LedgerUnusable

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

FOLDER = "owners"

_MOST_TRIES = 1_000
_PAUSE_S = 0.002


class Owner:
    """This process's registration, visible to others."""

    def __init__(self, owner_id: str, folder: Path, descriptor: int) -> None:
        self.id = owner_id
        self._folder = folder
        self._descriptor = descriptor

    @classmethod
    async def enter(cls, home: Path) -> Self:
        """Register this process in the data folder until `leave` or its end.

        Raises LedgerUnusable, which names the folder and the remedy.
        """
        folder, owner_id = home / FOLDER, f"{os.getpid()}-{secrets.token_hex(8)}"

        def enter() -> int:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in list(folder.iterdir()):
                _is_held(path)
            return _acquire(folder / owner_id)

        try:
            return cls(owner_id, folder, await anyio.to_thread.run_sync(enter))
        except OSError as error:
            raise LedgerUnusable(
                f"no lock can be held in {folder} ({error}). Make it writable, on a disk of this machine, or set"
                " CHARGEHAND_HOME to another folder."
            ) from error

    async def is_alive(self, owner_id: str) -> bool:
        """Whether the process with this id is still running."""
        if owner_id == self.id:
            return True
        return await anyio.to_thread.run_sync(_is_held, self._folder / Path(owner_id).name)

    async def leave(self) -> None:
        """End the registration."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(_release, self._folder / self.id, self._descriptor)


def _acquire(path: Path) -> int:
    """Create and lock a file exclusively and return its descriptor; closing it releases the lock.

    Retries, since another process's cleanup may lock and remove the file before it is locked here.
    """
    for _ in range(_MOST_TRIES):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if _lock(descriptor) and _is_same_file(path, descriptor):
            return descriptor
        os.close(descriptor)
        time.sleep(_PAUSE_S)  # lets the process that holds the lock proceed on a busy machine
    raise OSError(f"the lock on {path.name} was taken {_MOST_TRIES} times")


def _is_held(path: Path) -> bool:
    """Whether a live process holds the lock; the file of a dead one is removed."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError:  # such as too many open files: unknown, so assume it is alive
        return True
    if not _lock(descriptor):
        os.close(descriptor)
        return True
    _release(path, descriptor)
    return False


def _release(path: Path, descriptor: int) -> None:
    # Removed while locked, so that no process locks a file about to vanish; Windows cannot remove open files.
    if sys.platform == "win32":
        os.close(descriptor)
    with contextlib.suppress(OSError):
        path.unlink()
    if sys.platform != "win32":
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _is_same_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
