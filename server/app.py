"""The MCP server, put together; nothing is opened, read or imported for its tools before their first call."""

import contextlib
import importlib.metadata
from collections.abc import AsyncGenerator

from mcp.server.mcpserver import MCPServer

from .instructions import INSTRUCTIONS
from .middleware import strict_calls
from .premises import OpenWorkshop, Premises, premises
from .toolbox import tools


def version() -> str:
    return importlib.metadata.version("chargehand")


def build_app(open_workshop: OpenWorkshop) -> MCPServer[Premises]:
    """The server over a workshop, with both protocol eras and any transport."""

    @contextlib.asynccontextmanager
    async def lifespan(_: MCPServer[Premises]) -> AsyncGenerator[Premises]:
        async with premises(open_workshop) as place:
            yield place

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
