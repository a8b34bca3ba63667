"""A peer's record of its requests, and of how each ended."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
from starlette.requests import Request

_SECRET_HEADERS = frozenset({"authorization", "x-api-key", "cookie", "proxy-authorization"})


@dataclass
class Exchange:
    """One request and its response; the fields from `status` on are filled in while it is answered."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Lower-case names; headers that carry keys are left out."""
    body: Mapping[str, Any]
    """The parsed body (in the vendor's format, hence Any); empty if there was none, or it is not a JSON object."""
    status: int | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    client_disconnected: bool = False
    """True: the client closed the connection before the reply was complete."""
    over: anyio.Event = field(default_factory=anyio.Event)
    """Set when the response was sent, refused or aborted."""


@dataclass
class RequestJournal:
    """All exchanges, oldest first."""

    exchanges: list[Exchange] = field(default_factory=list[Exchange])

    async def record(self, request: Request) -> Exchange:
        """Read an incoming request and record it."""
        raw = await request.body()
        try:
            body: object = json.loads(raw) if raw else {}
        except ValueError:
            body = {}
        exchange = Exchange(
            method=request.method,
            path=request.url.path,
            headers={name: value for name, value in request.headers.items() if name not in _SECRET_HEADERS},
            body=cast(dict[str, Any], body) if isinstance(body, dict) else {},
        )
        self.exchanges.append(exchange)
        return exchange

    def to(self, path: str) -> list[Exchange]:
        """The exchanges on one path, oldest first."""
        return [exchange for exchange in self.exchanges if exchange.path == path]
