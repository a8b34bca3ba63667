"""Atomic and durable file writes."""

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def atomic_write(file: Path, *, mode: int = 0o600) -> Generator[BinaryIO]:
    """A stream whose content replaces `file` when the block ends; a symbolic link there is itself replaced.

    Raises OSError; then, and when the block raises, the file is unchanged.
    """
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "wb") as written:
            yield written
            written.flush()
            os.fsync(written.fileno())
        Path(name).chmod(mode)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def refuse_special_file(file: Path) -> None:
    """Raises OSError for a device or a pipe: reading one may block forever, and replacing it would destroy it."""
    if file.exists() and not file.is_file() and not file.is_dir():
        raise OSError(errno.EINVAL, "It is a device or a pipe, not a file", str(file))


def replace_file(file: Path, content: bytes, *, new_mode: int = 0o600) -> None:
    """Replace a file's content atomically and keep its mode; new_mode: for a new file. Raises as `atomic_write`."""
    refuse_special_file(file)
    mode = stat.S_IMODE(file.stat().st_mode) if file.exists() else new_mode
    with atomic_write(file, mode=mode) as written:
        written.write(content)


def write_and_sync(path: Path, data: bytes) -> None:
    """Write and sync a file, readable by its owner only. Not atomic: after an OSError it may be incomplete."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk. Raises OSError."""
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open a folder; NTFS journals its entries itself
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
