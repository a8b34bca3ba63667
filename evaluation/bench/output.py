"""Output of benchmarks: tables and sentences on standard output, or the same as one JSON object."""

import io
import re
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

from rich.console import Console
from rich.table import Table

from ..tables import standard_output

Cell: TypeAlias = str | int | float | None

_NUMBER = re.compile(r"[+-]?\d[\d,]*(\.\d+)?")


class Collection(Console):
    """Keeps the tables and sentences printed on it."""

    def __init__(self) -> None:
        super().__init__(file=io.StringIO())
        self.tables: list[dict[str, object]] = []
        self.notes: list[str] = []

    def print(self, *objects: object, **_: object) -> None:
        for printed in objects:
            if isinstance(printed, Table):
                self.tables.append({"title": str(printed.title), "rows": _rows(printed)})
                self.notes += [str(printed.caption)] if printed.caption else []
            else:
                self.notes += str(printed).splitlines()

    @property
    def facts(self) -> dict[str, object]:
        return {"tables": self.tables, "notes": self.notes}


_collection: ContextVar[Collection | None] = ContextVar("collection", default=None)


@contextmanager
def collected() -> Generator[Collection]:
    """Collect what benchmarks print while the block runs, instead of printing it."""
    collection = Collection()
    token = _collection.set(collection)
    try:
        yield collection
    finally:
        _collection.reset(token)


def output(usual: Console | None = None) -> Console:
    """Where a benchmark prints its results. usual: the console if nothing is collected; None: standard output."""
    return _collection.get() or usual or standard_output(markup=False)


def print_as_json_only(table: Table) -> None:
    """Collect a table that is too long for a terminal; nothing is printed."""
    if (collection := _collection.get()) is not None:
        collection.print(table)


def progress_output() -> Console:
    return Console(stderr=True)


def refuse(problem: str) -> int:
    """Print why nothing can be measured. Returns exit code 2."""
    Console(stderr=True).print(problem, markup=False, highlight=False, soft_wrap=True)
    return 2


def _rows(table: Table) -> list[dict[str, Cell]]:
    """A column without a header is called `name`."""
    names = [str(column.header) or "name" for column in table.columns]
    lines = zip(*(column.cells for column in table.columns), strict=True)
    return [dict(zip(names, (_value(str(cell)) for cell in line), strict=True)) for line in lines]


def _value(cell: str) -> Cell:
    """A plain number as a number, a missing value as None, anything else as it is printed."""
    if _NUMBER.fullmatch(cell):
        text = cell.replace(",", "")
        return float(text) if "." in text else int(text)
    return None if cell in ("", "-") else cell
