"""The ASGI application: checks of Host and Origin, then of the token, then MCP; and `/health`."""

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
from ..settings import HttpSettings
from ..surface.server_state import OpenServices, ServerState
from .binding import HEALTH, PATH, Binding, Entrance
from .limits import limited
from .sessions import IDLE_SESSION_S, MAX_SESSIONS, Sessions
from .tokens import undecided, verifier

MAX_BODY_BYTES = 8 * 1024 * 1024
"""The longest `context` that a tool takes is 2,000,000 characters."""
ROOM_AGAIN_AFTER_S = 60
"""When to come back while there is no room. A guess: nobody knows when sessions end."""

_HEADERS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))


def http_app(open_services: OpenServices, binding: Binding, entrance: Entrance, rules: HttpSettings) -> ASGIApp:
    """The app for a binding whose port is known."""
    return served_over_http(build_app(open_services, further=[limited(rules)]), binding, entrance)


def served_over_http(app: MCPServer[ServerState], binding: Binding, entrance: Entrance) -> ASGIApp:
    """The server behind its checks.

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
    if not entrance.is_open:
        mcp = _Guarded(mcp, binding, entrance)
    return _Checked(mcp, security, binding.transport_security(of_health=True))


class _Checked:
    """Answers nothing, not even with a refusal, to a page that a browser was lured to under another name."""

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
                    added.append((b"retry-after", str(ROOM_AGAIN_AFTER_S).encode()))
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        # White space around a value is no part of it (RFC 9110 section 5.5); httptools leaves it there.
        # Without an event store mcp 2.3.0 answers a client that names its last event with nothing at all, which is
        # HTTP 500. Such a client gets a fresh stream.
        headers = [(name, value.strip(b" \t")) for name, value in scope["headers"] if name != b"last-event-id"]
        # Names of hosts are the same in any case. A slash at the end is no other path: Starlette would redirect, to the
        # plain http that it is asked in.
        headers = [(name, value.lower() if name in (b"host", b"origin") else value) for name, value in headers]
        scope = {**scope, "headers": headers, "path": scope["path"].rstrip("/") or "/"}
        try:
            await self._answer(scope, receive, with_headers)
        except ClientDisconnect:
            return  # in the middle of its request: there is nobody to answer, and nothing to mend
        except anyio.get_cancelled_exc_class():
            # Only the end of the server cancels a request from outside; raised any further it becomes HTTP 500.
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


class _Guarded:
    """Lets in who shows a token that counts, and tells the others where tokens come from (RFC 9728)."""

    def __init__(self, app: ASGIApp, binding: Binding, entrance: Entrance) -> None:
        resource = AnyHttpUrl(binding.url)
        metadata_url = build_resource_metadata_url(resource)
        required = RequireAuthMiddleware(app, list(entrance.scopes), metadata_url)
        self._mcp = AuthenticationMiddleware(
            AuthContextMiddleware(required),
            backend=BearerAuthBackend(verifier(entrance, binding.url)),
            on_error=undecided,
        )
        self._app = app
        self._metadata_path = metadata_url.path
        self._metadata = json.dumps(
            {
                "resource": binding.url,
                "resource_name": "Chargehand",
                "bearer_methods_supported": ["header"],
                **({"authorization_servers": [entrance.issuer]} if entrance.issuer else {}),
                **({"scopes_supported": list(entrance.scopes)} if entrance.scopes else {}),
            }
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == self._metadata_path:
            await Response(self._metadata, media_type="application/json")(scope, receive, send)
        elif scope["type"] == "http":
            await self._mcp(scope, receive, send)
        else:
            await self._app(scope, receive, send)
