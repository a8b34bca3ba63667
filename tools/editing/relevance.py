"""Ranks the lines of the context files for a task, by the names in the task and in its target."""

import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import PurePath

from .context import ContextFile
from .outline import Unit, all_units, outline

# Words that are certainly identifiers: in backticks, called, dotted, or with an underscore or an inner capital.
_MARKED = re.compile(r"`([^`\n]+)`")
_SURE = re.compile(
    r"\b(?:\w+_\w+|[A-Za-z]\w*[a-z0-9][A-Z]\w*)\b|\b([A-Za-z_]\w*)(?=\(\S*\))|\b[a-z_]\w*(?:\.[A-Za-z_]\w*)+"
)
_NAME = re.compile(r"[A-Za-z_]\w*")
_WORD = re.compile(r"[A-Za-z_]\w{2,}")


@dataclass(frozen=True)
class Piece:
    """Lines of a file that belong together. Lower priorities come first."""

    priority: int
    file: int
    """Its index among the context files."""
    lines: tuple[int, ...]
    """Counted from 0."""


# The priorities: MUST is required for the task to make sense, the others are added in this order.
MUST = 0
"""Definitions that the task names; imports and signatures of their files, of the target, and of files that the task
names. If the task names nothing: imports and signatures of all files."""
TARGET = 1
"""The target and the files that the task names: whole, or as many definitions as fit."""
REFERRED_SIGNATURES = 2
"""Signatures of definitions named by any word of the task, or referred to by the target or the definitions above."""
REFERRED = 3
"""The same definitions, complete."""
OUTLINE = 4
"""Imports and signatures of all other files."""


@dataclass(frozen=True)
class Ranking:
    """The ranked pieces of the context files."""

    pieces: tuple[Piece, ...]
    order: tuple[int, ...]
    """Indexes of the files, most useful first."""


def rank_pieces(task: str, files: Sequence[ContextFile], target: str | None) -> Ranking:
    """The pieces of the files, and the files in order: the target, those that the task names, the rest as given."""
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
    return Ranking(tuple(pieces), tuple(ranked))


def _names(task: str) -> tuple[set[str], set[str]]:
    """The certain identifiers in the task, and all its words."""
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
    """The whole unit, or only its signatures if its members are named too: then it merely locates them."""
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
    """The names that the definitions named by the task refer to, or a target of which the task names no definition.

    A member counts only if its name is unique: `get` and `run` are everywhere.
    """
    referenced: set[str] = set()
    for file, of_file, is_central in zip(files, units, central, strict=True):
        lines = file.text.split("\n")
        named = [unit for unit in _named_units(of_file, sure) if not any(_named_units(unit.members, sure))]
        shown = ["\n".join(lines[unit.first_line : unit.last_line + 1]) for unit in named]
        referenced.update(*map(_WORD.findall, shown or ([file.text] if is_central else [])))
    defined: dict[str, int] = {}
    for unit in (unit for of_file in units for unit in all_units(of_file)):
        defined[unit.name] = defined.get(unit.name, 0) + 1
    top = {unit.name for of_file in units for unit in of_file}
    return {name for name in referenced if name in top or defined.get(name) == 1}
