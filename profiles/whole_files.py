"""Files that are written whole or not at all, and are on the disk then."""

import contextlib
import os
import stat
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def whole_file(file: Path, *, mode: int = 0o600) -> Generator[BinaryIO]:
    """A stream whose content takes a file's place at the end of the block; a link there is replaced by the file.

    Raises OSError; then, and when the block raises, the file is as it was.
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


def replace_file(file: Path, content: bytes, *, new_mode: int = 0o600) -> None:
    """Put a file in another's place, with that one's mode; new_mode: where there is none. Raises OSError as above."""
    mode = stat.S_IMODE(file.stat().st_mode) if file.exists() else new_mode
    with whole_file(file, mode=mode) as written:
        written.write(content)


def write_through(path: Path, data: bytes) -> None:
    """Write a file that nobody reads yet, for its owner alone. Raises OSError, and then part of it may be there."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def sync(path: Path) -> None:
    """Returns when a file, or the names in a folder, are on the disk. Raises OSError."""
    if os.name == "nt" and path.is_dir():
        return  # a folder cannot be opened there; NTFS journals its names itself
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
