"""A text file as models see it, and back: encoding, byte order mark, line ends and the last line end survive.

A line that reads the same is the same line, and its very bytes stay, however odd they are.
"""

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ..guarding.text import visible
from .line_diff import kept_lines

# The longer mark first: that of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# How a file says its own encoding in its first two lines (PEP 263; Emacs and Vim read it too).
_DECLARED = re.compile(rb"\A(?:[^\n]*\n)?[^\n]*?coding[:=][ \t]*([-\w.]+)")

_FALLBACKS = ("cp1252", "latin-1")
"""For what is no UTF-8 and says nothing; the last takes any byte."""

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")

_LINE = re.compile(r"([^\r\n]*)(\r\n|\n|\r)|([^\r\n]+)\Z")


class NotText(ValueError):
    """The bytes are no text that could be edited."""


class NotWritable(ValueError):
    """A new text has a character that the file's encoding has not."""

    def __init__(self, character: str, line: int, encoding: str) -> None:
        super().__init__(f"line {line}: {character!r} cannot be written in the file's encoding, {encoding}")


@dataclass(frozen=True)
class FileText:
    """What a file says, and how it says it."""

    text: str
    """With \\n as line end and without a byte order mark."""
    raw: str
    """The same with its own line ends."""
    encoding: str
    mark: bytes
    """The byte order mark; empty when there is none."""
    line_end: str
    """What most of its lines end with."""

    def read_again(self, data: bytes) -> str:
        """The text, with \\n as line end, of bytes that `in_form_of` gave for it."""
        return re.sub(r"\r\n?", "\n", data.removeprefix(self.mark).decode(self.encoding))

    @property
    def is_plain(self) -> bool:
        """Whether all its lines end alike and nothing unseen is in it, so that `text` says everything."""
        return self.raw == self.text.replace("\n", self.line_end) and visible(self.text) == self.text


def read_text(data: bytes) -> FileText:
    """What the bytes of a file say. Raises NotText."""
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


def in_form_of(text: str, original: FileText | None) -> bytes:
    """The bytes of a new text, in the form of the one it takes the place of.

    original: None for a new file, which is UTF-8 with \\n. Raises NotWritable.
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
    """Whether it has what no text has; what any bytes can be read as must look like text besides."""
    return "\0" in text or (encoding in _FALLBACKS and _CONTROL.search(text) is not None)


def _decoded(data: bytes, encoding: str) -> str | None:
    """The text, if every byte of it comes back from it; None otherwise."""
    try:
        text = data.decode(encoding)
        return text if text.encode(encoding) == data else None
    except (UnicodeError, LookupError):  # a declared encoding may be none, or none of text
        return None


def _encoded(text: str, encoding: str) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        line = len(re.findall(r"\r\n|\n|\r", text[: error.start])) + 1
        raise NotWritable(text[error.start], line, encoding) from error


def _ended_like(text: str, original: str) -> str:
    """The text with or without a last line end, as the original has it."""
    if not original or not text:
        return text
    if original.endswith("\n"):
        return text if text.endswith("\n") else text + "\n"
    return text.removesuffix("\n")


def _woven(text: str, original: FileText) -> str:
    """The new text with the original's own lines wherever it reads the same."""
    old, new = list(_lines(original.raw)), list(_lines(text))
    woven = [(content, original.line_end if end else "") for content, end in new]
    for run in kept_lines([visible(content) for content, _ in old], [visible(content) for content, _ in new]):
        for offset in range(run.lines):
            content, end = old[run.before + offset]
            new_end = new[run.after + offset][1]
            woven[run.after + offset] = (content, (end or original.line_end) if new_end else "")
    return "".join(content + end for content, end in woven)


def _lines(raw: str) -> Iterator[tuple[str, str]]:
    """Each line's content and its end; the last may have none."""
    for match in _LINE.finditer(raw):
        yield (match[3], "") if match[3] is not None else (match[1], match[2])
