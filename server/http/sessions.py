"""Limits the legacy (stateful) MCP sessions per caller: one too many closes the one that was idle longest."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..surface.callers import current_caller

MAX_SESSIONS = 1_000
MAX_SESSIONS_PER_CALLER = 100
IDLE_SESSION_S = 1_800

_SESSION_ID = b"mcp-session-id"
_BODY_HEADERS = (b"content-length", b"content-type", b"transfer-encoding")


@dataclass
class _Session:
    caller: str | None
    requests: int = 0
    """Pending requests, including open streams."""
    used_at: float = field(default_factory=time.monotonic)


class Sessions:
    """ASGI middleware that limits the sessions per caller. It must run after authentication."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open: dict[str, _Session] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        caller, named, opened = current_caller(), _session_id(scope["headers"]), None
        session = self._open.get(named) if named is not None else None
        if session is not None and session.caller != caller:
            session = None

        async def watch(message: Message) -> None:
            nonlocal opened
            if message["type"] == "http.response.start" and named is None and message["status"] < 400:
                opened = _session_id(message.get("headers", ()))
            await send(message)

        if session is not None:
            session.requests += 1
        try:
            await self._app(scope, receive, watch)
        finally:
            if session is not None:
                session.requests -= 1
                session.used_at = time.monotonic()
        if opened is not None:
            self._open[opened] = _Session(caller)
            await self._enforce_limit(scope, caller)

    async def _enforce_limit(self, scope: Scope, caller: str | None) -> None:
        ended = time.monotonic() - IDLE_SESSION_S
        self._open = {name: one for name, one in self._open.items() if one.requests or one.used_at > ended}
        own = {name: one for name, one in self._open.items() if one.caller == caller}
        if len(own) > MAX_SESSIONS_PER_CALLER:
            longest = min(own, key=lambda name: (own[name].requests > 0, own[name].used_at))
            del self._open[longest]
            await self._close(longest, scope)

    async def _close(self, session_id: str, scope: Scope) -> None:
        """Delete a session on behalf of its caller. scope: of another request by the same caller."""
        headers = [(name, value) for name, value in scope["headers"] if name not in _BODY_HEADERS]
        headers.append((_SESSION_ID, session_id.encode()))

        async def nothing() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def ignored(message: Message) -> None:
            pass

        await self._app({**scope, "method": "DELETE", "headers": headers}, nothing, ignored)


def _session_id(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    return next((value.decode("latin-1") for name, value in headers if name.lower() == _SESSION_ID), None)
