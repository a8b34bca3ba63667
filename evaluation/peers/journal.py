"""What a peer was asked, and how each request ended."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
from starlette.requests import Request

_SECRET_HEADERS = frozenset({"authorization", "x-api-key", "cookie", "proxy-authorization"})


@dataclass
class Exchange:
    """One request and what became of it; the last three fields fill in as it goes."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Lower-case names; those that carry keys are left out."""
    body: Mapping[str, Any]
    """The parsed body (the vendor's form, hence Any); empty when there was none, or not JSON."""
    status: int | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    client_disconnected: bool = False
    """True: the client closed the connection before the reply was complete."""
    over: anyio.Event = field(default_factory=anyio.Event)
    """Set when the reply was sent, refused, or given up."""


@dataclass
class RequestJournal:
    """All exchanges, oldest first."""

    exchanges: list[Exchange] = field(default_factory=list[Exchange])

    async def record(self, request: Request) -> Exchange:
        """Read a request that has just come in and write it down."""
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
