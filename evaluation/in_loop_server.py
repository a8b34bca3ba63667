"""uvicorn inside a running event loop, for the duration of a block, without its signal handlers and polling."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Generator
from typing import Literal

import anyio
import uvicorn
from starlette.types import ASGIApp


@contextlib.asynccontextmanager
async def served_in_loop(
    app: ASGIApp,
    listener: socket.socket,
    *,
    lifespan: Literal["on", "off"],
    log_level: Literal["critical", "warning"],
    closing_s: float | None = None,
    protocol: type[asyncio.Protocol] | Literal["auto"] = "auto",
    backlog: int = 2048,
) -> AsyncGenerator[None]:
    """Serve the app while the block runs; requests still in progress at its end are cancelled.

    closing_s: time limit for the cancelled requests to end, and again for the app's shutdown. None: no limit.
    protocol: one of uvicorn's for HTTP. backlog: length of the socket's accept queue.
    """
    config = uvicorn.Config(
        app,
        http=protocol,
        log_config=None,
        log_level=log_level,
        access_log=False,
        lifespan=lifespan,
        ws="none",
        backlog=backlog,
    )
    server = _Server(config, closing_s)
    # Not a task group, which would wrap exceptions of the block.
    served = asyncio.create_task(server.serve([listener]))
    try:
        await server.ready.wait()
        yield
    finally:
        server.leave.set()
        with anyio.CancelScope(shield=True):
            await served


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, its polling, and its wait for open requests at shutdown."""

    def __init__(self, config: uvicorn.Config, closing_s: float | None) -> None:
        super().__init__(config)
        self.ready = anyio.Event()
        self.leave = anyio.Event()
        self._closing_s = closing_s

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
        with anyio.move_on_after(self._closing_s, shield=True):
            await asyncio.gather(*handling, return_exceptions=True)
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with anyio.move_on_after(self._closing_s, shield=True):
            await self.lifespan.shutdown()
