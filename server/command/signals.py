"""Handling of the signals that end commands with paid requests pending."""

import signal
from collections.abc import Callable

import anyio
import anyio.abc

from ..end_signals import end_signals


async def cancel_on_signal(cancel: Callable[[], object], *, task_status: anyio.abc.TaskStatus[None]) -> None:
    """Call `cancel` on the first signal to end, so that pending work settles its costs. Runs until cancelled.

    Later ones are ignored up to the end of the process, which is near: they would only keep it from printing what came
    of the work.
    """
    numbers = end_signals()
    if not numbers:  # Ctrl-C ends the process as usual
        task_status.started()
        return
    is_ending = False
    try:
        with anyio.open_signal_receiver(*numbers) as signals:
            task_status.started()
            async for _ in signals:
                is_ending = True
                break
            cancel()
            await anyio.sleep_forever()
    finally:
        for number in numbers if is_ending else ():
            signal.signal(number, signal.SIG_IGN)
