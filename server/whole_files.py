"""Files that are written whole or not at all."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path


def replace_file(file: Path, content: bytes) -> None:
    """Put a file in another's place; readable by those who could read that one, a new one by its owner alone.

    Raises OSError; then the file is as it was.
    """
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "wb") as written:
            written.write(content)
            written.flush()
            os.fsync(written.fileno())
        with contextlib.suppress(FileNotFoundError):
            shutil.copymode(file, name)
        Path(name).replace(file)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
