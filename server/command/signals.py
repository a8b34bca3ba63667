"""Handling of the signals that end commands with paid requests pending."""

import asyncio
import signal
from collections.abc import Callable
from types import FrameType

import anyio
import anyio.abc

from ..end_signals import end_signals


async def cancel_on_signal(cancel: Callable[[], object], *, task_status: anyio.abc.TaskStatus[None]) -> None:
    """Call `cancel` on the first signal to end, so that pending work settles its costs. Runs until cancelled.

    Later ones are ignored up to the end of the process, which is near: they would only keep it from printing what came
    of the work. Must run in the main thread.
    """
    arrived = anyio.Event()
    loop = asyncio.get_running_loop()

    def note(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(arrived.set)

    # Not asyncio's own handlers: as they are removed, a further signal ends the process for a moment.
    before = {number: signal.signal(number, note) for number in end_signals()}
    task_status.started()
    try:
        await arrived.wait()
        cancel()
        await anyio.sleep_forever()
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if arrived.is_set() else handler)
