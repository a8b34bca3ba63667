"""Detects excerpts given as whole files, which would delete the rest of the file, and definitions that a file lost."""

import re
from collections.abc import Sequence

from ..some_names import some_names
from .outline import all_units, outline

# A comment in place of code that a model did not repeat.
_PLACEHOLDER = re.compile(
    r"\s*(?:\#|//|--|/\*|<!--|;|\{/\*)+\s*"
    r"(?=.*(?:\.{3}|\u2026|\bunchanged\b|\bsame as before\b))"
    r"(?=.*\b(?:existing|rest|remaining|unchanged|previous|other|omitted|same|as before|keep)\b).*",
    re.IGNORECASE,
)
_LINE_CHARACTERS_AT_MOST = 200

# Minimum length of a text without definitions for excerpts of it to be detected.
_LEAST_LINES = 30

_NAMES_SHOWN = 5


def placeholder_in(text: str, before: str) -> str | None:
    """The first placeholder line, with its number; None: there is none that the old text lacks."""
    there = set(before.split("\n"))
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) <= _LINE_CHARACTERS_AT_MOST and _PLACEHOLDER.fullmatch(line) and line not in there:
            return f"line {number}, `{line.strip()}`"
    return None


def describe_loss(path: str, before: str, text: str, elsewhere: Sequence[str]) -> str | None:
    """What would be lost if an excerpt replaced the file. None: the text is not an excerpt.

    elsewhere: the other texts of the answer, to which definitions may have moved.
    """
    old_lines, new_lines = before.rstrip("\n").split("\n"), text.rstrip("\n").split("\n")
    if 2 * len(new_lines) >= len(old_lines):
        return None
    old, new = _names(path, before), _names(path, text)
    if old:
        moved = _words(elsewhere)
        lost = [name for name in old if name not in new and name not in moved]
        if set(old).isdisjoint(new) or 2 * len(lost) <= len(old):
            return None
        return some_names([f"`{name}`" for name in lost], _NAMES_SHOWN)
    there = set(filter(str.strip, old_lines))
    filled = [line for line in new_lines if line.strip()]
    is_piece = len(old_lines) >= _LEAST_LINES and 2 * sum(line in there for line in filled) >= len(filled)
    return f"{len(old_lines) - len(new_lines)} of its {len(old_lines)} lines" if is_piece else None


def describe_gone(path: str, before: str, text: str, elsewhere: Sequence[str]) -> str | None:
    """The file's own names, such as functions and constants, that none of the new texts mentions. None: there are none.

    elsewhere: as for `describe_loss`.
    """
    names = dict.fromkeys(unit.name for unit in outline(path, before) if re.fullmatch(r"\w+", unit.name))
    mentioned = _words([text, *elsewhere])
    gone = [f"`{name}`" for name in names if name not in mentioned]
    return some_names(gone, _NAMES_SHOWN) if gone else None


def _words(texts: Sequence[str]) -> set[str]:
    return {word for text in texts for word in re.findall(r"\w+", text)}


def _names(path: str, text: str) -> dict[str, None]:
    """The names of all definitions, in order."""
    return {unit.name: None for unit in all_units(outline(path, text)) if re.fullmatch(r"\w+", unit.name)}
