"""Finds the lines of an edit's search text in a file, exactly or up to whitespace; never by similarity."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from ..guarding.text import visible

# Columns per tab to try, most common first.
_TAB_WIDTHS = (4, 8, 2)


@dataclass(frozen=True)
class Match:
    """A place where an edit applies, and the lines after it."""

    first_line: int
    """Counted from 0."""
    length: int
    replacement: tuple[str, ...]


def find_matches(text: Sequence[str], search: Sequence[str], replace: Sequence[str]) -> list[Match]:
    """Every place where the edit applies; inexact matches are searched only if there is no exact one.

    Inexact matches may differ in trailing spaces, invisible characters, a uniform indentation, and tabs versus spaces.
    """
    exact = [Match(at, len(search), tuple(replace)) for at in _places(text, search)]
    if exact or not any(line.strip() for line in search):
        return exact
    return _tolerant(text, *_without_outer_blanks(search, replace))


def closest(text: Sequence[str], search: Sequence[str]) -> int | None:
    """The line, counted from 0, where the search text aligns with the most characters of matching lines. None: no line
    matches.

    Of lines that occur very often, only the first occurrence counts.
    """
    lines: dict[str, list[int]] = {}
    for number, line in enumerate(text):
        lines.setdefault(line.strip(), []).append(number)
    votes: dict[int, int] = {}
    for offset, line in enumerate(search):
        bare = line.strip()
        places = lines.get(bare, []) if bare else []
        for number in places if len(places) <= _PLACES_AT_MOST else places[:1]:
            votes[number - offset] = votes.get(number - offset, 0) + len(bare)
    return max(0, max(votes, key=lambda place: (votes[place], -place))) if votes else None


_PLACES_AT_MOST = 50


def _places(text: Sequence[str], search: Sequence[str]) -> Iterator[int]:
    """The first line of each occurrence; occurrences may overlap."""
    hay, needle = "\n" + "\n".join(text) + "\n", "\n" + "\n".join(search) + "\n"
    line, counted = 0, 0
    found = hay.find(needle)
    while found >= 0:
        line += hay.count("\n", counted, found)
        counted = found
        yield line
        found = hay.find(needle, found + 1)


def _without_outer_blanks(search: Sequence[str], replace: Sequence[str]) -> tuple[list[str], list[str]]:
    """Both without the blank lines that both begin or end with. search: has a line that is not blank."""
    search, replace = list(search), list(replace)
    while replace and not search[0].strip() and not replace[0].strip():
        del search[0], replace[0]
    while replace and not search[-1].strip() and not replace[-1].strip():
        del search[-1], replace[-1]
    return search, replace


def _tolerant(text: Sequence[str], search: Sequence[str], replace: Sequence[str]) -> list[Match]:
    """The places where the edit applies up to whitespace; the tab width with the smallest shift wins."""
    bare = [_bare(line) for line in text]
    wanted = [_bare(line) for line in search]
    found: dict[int, Match] = {}
    shifts: dict[int, int] = {}
    for at in _places(bare, wanted):
        there = text[at : at + len(search)]
        for width in _TAB_WIDTHS if any("\t" in _indent(line) for line in (*there, *search)) else _TAB_WIDTHS[:1]:
            shift = _shift(there, search, width)
            if shift is None or (at in found and abs(shifts[at]) <= abs(shift)):
                continue
            lines = _rewritten(there, search, replace, shift, width)
            if lines is not None:
                found[at], shifts[at] = Match(at, len(search), lines), shift
    return list(found.values())


def _shift(there: Sequence[str], search: Sequence[str], width: int) -> int | None:
    """The number of columns by which the search text must be shifted; None: it differs between lines."""
    shifts = {
        _columns(line, width) - _columns(sought, width)
        for line, sought in zip(there, search, strict=True)
        if sought.strip()
    }
    return shifts.pop() if len(shifts) == 1 else None


def _rewritten(
    there: Sequence[str], search: Sequence[str], replace: Sequence[str], shift: int, width: int
) -> tuple[str, ...] | None:
    """The replacement in the file's indentation; lines that the edit keeps stay exactly as in the file.

    None: a line would start left of column 0.
    """
    uses_tabs = any("\t" in _indent(line) for line in there)
    lines: list[str] = []
    for kind, begin, end, new_begin, new_end in SequenceMatcher(None, search, replace, autojunk=False).get_opcodes():
        if kind == "equal":
            lines += there[begin:end]
            continue
        for line in replace[new_begin:new_end]:
            if not line.strip():
                lines.append("")
                continue
            columns = _columns(line, width) + shift
            if columns < 0:
                return None
            indent = "\t" * (columns // width) + " " * (columns % width) if uses_tabs else " " * columns
            is_as_there = shift == 0 and ("\t" in _indent(line)) == uses_tabs
            lines.append(line if is_as_there else indent + line.lstrip())
    return tuple(lines)


def _bare(line: str) -> str:
    return visible(line).strip()


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _columns(line: str, width: int) -> int:
    return sum(width if character == "\t" else 1 for character in _indent(line))
