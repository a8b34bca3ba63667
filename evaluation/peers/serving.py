"""Serves an ASGI app on a free port of 127.0.0.1, inside the running event loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Generator

import anyio
import uvicorn
from starlette.types import ASGIApp

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
        server = _InLoopServer(
            uvicorn.Config(app, log_config=None, log_level="critical", access_log=False, lifespan="off", ws="none")
        )
        # A task of its own, not a task group: what the block raises must leave it as it is.
        served = asyncio.create_task(server.serve([listener]))
        try:
            await server.ready.wait()
            yield f"http://{LOOPBACK}:{port}"
        finally:
            server.leave.set()
            with anyio.CancelScope(shield=True):
                await served


class _InLoopServer(uvicorn.Server):
    """uvicorn without its signals, its polling, and its patience at the end."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = anyio.Event()
        self.leave = anyio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        await self.leave.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - uvicorn's signature
        for server in self.servers:
            server.close()
        handling = list(self.server_state.tasks)
        for task in handling:
            task.cancel()
        await asyncio.gather(*handling, return_exceptions=True)
        for connection in list(self.server_state.connections):
            connection.shutdown()
