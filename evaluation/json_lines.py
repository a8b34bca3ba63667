"""Reads data sets in JSON Lines format, plain or gzipped."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any, cast


class UnreadableRows(ValueError):
    """A file that is empty, damaged, or not JSON Lines of objects. The message names the file and the line."""


def read_rows(file: Path) -> list[dict[str, Any]]:
    """The rows, in the data set's own format (hence Any). Raises OSError or UnreadableRows."""
    rows: list[dict[str, Any]] = []
    try:
        lines = unpacked(file.read_bytes()).splitlines()
    except gzip.BadGzipFile as error:
        raise UnreadableRows(f"{file} cannot be unpacked ({error}). Copy it again.") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                row: object = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UnreadableRows(f"{file}, line {number}: it is not JSON ({error}). Correct it there.") from error
            if not isinstance(row, dict):
                raise UnreadableRows(f"{file}, line {number}: it is not an object. Name a data set of JSON lines.")
            rows.append(cast(dict[str, Any], row))
    if not rows:
        raise UnreadableRows(f"{file} is empty. Name a data set of JSON lines.")
    return rows


def rows_of(content: bytes) -> list[dict[str, Any]]:
    """The rows of a file's content. Raises OSError for a damaged archive, ValueError for invalid JSON."""
    return [json.loads(line) for line in unpacked(content).splitlines() if line.strip()]


def unpacked(content: bytes) -> bytes:
    """The content, decompressed if gzipped, without a byte order mark. Raises OSError for a damaged archive."""
    try:
        text = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    except (EOFError, zlib.error) as error:
        raise gzip.BadGzipFile("it is cut off or damaged") from error
    return text.removeprefix(b"\xef\xbb\xbf")
