"""Temporary folders for user code, removed even after a kill.

Each is locked while its process lives. The first one created by a process removes those that are no longer locked.
"""

import contextlib
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import anyio
import anyio.to_thread

if sys.platform != "win32":
    import fcntl

Kind = Literal["copy", "run", "history", "item"]
_OURS = re.compile(rf"chargehand-(?:{'|'.join(get_args(Kind))})-")
_OLD_S = 60.0
"""Seconds; a younger folder may not be locked yet."""


@asynccontextmanager
async def scratch_folder(kind: Kind) -> AsyncGenerator[Path]:
    """An empty folder in the system's temporary folder, with a resolved path, deleted at the end.

    Who is cancelled does not wait for that, which takes seconds for a large project: a server that is told to end must
    record what it has first. If the process ends meanwhile, `sweep` in a later one deletes the rest.

    kind: its purpose, part of its name. Raises OSError if it cannot be created.
    """
    await anyio.to_thread.run_sync(sweep, tempfile.gettempdir())
    folder, lock = await anyio.to_thread.run_sync(_made, kind)
    is_cancelled = False
    try:
        yield folder
    except anyio.get_cancelled_exc_class():
        is_cancelled = True
        raise
    finally:
        if is_cancelled:
            threading.Thread(target=_remove, args=(folder, lock)).start()
        else:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_remove, folder, lock)


def _remove(folder: Path, lock: int | None) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if lock is not None:
        os.close(lock)


@cache
def sweep(place: str) -> None:
    """Remove the folders that killed processes left behind; once per process."""
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if _OURS.match(entry.name):
                _remove_if_left(entry)


def _made(kind: Kind) -> tuple[Path, int | None]:
    # Resolved: macOS' temporary folder is a link, and its sandbox needs real paths.
    folder = Path(tempfile.mkdtemp(prefix=f"chargehand-{kind}-")).resolve()
    return folder, _lock(folder)


def _remove_if_left(entry: "os.DirEntry[str]") -> None:
    with contextlib.suppress(OSError):  # another process is removing it
        found = entry.stat(follow_symlinks=False)
        if not entry.is_dir(follow_symlinks=False) or time.time() - found.st_mtime < _OLD_S:
            return
        if sys.platform == "win32" or found.st_uid != os.geteuid():
            return
        lock = _lock(Path(entry.path))
        if lock is not None:
            shutil.rmtree(entry.path, ignore_errors=True)
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """A descriptor that locks the folder until it is closed or the process ends. None: locked by another process, or
    no locks on this system."""
    if sys.platform == "win32":
        return None
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
