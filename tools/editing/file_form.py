"""Converts files to text for models and back, preserving encoding, byte order mark, line ends and the final line end.

A line whose visible text is unchanged keeps its exact bytes.
"""

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ..guarding.text import visible
from .line_diff import common_runs

# UTF-32 before UTF-16, whose mark is a prefix of it.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# An encoding declared in the first two lines (PEP 263; Emacs and Vim read it too).
_DECLARED = re.compile(rb"\A(?:[^\n]*\n)?[^\n]*?coding[:=][ \t]*([-\w.]+)")

_FALLBACKS = ("cp1252", "latin-1")
"""For files that are not UTF-8 and declare no encoding; the last accepts any byte."""

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")

_LINE = re.compile(r"([^\r\n]*)(\r\n|\n|\r)|([^\r\n]+)\Z")


class NotText(ValueError):
    """The bytes are not editable text."""


class NotWritable(ValueError):
    """A new text contains a character that the file's encoding cannot represent."""

    def __init__(self, character: str, line: int, encoding: str) -> None:
        super().__init__(f"line {line}: {character!r} cannot be written in the file's encoding, {encoding}")


@dataclass(frozen=True)
class FileText:
    """The text of a file and its encoding details."""

    text: str
    """With \\n line ends, without a byte order mark."""
    raw: str
    """The same with the original line ends."""
    encoding: str
    mark: bytes
    """The byte order mark; empty if there is none."""
    line_end: str
    """Its most common line end."""

    def read_again(self, data: bytes) -> str:
        """The text, with \\n line ends, of bytes returned by `in_form_of` for this file."""
        return re.sub(r"\r\n?", "\n", data.removeprefix(self.mark).decode(self.encoding))

    @property
    def is_plain(self) -> bool:
        """Whether all line ends are the same and no character is invisible, so that `text` loses nothing."""
        return self.raw == self.text.replace("\n", self.line_end) and visible(self.text) == self.text


def read_text(data: bytes) -> FileText:
    """Decode the bytes of a file. Raises NotText."""
    mark, encoding = next(((m, e) for m, e in _MARKS if data.startswith(m)), (b"", ""))
    if not mark and b"\0" in data:
        raise NotText("it is binary")
    body = data.removeprefix(mark)
    for candidate in (encoding,) if mark else _candidates(data):
        raw = _decoded(body, candidate)
        if raw is not None and not _is_binary(raw, candidate):
            ends = Counter(end for _, end in _lines(raw) if end)
            line_end = max(ends, key=ends.__getitem__, default="\n")
            return FileText(re.sub(r"\r\n?", "\n", raw), raw, candidate, mark, line_end)
    raise NotText(f"it is marked as {encoding} but is not" if mark else "it is binary")


def text_in(data: bytes) -> str | None:
    """The text of a file's bytes. None: they are not text."""
    try:
        return read_text(data).text
    except NotText:
        return None


def in_form_of(text: str, original: FileText | None) -> bytes:
    """The bytes of a new text, in the form of the original.

    original: None for a new file, which becomes UTF-8 with \\n. Raises NotWritable.
    """
    if original is None:
        return _encoded(text, "utf-8")
    text = _ended_like(text, original.text)
    raw = text.replace("\n", original.line_end) if original.is_plain else _woven(text, original)
    return original.mark + _encoded(raw, original.encoding)


def _candidates(data: bytes) -> Iterator[str]:
    yield "utf-8"
    declared = _DECLARED.match(data)
    if declared is not None:
        yield declared[1].decode("ascii", "replace")
    yield from _FALLBACKS


def _is_binary(text: str, encoding: str) -> bool:
    """Whether the text contains NUL, or was decoded by a fallback encoding and contains control characters."""
    return "\0" in text or (encoding in _FALLBACKS and _CONTROL.search(text) is not None)


def _decoded(data: bytes, encoding: str) -> str | None:
    """The decoded text, if it encodes back to the same bytes; else None."""
    try:
        text = data.decode(encoding)
        return text if text.encode(encoding) == data else None
    except (UnicodeError, LookupError):  # a declared encoding may be unknown, or not a text encoding
        return None


def _encoded(text: str, encoding: str) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        line = len(re.findall(r"\r\n|\n|\r", text[: error.start])) + 1
        raise NotWritable(text[error.start], line, encoding) from error


def _ended_like(text: str, original: str) -> str:
    """The text with or without a final line end, as in the original."""
    if not original or not text:
        return text
    if original.endswith("\n"):
        return text if text.endswith("\n") else text + "\n"
    return text.removesuffix("\n")


def _woven(text: str, original: FileText) -> str:
    """The new text with the original's exact lines wherever their visible text is the same."""
    old, new = list(_lines(original.raw)), list(_lines(text))
    woven = [(content, original.line_end if end else "") for content, end in new]
    for run in common_runs([visible(content) for content, _ in old], [visible(content) for content, _ in new]):
        for offset in range(run.lines):
            content, end = old[run.before + offset]
            new_end = new[run.after + offset][1]
            woven[run.after + offset] = (content, (end or original.line_end) if new_end else "")
    return "".join(content + end for content, end in woven)


def _lines(raw: str) -> Iterator[tuple[str, str]]:
    """The content and line end of each line; the last may have none."""
    for match in _LINE.finditer(raw):
        yield (match[3], "") if match[3] is not None else (match[1], match[2])
