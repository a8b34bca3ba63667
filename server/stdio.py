"""Serves MCP over standard input and output, and ends at once, in order, when it is told to.

Observed in mcp 2.3.0: SIGTERM kills it without closing anything, and SIGINT hangs until standard input
closes, because a thread sits in read(2). So the signals are received here, and the process is left
through `os._exit` once the books are closed.
"""

import os
import signal
import sys

import anyio
import anyio.abc

from .app import build_app
from .premises import OpenWorkshop

GRACE_S = 0.8
"""How long closing the books may take after a signal."""


async def serve_stdio(open_workshop: OpenWorkshop) -> None:
    """Serve until the host closes standard input, or a signal ends the process with exit code 0."""
    closed = anyio.Event()

    async with anyio.create_task_group() as group:
        await group.start(_end_on_signal, group.cancel_scope, closed)
        await build_app(open_workshop, when_closed=closed.set).run_stdio_async()
        group.cancel_scope.cancel()


async def _end_on_signal(
    serving: anyio.CancelScope, closed: anyio.Event, *, task_status: anyio.abc.TaskStatus[None]
) -> None:
    if sys.platform == "win32":  # no signal receiver there; hosts end the process by closing standard input
        task_status.started()
        return
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            serving.cancel()
            with anyio.move_on_after(GRACE_S, shield=True):
                await closed.wait()
            sys.stderr.flush()
            os._exit(0)
