"""Serves MCP over Streamable HTTP until a signal ends it, in order."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Generator

import anyio
import uvicorn
from starlette.types import ASGIApp

from ...tools.errors import CallerError
from ..premises import OpenWorkshop
from ..settings import load_settings
from .application import http_app
from .binding import Binding

CLOSING_S = 5.0
"""How long what is under way may take to close its books."""


class CannotListen(CallerError):
    """The address cannot be listened on."""


async def serve_http(open_workshop: OpenWorkshop, binding: Binding) -> None:
    """Serve until SIGTERM or SIGINT. Raises BadSetting or CannotListen before anything is served."""
    settings = load_settings()
    entrance = binding.entrance(settings.http_token)
    with listen(binding) as listener:
        port = int(listener.getsockname()[1])
        app = http_app(open_workshop, binding.at_port(port), entrance, settings.http)
        sys.stderr.write(f"chargehand serves MCP at {binding.at_port(port).url}\n")
        sys.stderr.flush()
        await serve_until_signal(app, listener)


async def serve_until_signal(app: ASGIApp, listener: socket.socket) -> None:
    """Serve an app on a socket until SIGTERM or SIGINT."""
    async with serving(app, listener):
        if sys.platform == "win32":  # no signal receiver there; Ctrl-C ends the process as it ends any other
            await anyio.sleep_forever()
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                return


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, listener: socket.socket) -> AsyncGenerator[None]:
    """The app is served while the block runs; what it still answers at the end is cut off, and its books closed."""
    config = uvicorn.Config(app, log_config=None, log_level="warning", access_log=False, lifespan="on", ws="none")
    server = _Server(config)
    # A task of its own, not a task group: what the block raises must leave it as it is.
    served = asyncio.create_task(server.serve([listener]))
    try:
        await server.ready.wait()
        yield
    finally:
        server.leave.set()
        with anyio.CancelScope(shield=True):
            await served


def listen(binding: Binding) -> socket.socket:
    """A socket at the binding's address. Raises CannotListen."""
    try:
        (family, kind, protocol, _, address), *_ = socket.getaddrinfo(
            binding.host, binding.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        # The protocol by name: asyncio turns Nagle's algorithm off only then, and 40 ms per reply with it.
        listener = socket.socket(family, kind, protocol or socket.IPPROTO_TCP)
        try:
            if sys.platform != "win32":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        remedy = "Give another --port, or end what listens there." if binding.port else "Give another --host."
        raise CannotListen(f"{binding.host}:{binding.port}: {error.strerror or error}. {remedy}") from error
    return listener


class _Server(uvicorn.Server):
    """uvicorn without its signals, which end a process as if by accident, and without its polling."""

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
        with anyio.move_on_after(CLOSING_S, shield=True):
            await asyncio.gather(*handling, return_exceptions=True)
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with anyio.move_on_after(CLOSING_S, shield=True):
            await self.lifespan.shutdown()
