"""Terminal output of mining: its progress, and a summary of the results."""

import contextlib
from collections import Counter
from collections.abc import Generator, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ...tools.guarding.text import visible
from .mining import Mined, MiningProgress

_PACKAGES_NAMED = 5


@contextlib.contextmanager
def progress_bar(console: Console) -> Generator[MiningProgress]:
    """Show a progress bar on a terminal; nothing elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as display:
        bar = display.add_task("proving tasks", total=None)
        progress = MiningProgress()

        def on_change() -> None:
            description = f"proving tasks ({progress.kept} kept)"
            display.update(bar, description=description, completed=progress.tried, total=progress.candidates)

        progress.on_change = on_change
        yield progress


def summary_lines(mined: Mined, *, has_packages: bool) -> Iterator[str]:
    """Lines with the number of commits examined and kept, why the others were dropped, and how to get more tasks.

    has_packages: whether the tests ran with a Python that has packages installed.
    """
    where = f"{visible(mined.folder.name)} at {mined.head[:12]}"
    yield f"{where}: {len(mined.tasks)} of {mined.looked_at} commits became tasks."
    if mined.reasons:
        yield f"The others: {', '.join(f'{reason} ({count})' for reason, count in mined.reasons.items())}."
    if mined.unproved:
        yield f"Not tried, because there are enough tasks: {mined.unproved}. --tasks sets how many."
    if "not in the clone" in mined.reasons:
        yield "The clone is partial, and lacks what some files held: clone the repository without --filter."
    lacking = Counter(dropped.detail for dropped in mined.dropped if dropped.reason == "needs a package")
    if lacking:
        names = ", ".join(visible(name) for name, _ in lacking.most_common(_PACKAGES_NAMED))
        remedy = (
            "Install it into that Python." if has_packages
            else "--python, or [sandbox] python in config.toml, names a Python that has them."
        )  # fmt: skip
        yield f"Their tests need what the sandbox does not have: {names}. {remedy}"
