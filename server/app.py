"""The MCP server, put together; nothing is opened, read or imported for its tools before their first call."""

import contextlib
import importlib.metadata
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import ServerMiddleware
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.prompts.base import Prompt
from mcp.server.mcpserver.tools import Tool

from ..profiles.retirement import Notice
from .surface.announcing import announcements, notices_of_this_process
from .surface.callers import own_tasks_only
from .surface.completions import add_completions
from .surface.icon import ICON
from .surface.instructions import INSTRUCTIONS
from .surface.middleware import strict_requests
from .surface.prompts import prompts
from .surface.resources import add_templates, resources
from .surface.server_state import CurrentServer, OpenServices, ServerState, open_server_state
from .surface.toolbox import tools

# The lists change with a release and with nothing else; whoever is served by one process gets the same ones.
_UNTIL_ASKED_AGAIN = CacheHint(ttl_ms=3_600_000, scope="public")
_STABLE: tuple[CacheableMethod, ...] = (
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "server/discover",
)


@dataclass(frozen=True)
class Offer:
    """What can be called, and picked by the user."""

    tools: Sequence[Tool]
    prompts: Sequence[Prompt]
    announces_changes: bool = False
    """Whether a client may listen for changes. Chargehand's lists never change."""


def version() -> str:
    return importlib.metadata.version("chargehand")


def build_app(
    open_services: OpenServices,
    *,
    when_closed: Callable[[], None] = lambda: None,
    further: Sequence[ServerMiddleware[Any]] = (),
    offer: Offer | None = None,
    due: Callable[[], Sequence[Notice]] = notices_of_this_process,
) -> MCPServer[ServerState]:
    """The server over its services, with both protocol eras and any transport.

    when_closed: called once all books are closed, which may be before the transport has ended.
    further: what looks at requests before everything else. offer: None is what Chargehand offers.
    due: the retirements that are announced with each handshake.
    """

    current = CurrentServer()

    @contextlib.asynccontextmanager
    async def lifespan(_: MCPServer[ServerState]) -> AsyncGenerator[ServerState]:
        try:
            async with open_server_state(open_services) as state:
                with current.set_to(state):
                    yield state
        finally:
            when_closed()

    offer = offer or Offer(tools(), prompts())
    app = MCPServer[ServerState](
        name="chargehand",
        title="Chargehand",
        description="Hands each coding task to the cheapest model that verifiably gets it right.",
        version=version(),
        instructions=INSTRUCTIONS,
        icons=[ICON],
        tools=list(offer.tools),
        resources=resources(current),
        lifespan=lifespan,
        log_level="WARNING",
        cache_hints=dict.fromkeys(_STABLE, _UNTIL_ASKED_AGAIN),
        subscriptions=None if offer.announces_changes else False,
        middleware=[
            *further,
            announcements(due),
            strict_requests(offer.tools, offer.prompts),
            own_tasks_only(current),
        ],
    )
    for prompt in offer.prompts:
        app.add_prompt(prompt)
    add_templates(app, current)
    add_completions(app, current, [prompt.name for prompt in offer.prompts])
    return app
