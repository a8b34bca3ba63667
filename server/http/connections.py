"""What a client may take before its request is complete: bytes, seconds and connections.

Requests are answered for as long as that takes, and answers are not hurried: limits.py has a say there.
"""

import asyncio
import logging
import sys
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if sys.platform != "win32":  # at once: when it is wanted, no file may be left to read it from
    import resource

logger = logging.getLogger(__name__)

MAX_HEAD_BYTES = 64 * 1024
"""More than that without an end of the headers is refused."""
REQUEST_S = 30.0
"""For headers and body."""
MAX_CONNECTIONS = 1_000
ACCEPTED_AT_ONCE = 64
"""Connections that are accepted before one of them is looked at: they take file descriptors meanwhile."""


class Connection(HttpToolsProtocol):
    """One client's connection, which ends when a request takes too much before it is complete."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # uvicorn's own, passed on
        super().__init__(*arguments, **named)
        self._is_in_head = True
        self._head_bytes = 0
        self._asked_at = self.loop.time()
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def is_answering(self) -> bool:
        return bool(self.cycle) and not self.cycle.response_complete and not self.cycle.more_body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] - as uvicorn has it
        super().connection_made(transport)
        self._expect_request()
        if len(self.connections) > _connections_at_most():
            self._make_room()

    def data_received(self, data: bytes) -> None:
        if self._deadline is None:
            self._expect_request()
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
        self._expect_nothing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        super().connection_lost(exc)

    def _expect_request(self) -> None:
        self._asked_at = self.loop.time()
        self._deadline = self.loop.call_later(REQUEST_S, self._too_late)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        if not self.is_answering:  # what it sends meanwhile is the next request, and can wait
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"The request was not complete after {REQUEST_S:g} s.")

    def _make_room(self) -> None:
        """End the connection that has been waiting longest for a request; when none is, this one."""
        others = (one for one in self.connections if isinstance(one, Connection) and one is not self)
        waiting = [one for one in others if not one.is_answering]
        if waiting:
            longest = min(waiting, key=lambda one: one._asked_at)
            self.connections.discard(longest)
            longest.transport.close()
        else:
            self.connections.discard(self)
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "Too many requests are under way. Try again in a minute.")

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        """End the connection, with an answer where none has begun."""
        if self.transport.is_closing():
            return
        if not self.cycle or self.cycle.response_complete or not self.cycle.response_started:
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            body = f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}"
            self.transport.write((head + body).encode())
        self.transport.close()


def say_once_that_files_run_out(loop: asyncio.AbstractEventLoop) -> None:
    """Have the loop say that no connection can be accepted once, and not at each attempt."""
    has_said = False

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:  # asyncio's own, hence Any
        nonlocal has_said
        if not str(context.get("message")).startswith("socket.accept() out of system resource"):
            loop.default_exception_handler(context)
        elif not has_said:
            has_said = True
            logger.error(
                "%s: connections wait until others have ended. Raise the limit (ulimit -n).", context.get("exception")
            )

    loop.set_exception_handler(handle)


def _connections_at_most() -> int:
    """Half of what the process may have open: the other half is for answering them."""
    if sys.platform == "win32":
        return MAX_CONNECTIONS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, soft // 2)
