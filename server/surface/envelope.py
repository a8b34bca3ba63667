"""Refusals of tool calls, completed where a middleware returns one in place of a result: the SDK sends it as it is.

`ServerRunner._serialize` in mcp 2.3.0 gives all other results what their era requires.
"""

from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.types import SERVER_INFO_META_KEY, CallToolResult, Implementation, TextContent
from mcp.types.version import MODERN_PROTOCOL_VERSIONS


def refused(text: str) -> CallToolResult:
    """The result of a call that is refused. text: for the calling model, with the remedy."""
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


def enveloped(identity: Implementation) -> ServerMiddleware[Any]:
    """A middleware that runs before all that may refuse a call. identity: the server's."""
    stamp = identity.model_dump(by_alias=True, mode="json", exclude_none=True)

    async def complete(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        result = await call_next(ctx)
        if not isinstance(result, CallToolResult):
            return result
        wire = result.model_dump(by_alias=True, mode="json", exclude_none=True)
        if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
            return {**wire, "_meta": {SERVER_INFO_META_KEY: stamp}}
        del wire["resultType"]
        return wire

    return complete
