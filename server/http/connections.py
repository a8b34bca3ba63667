"""Limits on incomplete requests: header bytes, seconds, and connections.

Once a request is complete, there is no time limit on its response; limits.py limits calls.
"""

import asyncio
import logging
import sys
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if sys.platform != "win32":  # imported early: later the process may be out of file descriptors
    import resource

logger = logging.getLogger(__name__)

MAX_HEAD_BYTES = 64 * 1024
"""Longer headers are refused."""
REQUEST_TIMEOUT_S = 30.0
"""For headers and body together."""
MAX_CONNECTIONS = 1_000
ACCEPT_BACKLOG = 64
"""Connections accepted before any is handled. Each takes a file descriptor."""


class Connection(HttpToolsProtocol):
    """One client's connection, closed when an incomplete request exceeds a limit."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # uvicorn's own, passed on
        super().__init__(*arguments, **named)
        self._is_in_head = True
        self._head_bytes = 0
        self._waiting_since = self.loop.time()
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def is_answering(self) -> bool:
        return bool(self.cycle) and not self.cycle.response_complete and not self.cycle.more_body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] - as uvicorn has it
        super().connection_made(transport)
        self._start_deadline()
        if len(self.connections) > _connection_limit():
            self._make_room()

    def data_received(self, data: bytes) -> None:
        if self._deadline is None:
            self._start_deadline()
        self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"The headers are longer than {MAX_HEAD_BYTES:,} bytes."
            )

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._is_in_head, self._head_bytes = True, 0
        self._cancel_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()
        super().connection_lost(exc)

    def _start_deadline(self) -> None:
        self._waiting_since = self.loop.time()
        self._deadline = self.loop.call_later(REQUEST_TIMEOUT_S, self._time_out)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _time_out(self) -> None:
        self._deadline = None
        if not self.is_answering:  # data received while answering belongs to the next request, and can wait
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"The request was not complete after {REQUEST_TIMEOUT_S:g} s.")

    def _make_room(self) -> None:
        """Close the connection that has been waiting longest for a request, or this one if none is waiting."""
        others = (one for one in self.connections if isinstance(one, Connection) and one is not self)
        waiting = [one for one in others if not one.is_answering]
        if waiting:
            longest = min(waiting, key=lambda one: one._waiting_since)
            self.connections.discard(longest)
            longest.transport.close()
        else:
            self.connections.discard(self)
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "Too many requests are under way. Try again in a minute.")

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        """Close the connection, with an error response if none has begun."""
        if self.transport.is_closing():
            return
        if not self.cycle or self.cycle.response_complete or not self.cycle.response_started:
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            body = f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}"
            self.transport.write((head + body).encode())
        self.transport.close()


def log_accept_failure_once(loop: asyncio.AbstractEventLoop) -> None:
    """Make the loop log only the first failure to accept a connection for lack of file descriptors."""
    has_logged = False

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:  # asyncio's own, hence Any
        nonlocal has_logged
        if not str(context.get("message")).startswith("socket.accept() out of system resource"):
            loop.default_exception_handler(context)
        elif not has_logged:
            has_logged = True
            logger.error(
                "%s: connections wait until others have ended. Raise the limit (ulimit -n).", context.get("exception")
            )

    loop.set_exception_handler(handle)


def _connection_limit() -> int:
    """MAX_CONNECTIONS, or half of the process's file descriptors if fewer: the other half is needed to answer."""
    if sys.platform == "win32":
        return MAX_CONNECTIONS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, soft // 2)
