"""Serves an ASGI app on a free port of 127.0.0.1, inside the running event loop."""

import contextlib
import socket
from collections.abc import AsyncGenerator

from starlette.types import ASGIApp

from ..in_loop_server import served_in_loop

LOOPBACK = "127.0.0.1"


@contextlib.asynccontextmanager
async def serving(app: ASGIApp) -> AsyncGenerator[str]:
    """The app's address, `http://127.0.0.1:PORT`, for as long as the block runs.

    Leaving the block cuts what is still streaming. Installs no signal handler and logs nothing.
    """
    # The protocol by name: asyncio turns Nagle's algorithm off only then, and 40 ms per reply with it.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind((LOOPBACK, 0))
        port = int(listener.getsockname()[1])
        async with served_in_loop(app, listener, lifespan="off", log_level="critical"):
            yield f"http://{LOOPBACK}:{port}"
