"""Tables for terminal output: cells wrap on a narrow terminal, and ids and amounts are never cut."""

import os
import sys
from collections.abc import Collection, Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_PIPE_COLUMNS = 1_000


def standard_output(*, markup: bool = True) -> Console:
    """A console as wide as the terminal, or as COLUMNS; in a pipe or file, wide enough for every table."""
    is_limited = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return Console(markup=markup, width=None if is_limited else _PIPE_COLUMNS)


def print_table(
    console: Console,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    whole: Collection[str] = (),
    title: str | None = None,
) -> None:
    """Print a table. whole: columns that never wrap, even if lines get wider than the terminal."""
    lines = list(rows)
    table = Table(title=title)
    for place, name in enumerate(columns):
        is_whole = name in whole
        longest = max((len(line[place]) for line in lines), default=0) if is_whole else None
        table.add_column(name, no_wrap=is_whole, min_width=longest, overflow="fold")
    for line in lines:
        table.add_row(*map(escape, line))
    console.print(table, crop=False)
