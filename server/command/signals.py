"""Handling of the signals that end commands with paid requests pending."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Generator

from ..end_signals import end_signals


@contextlib.contextmanager
def cancel_on_signal(cancel: Callable[[], object]) -> Generator[None]:
    """Call `cancel` on the first signal to end, so that pending work settles its costs.

    Later ones are ignored up to the end of the process, which is near: they would only keep it from printing what came
    of the work. Must be entered in the main thread, in a running event loop.
    """
    loop = asyncio.get_running_loop()
    arrived: list[int] = []

    def note(number: int, _frame: object) -> None:
        arrived.append(number)
        if len(arrived) == 1:
            loop.call_soon_threadsafe(cancel)

    # Not asyncio's own handlers: as they are removed, a further signal ends the process for a moment.
    before = {number: signal.signal(number, note) for number in end_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if arrived else handler)
