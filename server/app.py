"""The MCP server, put together; nothing is opened, read or imported for its tools before their first call."""

import contextlib
import importlib.metadata
from collections.abc import AsyncGenerator, Callable

from mcp.server.mcpserver import MCPServer

from .instructions import INSTRUCTIONS
from .middleware import strict_calls
from .premises import OpenWorkshop, Premises, premises
from .toolbox import tools


def version() -> str:
    return importlib.metadata.version("chargehand")


def build_app(open_workshop: OpenWorkshop, *, when_closed: Callable[[], None] = lambda: None) -> MCPServer[Premises]:
    """The server over a workshop, with both protocol eras and any transport.

    when_closed: called once all books are closed, which may be before the transport has ended.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: MCPServer[Premises]) -> AsyncGenerator[Premises]:
        try:
            async with premises(open_workshop) as place:
                yield place
        finally:
            when_closed()

    offered = tools()
    return MCPServer[Premises](
        name="chargehand",
        title="Chargehand",
        version=version(),
        instructions=INSTRUCTIONS,
        tools=offered,
        lifespan=lifespan,
        log_level="WARNING",
        middleware=[strict_calls(offered)],
    )
