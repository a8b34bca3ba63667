"""Serves MCP over Streamable HTTP until a signal ends it, in order."""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import anyio
from starlette.types import ASGIApp

from ...evaluation.in_loop_server import served_in_loop
from ...tools.errors import CallerError
from ..settings import load_settings
from ..surface.server_state import OpenServices
from .application import http_app
from .binding import Binding
from .connections import ACCEPTED_AT_ONCE, Connection, say_once_that_files_run_out

CLOSING_S = 5.0
"""How long what is under way may take to close its books."""


class CannotListen(CallerError):
    """The address cannot be listened on."""


async def serve_http(open_services: OpenServices, binding: Binding) -> None:
    """Serve until SIGTERM or SIGINT. Raises BadSetting or CannotListen before anything is served."""
    settings = load_settings()
    # Before the services open, with the first call: whoever is not let in is to be heard of too.
    logging.getLogger("chargehand").setLevel(settings.log_level)
    entrance = binding.entrance(settings.http_token)
    with listen(binding) as listener:
        port = int(listener.getsockname()[1])
        url = binding.at_port(port).url
        app = http_app(open_services, binding.at_port(port), entrance, settings.http)

        def say_where() -> None:
            sys.stderr.write(f"chargehand serves MCP at {url}\n")
            sys.stderr.flush()

        await serve_until_signal(app, listener, say_where)


async def serve_until_signal(app: ASGIApp, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serve an app on a socket until SIGTERM or SIGINT.

    ready: called when the app answers, and a signal would end it in order.
    """
    say_once_that_files_run_out(asyncio.get_running_loop())
    if sys.platform == "win32":  # no signal receiver there; Ctrl-C ends the process as it ends any other
        async with serving(app, listener):
            ready()
            await anyio.sleep_forever()
    # Received until the books are closed, which `CLOSING_S` bounds: a second signal does not end the process before.
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with serving(app, listener):
            ready()
            async for _ in signals:
                return


def serving(app: ASGIApp, listener: socket.socket) -> AbstractAsyncContextManager[None]:
    """The app is served while the block runs; what it still answers at the end is cut off, and its books closed."""
    return served_in_loop(
        app,
        listener,
        lifespan="on",
        log_level="warning",
        closing_s=CLOSING_S,
        protocol=Connection,
        backlog=ACCEPTED_AT_ONCE,
    )


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
        remedy = "Choose another --port, or stop what is listening there." if binding.port else "Choose another --host."
        raise CannotListen(f"{binding.host}:{binding.port}: {error.strerror or error}. {remedy}") from error
    return listener
