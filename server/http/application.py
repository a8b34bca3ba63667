"""The ASGI application: Host and Origin checks, then authentication, then MCP; and `/health`."""

import json

import anyio
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.routes import build_resource_metadata_url
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from mcp.types import INTERNAL_ERROR, ErrorData, JSONRPCError
from pydantic import AnyHttpUrl
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..app import build_app
from ..config_tables import HttpSettings
from ..surface.server_state import OpenServices, ServerState
from .binding import HEALTH, PATH, AccessRules, Binding
from .limits import limited
from .sessions import IDLE_SESSION_S, MAX_SESSIONS, Sessions
from .tokens import issuer_unavailable, verifier

MAX_BODY_BYTES = 8 * 1024 * 1024
"""The longest `context` that a tool takes is 2,000,000 characters."""
RETRY_WHEN_FULL_S = 60
"""The Retry-After value while all sessions are taken. A guess: it is unknown when sessions end."""

_HEADERS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))


def http_app(open_services: OpenServices, binding: Binding, access: AccessRules, rules: HttpSettings) -> ASGIApp:
    """The app for a binding. Its port must be the actual one, not 0."""
    return served_over_http(build_app(open_services, outer_middleware=[limited(rules)]), binding, access)


def served_over_http(app: MCPServer[ServerState], binding: Binding, access: AccessRules) -> ASGIApp:
    """The server, wrapped in the Host, Origin and token checks.

    `json_response` and `stateless_http` stay off: they break cancellation and progress.
    """
    security = binding.transport_security()
    mcp: ASGIApp = Sessions(
        app.streamable_http_app(
            streamable_http_path=PATH,
            max_request_body_size=MAX_BODY_BYTES,
            session_idle_timeout=IDLE_SESSION_S,
            max_sessions=MAX_SESSIONS,
            transport_security=security,
            host=binding.host,
        )
    )
    if not access.is_open:
        mcp = _Authenticated(mcp, binding, access)
    return _HostChecked(mcp, security, binding.transport_security(of_health=True))


class _HostChecked:
    """Rejects requests with an unexpected Host or Origin header (DNS rebinding) before any other handling."""

    def __init__(self, app: ASGIApp, security: TransportSecuritySettings, of_health: TransportSecuritySettings) -> None:
        self._app = app
        self._security = TransportSecurityMiddleware(security)
        self._security_of_health = TransportSecurityMiddleware(of_health)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        has_begun = has_ended = False

        async def with_headers(message: Message) -> None:
            nonlocal has_begun, has_ended
            has_begun = True
            has_ended = message["type"] == "http.response.body" and not message.get("more_body", False)
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message.get("headers", ())}
                added = [header for header in _HEADERS if header[0] not in present]
                if message["status"] == 503 and b"retry-after" not in present:
                    added.append((b"retry-after", str(RETRY_WHEN_FULL_S).encode()))
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        # White space around a header value is not part of it (RFC 9110 section 5.5), but httptools keeps it.
        # Without an event store, mcp 2.3.0 sends no response to a Last-Event-ID header, which becomes HTTP 500. Without
        # the header, the client gets a new stream.
        headers = [(name, value.strip(b" \t")) for name, value in scope["headers"] if name != b"last-event-id"]
        # Host names are case-insensitive. A trailing slash is removed, because Starlette would otherwise redirect, to
        # plain http even behind a proxy with TLS.
        headers = [(name, value.lower() if name in (b"host", b"origin") else value) for name, value in headers]
        scope = {**scope, "headers": headers, "path": scope["path"].rstrip("/") or "/"}
        try:
            await self._answer(scope, receive, with_headers)
        except ClientDisconnect:
            return  # the client disconnected during its request; no response is possible
        except anyio.get_cancelled_exc_class():
            # Only the server's shutdown cancels a request from outside. If it propagated, it would become HTTP 500.
            if has_begun and not has_ended:
                await with_headers({"type": "http.response.body", "body": b"", "more_body": False})
            elif not has_begun:
                await _unavailable()(scope, receive, with_headers)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_health = scope["path"] == HEALTH
        security = self._security_of_health if is_health else self._security
        refusal = await security.validate_request(Request(scope))
        if refusal is not None:
            await refusal(scope, receive, send)
        elif is_health:
            await Response('{"status": "ok"}', media_type="application/json")(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _unavailable() -> Response:
    message = "The server is shutting down. Call again when it is back."
    error = JSONRPCError(jsonrpc="2.0", id=None, error=ErrorData(code=INTERNAL_ERROR, message=message))
    body = error.model_dump_json(exclude_unset=True)
    return Response(body, 503, {"Connection": "close"}, "application/json")


class _Authenticated:
    """Requires a valid token, and publishes where to get one (RFC 9728)."""

    def __init__(self, app: ASGIApp, binding: Binding, access: AccessRules) -> None:
        resource = AnyHttpUrl(binding.url)
        metadata_url = build_resource_metadata_url(resource)
        required = RequireAuthMiddleware(app, list(access.scopes), metadata_url)
        self._mcp = AuthenticationMiddleware(
            AuthContextMiddleware(required),
            backend=BearerAuthBackend(verifier(access, binding.url)),
            on_error=issuer_unavailable,
        )
        self._app = app
        self._metadata_path = metadata_url.path
        self._metadata = json.dumps(
            {
                "resource": binding.url,
                "resource_name": "Chargehand",
                "bearer_methods_supported": ["header"],
                **({"authorization_servers": [access.issuer]} if access.issuer else {}),
                **({"scopes_supported": list(access.scopes)} if access.scopes else {}),
            }
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == self._metadata_path:
            await Response(self._metadata, media_type="application/json")(scope, receive, send)
        elif scope["type"] == "http":
            await self._mcp(scope, receive, send)
        else:
            await self._app(scope, receive, send)
