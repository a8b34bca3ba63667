"""Serves an ASGI app on a free port of 127.0.0.1, inside the running event loop."""

import contextlib
import socket
from collections.abc import AsyncGenerator

from starlette.types import ASGIApp

from ..in_loop_server import served_in_loop

LOOPBACK = "127.0.0.1"


@contextlib.asynccontextmanager
async def serving(app: ASGIApp) -> AsyncGenerator[str]:
    """Serve the app while the block runs; yields its address, `http://127.0.0.1:PORT`.

    Leaving the block cancels open requests. Installs no signal handlers and logs nothing.
    """
    # The explicit protocol makes asyncio disable Nagle's algorithm, which would add 40 ms per reply.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind((LOOPBACK, 0))
        port = int(listener.getsockname()[1])
        async with served_in_loop(app, listener, lifespan="off", log_level="critical"):
            yield f"http://{LOOPBACK}:{port}"
