"""A yes-or-no question on the terminal."""

import contextlib
import signal
from collections.abc import Generator

from rich.console import Console
from rich.markup import escape
from rich.prompt import Confirm


def agrees(question: str) -> bool:
    """Ask on standard error, and return whether the user agrees. End of input and Ctrl-C count as no."""
    console = Console(stderr=True)
    try:
        with _interrupted_at_once():
            return Confirm.ask(escape(question), console=console, default=False)
    except (EOFError, KeyboardInterrupt):
        console.print()
        return False


@contextlib.contextmanager
def _interrupted_at_once() -> Generator[None]:
    """Make Ctrl-C interrupt a blocking read at once; asyncio's handler would defer it until the loop runs again."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
