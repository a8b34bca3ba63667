"""Data sets as files of JSON lines, plain or gzip."""

import gzip
import json
from pathlib import Path
from typing import Any


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Rows in the data set's own form, hence Any. Raises OSError, or ValueError for what is no JSON."""
    return rows_of(file.read_bytes())


def rows_of(content: bytes) -> list[dict[str, Any]]:
    """The same for a file's content."""
    return [json.loads(line) for line in unpacked(content).splitlines() if line.strip()]


def unpacked(content: bytes) -> bytes:
    """The text of a file that may be packed."""
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
