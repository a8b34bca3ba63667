"""A server over HTTP with configurable access rules, and an OAuth issuer on 127.0.0.1 whose tokens it accepts."""

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
    """An OAuth issuer with one signing key."""

    url: str
    key: ec.EllipticCurvePrivateKey
    requested_paths: list[str]
    is_unavailable: bool = False
    """Whether its metadata endpoint answers 503."""
    gate: anyio.Event | None = None
    """The event that its metadata endpoint waits for before it answers."""

    metadata: Response | None = None
    """What its metadata endpoint answers instead of its metadata."""
    metadata_path: str = "/.well-known/oauth-authorization-server"
    path: str = ""
    """The path of its own URL."""
    published: list[dict[str, Any]] | None = None
    """The keys that it publishes. None: its own."""

    def token(self, audience: str, **claims: Any) -> str:
        """A token that is valid for the audience, except for the given claims; None omits a claim."""
        return self.signed(self.claims(audience, **claims))

    def claims(self, audience: str, **claims: Any) -> dict[str, Any]:
        now = int(time.time())
        all_claims = {
            "iss": self.url,
            "aud": audience,
            "sub": "alice",
            "client_id": "host",
            "exp": now + 600,
            "iat": now,
            **claims,
        }
        return {name: value for name, value in all_claims.items() if value is not None}

    def signed(self, claims: dict[str, Any], key: Any = None, algorithm: str = "ES256", kid: str | None = "one") -> str:
        """A token with exactly these claims. key: of any type that PyJWT accepts; None is the issuer's own."""
        return jwt.encode(claims, key or self.key, algorithm=algorithm, headers={} if kid is None else {"kid": kid})


@pytest.fixture
def open_issuer() -> Callable[[], AbstractAsyncContextManager[Issuer]]:
    @contextlib.asynccontextmanager
    async def opening() -> AsyncGenerator[Issuer]:
        key = ec.generate_private_key(ec.SECP256R1())
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
        requested_paths: list[str] = []
        issuer = Issuer("", key, requested_paths)

        async def metadata(request: Request) -> Response:
            if request.url.path != issuer.metadata_path:
                return Response(status_code=404)
            requested_paths.append(request.url.path)
            if issuer.gate is not None:
                await issuer.gate.wait()
            if issuer.is_unavailable:
                return Response(status_code=503)
            return issuer.metadata or JSONResponse(
                {"issuer": issuer.url + issuer.path, "jwks_uri": f"{issuer.url}/keys"}
            )

        async def keys(request: Request) -> Response:
            requested_paths.append(request.url.path)
            own = {**public, "kid": "one", "alg": "ES256", "use": "sig"}
            return JSONResponse({"keys": [own] if issuer.published is None else issuer.published})

        routes = [Route("/keys", keys), Route("/{path:path}", metadata)]
        async with serving_peer(Starlette(routes=routes)) as url:
            issuer.url = url
            yield issuer

    return opening


@dataclass
class HttpServer:
    """A running server."""

    url: str

    @property
    def root(self) -> str:
        return self.url.removesuffix("/mcp")

    @contextlib.asynccontextmanager
    async def client(self, token: str | None = None, era: str = "auto") -> AsyncGenerator[Client]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60) as http,
            Client(streamable_http_client(self.url, http_client=http), mode=era) as client,
        ):
            yield client

    async def request(self, method: str = "POST", path: str = "/mcp", **options: Any) -> httpx2.Response:
        """Sends one HTTP request; a POST without `content` lists the tools in the 2026 era."""
        async with httpx2.AsyncClient(timeout=60) as http:
            if method == "POST" and "content" not in options:
                options["json"] = LIST_TOOLS
            headers = {**(HEADERS if method == "POST" else {}), **options.pop("headers", {})}
            return await http.request(method, self.root + path, headers=headers, **options)


@pytest.fixture
def open_http_server() -> Callable[..., AbstractAsyncContextManager[HttpServer]]:
    """Starts a server: `async with open_http_server(issuer=…) as server`; its token comes from the environment."""

    @contextlib.asynccontextmanager
    async def opening(**binding: Any) -> AsyncGenerator[HttpServer]:
        settings = load_settings()
        requested = Binding(port=0, **binding)
        access = requested.access_rules(settings.http_token)
        with listen(requested) as listener:
            bound = requested.at_port(listener.getsockname()[1])
            app = http_app(own_services, bound, access, settings.http)
            async with serving(app, listener):
                yield HttpServer(f"http://127.0.0.1:{bound.port}/mcp")

    return opening
