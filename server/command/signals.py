"""Handling of SIGINT and SIGTERM in commands with paid requests pending."""

import signal
import sys
from collections.abc import Callable

import anyio
import anyio.abc


async def cancel_on_signal(cancel: Callable[[], object], *, task_status: anyio.abc.TaskStatus[None]) -> None:
    """Call `cancel` on each SIGINT or SIGTERM, so that pending work settles its costs. Runs until cancelled."""
    if sys.platform == "win32":  # no signal receiver there; Ctrl-C ends the process as usual
        task_status.started()
        return
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            cancel()
