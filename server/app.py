"""Assembles the MCP server. Nothing is opened, read or imported for its tools before the first call."""

import contextlib
import importlib.metadata
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import ServerMiddleware
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.prompts.base import Prompt
from mcp.server.mcpserver.tools import Tool
from mcp.types import Implementation

from ..profiles.retirement import Notice
from .surface.announcing import announcements, notices_from_data_folder
from .surface.callers import own_tasks_only
from .surface.completions import add_completions
from .surface.envelope import enveloped
from .surface.icon import ICON
from .surface.instructions import INSTRUCTIONS
from .surface.middleware import strict_requests
from .surface.prompts import prompts
from .surface.resources import add_templates, resources
from .surface.server_state import CurrentServer, OpenServices, ServerState, open_server_state
from .surface.text_only import text_only, wants_text_only
from .surface.toolbox import tools

# The lists change only with a release, and are the same for all clients of a process.
_CACHE_HINT = CacheHint(ttl_ms=3_600_000, scope="public")
_STABLE: tuple[CacheableMethod, ...] = (
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "server/discover",
)


@dataclass(frozen=True)
class Primitives:
    """The tools and prompts that the server offers."""

    tools: Sequence[Tool]
    prompts: Sequence[Prompt]
    announces_changes: bool = False
    """Whether clients may subscribe to list changes. Chargehand's own lists never change."""


def version() -> str:
    return importlib.metadata.version("chargehand")


def build_app(
    open_services: OpenServices,
    *,
    on_closed: Callable[[], None] = lambda: None,
    outer_middleware: Sequence[ServerMiddleware[Any]] = (),
    primitives: Primitives | None = None,
    due: Callable[[], Sequence[Notice]] = notices_from_data_folder,
) -> MCPServer[ServerState]:
    """The server, for both protocol eras and any transport.

    on_closed: called once the services are closed, which may be before the transport has ended.
    outer_middleware: runs before all other middleware that may refuse a call. primitives: None means Chargehand's own
    tools and prompts.
    due: returns the retirements to announce with each handshake.
    """

    current = CurrentServer()

    @contextlib.asynccontextmanager
    async def lifespan(_: MCPServer[ServerState]) -> AsyncGenerator[ServerState]:
        try:
            async with open_server_state(open_services) as state:
                with current.set_to(state):
                    yield state
        finally:
            on_closed()

    primitives = primitives or Primitives(tools(), prompts())
    identity = Implementation(
        name="chargehand",
        title="Chargehand",
        description="Hands each coding task to the cheapest model that verifiably gets it right.",
        version=version(),
        icons=[ICON],
    )
    app = MCPServer[ServerState](
        name=identity.name,
        title=identity.title,
        description=identity.description,
        version=identity.version,
        instructions=INSTRUCTIONS,
        icons=identity.icons,
        tools=list(primitives.tools),
        resources=resources(current),
        lifespan=lifespan,
        log_level="WARNING",
        cache_hints=dict.fromkeys(_STABLE, _CACHE_HINT),
        subscriptions=None if primitives.announces_changes else False,
        middleware=[
            enveloped(identity),
            *outer_middleware,
            announcements(due),
            *([text_only] if wants_text_only(os.environ) else ()),
            strict_requests(primitives.tools, primitives.prompts),
            own_tasks_only(current),
        ],
    )
    for prompt in primitives.prompts:
        app.add_prompt(prompt)
    add_templates(app, current)
    add_completions(app, current, [prompt.name for prompt in primitives.prompts])
    return app
