"""What SIGINT and SIGTERM do to a command that has money under way."""

import signal
import sys
from collections.abc import Callable

import anyio
import anyio.abc


async def cancel_on_signal(cancel: Callable[[], object], *, task_status: anyio.abc.TaskStatus[None]) -> None:
    """Call `cancel` with each SIGINT or SIGTERM, so that what is under way closes its books; runs until cancelled."""
    if sys.platform == "win32":  # no signal receiver there; Ctrl-C ends the process as it ends any other
        task_status.started()
        return
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            cancel()
