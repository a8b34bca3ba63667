"""Which lines of the context a task needs most, from what it names and what its target refers to."""

import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import PurePath

from .context import ContextFile
from .outline import Unit, all_units, outline

# Words that are names beyond doubt: marked as code, called, dotted, with an underscore or a capital inside.
_MARKED = re.compile(r"`([^`\n]+)`")
_SURE = re.compile(
    r"\b(?:\w+_\w+|[A-Za-z]\w*[a-z0-9][A-Z]\w*)\b|\b([A-Za-z_]\w*)(?=\(\S*\))|\b[a-z_]\w*(?:\.[A-Za-z_]\w*)+"
)
_NAME = re.compile(r"[A-Za-z_]\w*")
_WORD = re.compile(r"[A-Za-z_]\w{2,}")


@dataclass(frozen=True)
class Piece:
    """Lines of a file that are of use together. Lower priorities come first."""

    priority: int
    file: int
    """Its place among the context files."""
    lines: tuple[int, ...]
    """Counted from 0."""


# What a prompt must hold for its task to make sense, and in which order it gets more.
MUST = 0
"""Definitions that the task names; imports and signatures of the files that hold them, of the target, and of
files that the task names. Of all files when it names nothing."""
TARGET = 1
"""The target, whole, or as many of its definitions as there is room for."""
REFERRED_SIGNATURES = 2
"""Of definitions whose names are words of the task, or that the target or what the task names refers to."""
REFERRED = 3
"""The same definitions, whole."""
OUTLINE = 4
"""Imports and signatures of all other files."""


@dataclass(frozen=True)
class Reading:
    """What there is to choose from."""

    pieces: tuple[Piece, ...]
    order: tuple[int, ...]
    """The files, the most useful first."""


def weigh(task: str, files: Sequence[ContextFile], target: str | None) -> Reading:
    """The pieces of the files, and the files' order: the target, those that the task names, the rest as given."""
    units = [outline(file.path, file.text) for file in files]
    sure, words = _names(task)
    central = [file.path == target or _is_named(file.path, task) for file in files]
    pieces: list[Piece] = []
    holding: set[int] = set()
    for number, of_file in enumerate(units):
        for unit in _named_units(of_file, sure):
            holding.add(number)
            pieces.append(_whole_or_outline(unit, number, MUST, sure))
        if not any(unit.name for unit in all_units(of_file)):
            found = [u for u in of_file if _mentions(files[number].text, u, sure)]
            holding.update({number} if found else ())
            pieces += [_piece(unit, number, MUST) for unit in found]
    referred = words | _referred_to(files, units, central, sure)
    for number, (file, of_file) in enumerate(zip(files, units, strict=True)):
        is_needed = central[number] or number in holding or not (holding or any(central))
        pieces.append(_signatures(of_file, number, MUST if is_needed else OUTLINE))
        if central[number]:
            pieces.append(Piece(TARGET, number, tuple(range(file.text.count("\n") + 1))))
            pieces += [_piece(unit, number, TARGET) for unit in of_file]
        for unit in _named_units(of_file, referred):
            pieces.append(_signatures([unit], number, REFERRED_SIGNATURES))
            pieces.append(_whole_or_outline(unit, number, REFERRED, referred))
    ranked = sorted(range(len(files)), key=lambda n: (files[n].path != target, not central[n], n not in holding, n))
    return Reading(tuple(pieces), tuple(ranked))


def _names(task: str) -> tuple[set[str], set[str]]:
    """What is surely a name in the task, and all its words."""
    sure: set[str] = set()
    for marked in _MARKED.findall(task):
        sure.update(_NAME.findall(marked))
    for found in _SURE.finditer(task):
        sure.update(_NAME.findall(found[1] or found[0]))
    return sure, set(_WORD.findall(task)) | sure


def _is_named(path: str, task: str) -> bool:
    return PurePath(path).name in task


def _named_units(units: Sequence[Unit], names: AbstractSet[str]) -> Iterator[Unit]:
    return (unit for unit in all_units(units) if unit.name in names)


def _whole_or_outline(unit: Unit, file: int, priority: int, names: AbstractSet[str]) -> Piece:
    """The unit; of one whose members are named too, only its signatures: it is named to say where they are."""
    is_place = any(_named_units(unit.members, names))
    return _signatures([unit], file, priority) if is_place else _piece(unit, file, priority)


def _piece(unit: Unit, file: int, priority: int) -> Piece:
    return Piece(priority, file, tuple(range(unit.first_line, unit.last_line + 1)))


def _signatures(units: Sequence[Unit], file: int, priority: int) -> Piece:
    lines = (range(unit.signature_first_line, unit.signature_last_line + 1) for unit in all_units(units))
    return Piece(priority, file, tuple(line for of_unit in lines for line in of_unit))


def _mentions(text: str, unit: Unit, names: AbstractSet[str]) -> bool:
    lines = text.split("\n")[unit.first_line : unit.last_line + 1]
    return bool(names) and not names.isdisjoint(_WORD.findall("\n".join(lines)))


def _referred_to(
    files: Sequence[ContextFile], units: Sequence[Sequence[Unit]], central: Sequence[bool], sure: AbstractSet[str]
) -> set[str]:
    """What the definitions that the task names refer to, and a target of which it names none.

    A method counts only where no other has its name: `get` and `run` are everywhere.
    """
    spoken: set[str] = set()
    for file, of_file, is_central in zip(files, units, central, strict=True):
        lines = file.text.split("\n")
        named = [unit for unit in _named_units(of_file, sure) if not any(_named_units(unit.members, sure))]
        shown = ["\n".join(lines[unit.first_line : unit.last_line + 1]) for unit in named]
        spoken.update(*map(_WORD.findall, shown or ([file.text] if is_central else [])))
    defined: dict[str, int] = {}
    for unit in (unit for of_file in units for unit in all_units(of_file)):
        defined[unit.name] = defined.get(unit.name, 0) + 1
    top = {unit.name for of_file in units for unit in of_file}
    return {name for name in spoken if name in top or defined.get(name) == 1}
