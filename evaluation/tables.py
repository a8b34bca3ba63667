"""Tables as commands print them: in a narrow terminal words are folded, and no id and no amount is cut."""

import os
import sys
from collections.abc import Collection, Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_PIPE_COLUMNS = 1_000


def standard_output() -> Console:
    """As wide as the terminal, or as COLUMNS says; in a pipe or a file, wide enough for any table of ours."""
    is_limited = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return Console() if is_limited else Console(width=_PIPE_COLUMNS)


def print_table(
    console: Console,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    whole: Collection[str] = (),
    title: str | None = None,
) -> None:
    """whole: the columns that stay in one piece, though a line then be longer than the terminal is wide."""
    lines = list(rows)
    table = Table(title=title)
    for place, name in enumerate(columns):
        is_whole = name in whole
        longest = max((len(line[place]) for line in lines), default=0) if is_whole else None
        table.add_column(name, no_wrap=is_whole, min_width=longest, overflow="fold")
    for line in lines:
        table.add_row(*map(escape, line))
    console.print(table, crop=False)
