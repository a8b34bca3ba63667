"""A server over HTTP with chosen access rules, and an OAuth issuer on 127.0.0.1 whose tokens it may accept."""

import contextlib
import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import anyio
import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_http import HEADERS, LIST_TOOLS
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chargehand.evaluation.peers.serving import serving as serving_peer
from chargehand.server.cli import own_services
from chargehand.server.http.application import http_app
from chargehand.server.http.binding import Binding
from chargehand.server.http.serving import listen, serving
from chargehand.server.settings import load_settings


@dataclass
class Issuer:
    """An OAuth issuer with one key."""

    url: str
    key: ec.EllipticCurvePrivateKey
    asked: list[str]
    is_away: bool = False
    """Whether it answers 503 to everything."""
    held: anyio.Event | None = None
    """What it waits for before it answers."""

    published: list[dict[str, Any]] | None = None
    """The keys that it shows. None: its own."""

    def token(self, audience: str, **claims: Any) -> str:
        """A token that is good for the audience, but for the claims given; None leaves one out."""
        return self.signed(self.claims(audience, **claims))

    def claims(self, audience: str, **claims: Any) -> dict[str, Any]:
        now = int(time.time())
        whole = {
            "iss": self.url,
            "aud": audience,
            "sub": "alice",
            "client_id": "host",
            "exp": now + 600,
            "iat": now,
            **claims,
        }
        return {name: value for name, value in whole.items() if value is not None}

    def signed(self, claims: dict[str, Any], key: Any = None, algorithm: str = "ES256", kid: str | None = "one") -> str:
        """A token with just these claims. key: of any type that PyJWT takes; None is the issuer's own."""
        return jwt.encode(claims, key or self.key, algorithm=algorithm, headers={} if kid is None else {"kid": kid})


@pytest.fixture
def open_issuer() -> Callable[[], AbstractAsyncContextManager[Issuer]]:
    @contextlib.asynccontextmanager
    async def opening() -> AsyncGenerator[Issuer]:
        key = ec.generate_private_key(ec.SECP256R1())
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
        asked: list[str] = []
        issuer = Issuer("", key, asked)

        async def metadata(request: Request) -> Response:
            asked.append(request.url.path)
            if issuer.held is not None:
                await issuer.held.wait()
            if issuer.is_away:
                return Response(status_code=503)
            return JSONResponse({"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"})

        async def keys(request: Request) -> Response:
            asked.append(request.url.path)
            own = {**public, "kid": "one", "alg": "ES256", "use": "sig"}
            return JSONResponse({"keys": [own] if issuer.published is None else issuer.published})

        routes = [Route("/.well-known/oauth-authorization-server", metadata), Route("/keys", keys)]
        async with serving_peer(Starlette(routes=routes)) as url:
            issuer.url = url
            yield issuer

    return opening


@dataclass
class Place:
    """A running server."""

    url: str

    @property
    def root(self) -> str:
        return self.url.removesuffix("/mcp")

    @contextlib.asynccontextmanager
    async def client(self, token: str | None = None, era: str = "auto") -> AsyncGenerator[Client]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30) as http,
            Client(streamable_http_client(self.url, http_client=http), mode=era) as client,
        ):
            yield client

    async def ask(self, method: str = "POST", path: str = "/mcp", **named: Any) -> httpx2.Response:
        """One request by hand; a POST lists the tools in the 2026 era unless it says otherwise."""
        async with httpx2.AsyncClient(timeout=30) as http:
            if method == "POST" and "content" not in named:
                named["json"] = LIST_TOOLS
            headers = {**(HEADERS if method == "POST" else {}), **named.pop("headers", {})}
            return await http.request(method, self.root + path, headers=headers, **named)


@pytest.fixture
def open_place() -> Callable[..., AbstractAsyncContextManager[Place]]:
    """Serves: `async with open_place(issuer=…) as place`; the token is that of the environment."""

    @contextlib.asynccontextmanager
    async def opening(**binding: Any) -> AsyncGenerator[Place]:
        settings = load_settings()
        wanted = Binding(port=0, **binding)
        access = wanted.access_rules(settings.http_token)
        with listen(wanted) as listener:
            bound = wanted.at_port(listener.getsockname()[1])
            app = http_app(own_services, bound, access, settings.http)
            async with serving(app, listener):
                yield Place(f"http://127.0.0.1:{bound.port}/mcp")

    return opening
