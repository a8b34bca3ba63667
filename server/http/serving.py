"""Serves MCP over Streamable HTTP until a signal shuts it down gracefully."""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import anyio
from starlette.types import ASGIApp

from ...evaluation.in_loop_server import served_in_loop
from ...tools.errors import CallerError
from ..end_signals import end_signals
from ..settings import load_settings
from ..surface.server_state import OpenServices
from .application import http_app
from .binding import Binding
from .connections import ACCEPT_BACKLOG, Connection, log_accept_failure_once

SHUTDOWN_S = 5.0
"""How long pending work may take to record its results at shutdown."""


class CannotListen(CallerError):
    """The server cannot listen on the address."""


async def serve_http(open_services: OpenServices, binding: Binding) -> None:
    """Serve until a signal to end. Raises BadSetting or CannotListen before serving."""
    settings = load_settings()
    # Set here because the services open only with the first call, and rejected requests must be logged before.
    logging.getLogger("chargehand").setLevel(settings.log_level)
    access = binding.access_rules(settings.http_token)
    with listen(binding) as listener:
        port = int(listener.getsockname()[1])
        url = binding.at_port(port).url
        app = http_app(open_services, binding.at_port(port), access, settings.http)

        def announce() -> None:
            sys.stderr.write(f"chargehand serves MCP at {url}\n")
            sys.stderr.flush()

        await serve_until_signal(app, listener, announce)


async def serve_until_signal(app: ASGIApp, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serve an app on a socket until a signal to end.

    ready: called when the app answers and signals are handled.
    """
    log_accept_failure_once(asyncio.get_running_loop())
    numbers = end_signals()
    if not numbers:  # Ctrl-C ends the process as usual
        async with serving(app, listener):
            ready()
            await anyio.sleep_forever()
    # Signals are received until shutdown is complete (at most SHUTDOWN_S), so that a second one does not cut it short.
    with anyio.open_signal_receiver(*numbers) as signals:
        async with serving(app, listener):
            ready()
            async for _ in signals:
                return


def serving(app: ASGIApp, listener: socket.socket) -> AbstractAsyncContextManager[None]:
    """Serves the app while the block runs; at the end, pending responses are cut off and their results recorded."""
    return served_in_loop(
        app,
        listener,
        lifespan="on",
        log_level="warning",
        closing_s=SHUTDOWN_S,
        protocol=Connection,
        backlog=ACCEPT_BACKLOG,
    )


def listen(binding: Binding) -> socket.socket:
    """A socket at the binding's address. Raises CannotListen."""
    try:
        (family, kind, protocol, _, address), *_ = socket.getaddrinfo(
            binding.host, binding.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        # With an explicit protocol, because only then asyncio disables Nagle's algorithm, which costs 40 ms per reply.
        listener = socket.socket(family, kind, protocol or socket.IPPROTO_TCP)
        try:
            if sys.platform != "win32":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        remedy = "Choose another --port, or stop what is listening there." if binding.port else "Choose another --host."
        raise CannotListen(f"{binding.host}:{binding.port}: {error.strerror or error}. {remedy}") from error
    return listener
