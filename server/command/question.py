"""A yes-or-no question on the terminal."""

import contextlib
import signal
from collections.abc import Generator

from rich.console import Console
from rich.markup import escape
from rich.prompt import Confirm


def agrees(question: str) -> bool:
    """Whether the user says yes, on standard error; whoever ends the input or presses Ctrl-C says no."""
    console = Console(stderr=True)
    try:
        with _interrupted_at_once():
            return Confirm.ask(escape(question), console=console, default=False)
    except (EOFError, KeyboardInterrupt):
        console.print()
        return False


@contextlib.contextmanager
def _interrupted_at_once() -> Generator[None]:
    """Let the first Ctrl-C end what waits for input: an event loop of asyncio's only notes it, for when it goes on."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
