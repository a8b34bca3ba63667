"""Finds and decodes base64, hexadecimal and percent-encoded text within a text.

Only complete runs that decode to text are found, and they are decoded once: nested, partial and other encodings
are missed.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote_to_bytes

Encoding = Literal["base64", "hex", "percent"]

_MIN_CHARACTERS = 14
"""Characters of decoded text. Few secrets with their key word are shorter, and random bytes can decode to less."""
_PROBE_CHARACTERS = 32
"""Characters that are decoded first: enough to reject nearly every run that is not text."""
_WORD = re.compile(r"[A-Za-z0-9_+/-]{22,}={0,2}")
"""Candidate base64 in either alphabet; hexadecimal runs are searched within these matches."""
_WRAPPED = re.compile(r"(?:[A-Za-z0-9+/]{40,}\r?\n[ \t]*)+[A-Za-z0-9+/]{2,}={0,2}")
"""Base64 wrapped into long lines and a last, shorter one."""
_HEX = re.compile(r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{2}){16,}(?![0-9A-Fa-f])")
_ESCAPES = re.compile(r"\\x[0-9A-Fa-f]{2}(?:\\x[0-9A-Fa-f]{2}){15,}")
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_ADDRESS_CHARACTERS = re.compile(r"[\w.~!$&*+,;=:@/?%-]*")
_BEFORE_PERCENT = 400
"""How far before the first percent-encoded character the start of the address is searched."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True)
class Encoded:
    """A run of characters that decodes to text."""

    encoding: Encoding
    start: int
    end: int
    text: str
    """The decoded text."""


def encoded_in(text: str) -> Iterator[Encoded]:
    """All runs of a text that decode to text; runs of different encodings may overlap."""
    for encoding, start, end in (*_words(text), *_percent_encoded(text)):
        decoded = _decode(text[start:end], encoding)
        if decoded is not None:
            yield Encoded(encoding, start, end, decoded)
    for run in _ESCAPES.finditer(text):
        if (decoded := _decode(run[0], "hex")) is not None:
            yield Encoded("hex", run.start(), run.end(), decoded)


def _words(text: str) -> Iterator[tuple[Encoding, int, int]]:
    wrapped_until = 0
    for word in _WORD.finditer(text):
        start, end = word.span()
        if start >= wrapped_until and text[end : end + 1] in ("\r", "\n") and (lines := _WRAPPED.match(text, start)):
            wrapped_until = lines.end()
            yield "base64", start, wrapped_until
            # An unrelated word on the line below matches as the last line, so try without that line too.
            yield "base64", start, start + len(lines[0].rpartition("\n")[0].rstrip())
        yield "base64", start, end
        for digits in _HEX.finditer(text, start, end):
            yield "hex", *digits.span()


def _percent_encoded(text: str) -> Iterator[tuple[Encoding, int, int]]:
    until = 0
    for first in _PERCENT.finditer(text):
        if first.start() >= until:
            before = text[max(until, first.start() - _BEFORE_PERCENT) : first.start()][::-1]
            start = first.start() - len(before[: _end_of_address(before)])
            until = _end_of_address(text, first.start())
            yield "percent", start, until


def _end_of_address(text: str, start: int = 0) -> int:
    found = _ADDRESS_CHARACTERS.match(text, start)
    return found.end() if found is not None else start


def _decode(run: str, encoding: Encoding) -> str | None:
    decode = _DECODERS[encoding]
    if encoding != "percent" and not _is_text(
        decode(run[:_PROBE_CHARACTERS]).decode("utf-8", "ignore"), _PROBE_CHARACTERS // 4 - 3
    ):
        return None
    try:
        text = decode(run).decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if _is_text(text, _MIN_CHARACTERS) else None


def _is_text(text: str, min_characters: int) -> bool:
    return len(text) >= min_characters and _CONTROL.search(text) is None


def _from_base64(run: str) -> bytes:
    letters = re.sub(r"[\s=]", "", run).replace("-", "+").replace("_", "/")
    letters = letters[: len(letters) - (len(letters) % 4 == 1)]
    try:
        return base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _from_hex(run: str) -> bytes:
    digits = run.replace("\\x", "")
    return bytes.fromhex(digits[: len(digits) // 2 * 2]) if "\\" not in digits else b""


_DECODERS: dict[Encoding, Callable[[str], bytes]] = {
    "base64": _from_base64,
    "hex": _from_hex,
    "percent": unquote_to_bytes,
}
