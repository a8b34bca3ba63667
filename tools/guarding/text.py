"""Removes invisible characters and active content from text shown by terminals, models and host windows."""

import re
from dataclasses import dataclass
from typing import TypeVar, cast

from pydantic import BaseModel

_Answer = TypeVar("_Answer", bound=BaseModel)

# Escape sequences of ECMA-48 (5th edition, sections 5 and 8.3): CSI, strings (OSC, DCS, SOS, PM, APC) that end on the
# same line, and short sequences. An unterminated string is left readable.
_ESCAPES = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"
    "|\x1b[\\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\\\)"
    "|\x1b(?:[#%()*+./-][0-~]|[78=>@-_cno|}~])"
)  # fmt: skip

# C0 and C1 controls except tab and line feed; bidirectional marks, overrides and isolates (https://trojansource.codes,
# seen 2026-11-24); zero-width space and invisible operators; tag characters, which spell invisible ASCII
# (https://www.unicode.org/charts/PDF/UE0000.pdf, seen 2026-11-24); and runs of variation selectors, which can encode
# invisible bytes (normal text has at most one in a row). Zero-width joiners stay: emoji, Persian and Indic scripts
# need them.
_SMUGGLED = "\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f"
_SELECTORS = "[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,}"
_UNSEEN = re.compile(f"[\x00-\x08\x0b-\x1f{_SMUGGLED}]|{_SELECTORS}")
# Keeps carriage returns and form feeds, which are legitimate in source files.
_HIDDEN = re.compile(f"[\x00-\x08\x0b\x0e-\x1f{_SMUGGLED}]|{_SELECTORS}")

# Lone surrogates stand for the bytes of a file name that is not UTF-8. No JSON can be written with them.
_HALVES = re.compile("[\ud800-\udfff]")

# Content that a host's window fetches automatically, leaking any data in the URL: Markdown images
# (https://spec.commonmark.org/0.31.2/#images), which become links without their mark, and HTML elements that load.
_IMAGE_MARK = re.compile(r"!+(?=\[)")
_LOADING = re.compile(
    r"<(?=/?(?:img|image|picture|source|video|audio|track|iframe|frame|embed|object|link|script|style|svg|base|meta|"
    r"form|input|body|a)\b)",
    re.IGNORECASE,
)

# Fields that are shown as code or tool output, where Markdown images are plain text.
_AS_IT_IS = frozenset({"code", "quote", "first_failure"})


def visible(text: str) -> str:
    """The text without invisible characters and escape sequences; line ends become line feeds."""
    if text.isascii() and text.isprintable():  # fast path for most texts
        return text
    return _HALVES.sub("\ufffd", _UNSEEN.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))))


@dataclass(frozen=True)
class Hidden:
    """The invisible characters in a text."""

    count: int
    line: int
    """Of the first one, counted from 1."""


def hidden_in(text: str) -> Hidden | None:
    """The invisible characters that `for_models` removes. None: there are none."""
    found = list(_HIDDEN.finditer(text))
    return Hidden(len(found), text.count("\n", 0, found[0].start()) + 1) if found else None


def for_models(text: str) -> str:
    """The text as shown to models: unchanged except that invisible characters are removed."""
    return _HIDDEN.sub("", text)


def plain(text: str) -> str:
    """A remark as shown to people: visible characters only, with nothing that is fetched automatically."""
    seen = visible(text)
    if "[" in seen:
        seen = _IMAGE_MARK.sub("", seen)
    return _LOADING.sub("&lt;", seen) if "<" in seen else seen


def sanitized(answer: _Answer) -> _Answer:
    """The answer to return: its remarks made plain, its code visible."""
    said = answer.model_dump()
    if _is_plain(repr(said)):
        return answer
    cleaned = _cleaned(said)
    return answer if cleaned == said else type(answer).model_validate(cleaned)


def fenced(code: str) -> str:
    """The code in a fence long enough that the code cannot close it."""
    longest = max((len(run) for run in re.findall(r"`{3,}", code)), default=2)
    mark = "`" * (longest + 1)
    return f"{mark}\n{code.rstrip()}\n{mark}"


def indented(remark: str) -> str:
    """A multi-line remark as one list item, so that its lines cannot pass for lines of our own."""
    return remark.replace("\n", "\n    ")


def _is_plain(shown: str) -> bool:
    """Whether none of the texts in a `repr` needs cleaning: without a backslash they all stand in it unchanged."""
    is_seen = shown.isascii() and shown.isprintable() and "\\" not in shown
    return is_seen and "![" not in shown and "<" not in shown


def _cleaned(value: object, field: str = "") -> object:
    if isinstance(value, str):
        return visible(value) if field in _AS_IT_IS else plain(value)
    if isinstance(value, dict):
        return {name: _cleaned(part, str(name)) for name, part in cast(dict[object, object], value).items()}
    if isinstance(value, list):
        return [_cleaned(part, field) for part in cast(list[object], value)]
    return value
