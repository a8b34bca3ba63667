"""Sends a peer's answers, complete or streamed, with faults where scripted."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import anyio
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from .journal import Exchange
from .reply import Cut, ErrorInside, Garbled, Reply, Stall, StreamFault, Unfinished


def whole(
    exchange: Exchange, body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A complete JSON response, recorded in the exchange. body: in the vendor's format (hence Any)."""
    exchange.status = status
    exchange.over.set()
    return JSONResponse(dict(body), status, headers)


class PieceStream(Response):
    """A streamed response with its scripted fault, which records in the exchange how it ended."""

    def __init__(
        self,
        pieces: Sequence[bytes],
        answer: Reply | StreamFault,
        exchange: Exchange,
        *,
        error_piece: bytes,
        garbled_piece: bytes,
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """error_piece, garbled_piece: ErrorInside and Garbled in the vendor's wire format."""
        self._pieces = pieces
        self._answer = answer
        self._exchange = exchange
        self._error_piece = error_piece
        self._garbled_piece = garbled_piece
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self.body = b""
        self.init_headers(headers)
        del self.headers["content-length"]  # it is streamed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        self._exchange.status = self.status_code
        try:
            is_complete = False
            async with anyio.create_task_group() as tasks:

                async def watch_for_disconnect() -> None:
                    while (await receive())["type"] != "http.disconnect":
                        pass
                    # The server sends a disconnect after a complete response, too.
                    self._exchange.client_disconnected = not is_complete
                    tasks.cancel_scope.cancel()

                tasks.start_soon(watch_for_disconnect)
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                async for piece in self._follow():
                    if piece is None:
                        # Returning without a last piece makes the server drop the connection.
                        is_complete = True
                        tasks.cancel_scope.cancel()
                        return
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                is_complete = True
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                tasks.cancel_scope.cancel()
        finally:
            self._exchange.over.set()

    async def _follow(self) -> AsyncIterator[bytes | None]:
        """The pieces to send; None means to drop the connection now."""
        reply = self._answer if isinstance(self._answer, Reply) else self._answer.reply
        pause_s = reply.seconds / max(1, len(self._pieces))
        for position, piece in enumerate(self._pieces):
            if not isinstance(self._answer, Reply) and position == self._answer.after:
                match self._answer:
                    case Cut():
                        yield None
                        return
                    case Unfinished():
                        return
                    case ErrorInside():
                        yield self._error_piece
                        return
                    case Garbled():
                        yield self._garbled_piece
                    case Stall(until=until):
                        await until.wait()
            if pause_s:
                await anyio.sleep(pause_s)
            yield piece
