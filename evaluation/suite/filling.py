"""Fills the marks in a task's texts with the values chosen by a seed."""

import re
from collections.abc import Mapping

_MARK = re.compile(r"«([^«»\n]*)»")
_ALONE = re.compile(r"^(?P<indent>[ \t]*)«(?P<name>[^«»\n]*)»[ \t]*\n", re.MULTILINE)
_DEPTH = 5


class Unfilled(ValueError):
    """A mark that has no value, or whose value contains itself."""


def fill(text: str, values: Mapping[str, str]) -> str:
    """Replace each «name» by its value, which may contain marks itself.

    A mark alone on its line indents each line of its value like itself, and removes the line if the value is empty.
    Raises Unfilled.
    """
    for _ in range(_DEPTH):
        if _MARK.search(text) is None:
            return text
        text = _ALONE.sub(lambda mark: _lines(_value(mark["name"], values), mark["indent"]), text)
        text = _MARK.sub(lambda mark: _value(mark[1], values), text)
    if (left := _MARK.search(text)) is not None:
        raise Unfilled(f"{left[0]} stands in its own value")
    return text


def marks(text: str) -> set[str]:
    """The names of all marks in the text."""
    return set(_MARK.findall(text))


def _value(name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        raise Unfilled(f"«{name}» is nothing that varies; there are {', '.join(sorted(values)) or 'no names'}")
    return values[name]


def _lines(value: str, indent: str) -> str:
    lines = value.rstrip("\n").split("\n") if value.strip() else []
    return "".join(f"{indent}{line}\n" if line else "\n" for line in lines)
