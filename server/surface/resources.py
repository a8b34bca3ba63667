"""The MCP resources: models, usage, tasks and memory, each as JSON."""

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.server.mcpserver.resources import FunctionResource, Resource

from ...memory_store.errors import LedgerError
from ...profiles.errors import ProfileError, UnknownModel
from ...tools.errors import OF_ANOTHER_PROJECT, CallerError, UnknownTask, unknown_task
from ...tools.guarding.text import sanitized, visible
from .server_state import CurrentServer, ServerState

if TYPE_CHECKING:
    from ...profiles.model import ModelProfile
    from ...tools.services import Services

SCHEME = "chargehand://"
PROFILE_TEMPLATE = f"{SCHEME}profiles/{{id}}"
TASKS = f"{SCHEME}tasks/"
TASK_TEMPLATE = f"{TASKS}{{task_id}}"

_JSON = "application/json"


def resources(current: CurrentServer) -> list[Resource]:
    """The resources with a fixed URI. Reading one opens the services."""
    return [
        FunctionResource(
            uri=f"{SCHEME}{name}",
            name=name,
            title=title,
            description=description,
            mime_type=_JSON,
            fn=_with_readable_errors(partial(_read_with_services, current, read)),
        )
        for name, title, description, read in _FIXED
    ]


def add_templates(app: MCPServer[ServerState], current: CurrentServer) -> None:
    """Add the resources with an id in the URI: one model, one task."""

    async def profile(id: str) -> str:  # noqa: A002 - the name in the URI template
        from .facts import profile_facts

        services = await current.services()
        return _as_json(profile_facts(services.catalogue, id, services.today))

    async def task(task_id: str) -> str:
        return await _task(await current.services(), task_id)

    app.resource(
        PROFILE_TEMPLATE,
        name="profile",
        title="One model",
        description="All facts about a model: roles, price with its source, limits, thinking, when it is retired.",
        mime_type=_JSON,
    )(_with_readable_errors(profile))
    app.resource(
        TASK_TEMPLATE,
        name="task",
        title="One delegated task",
        description="The task's text, its whole receipt with the code, and what was reported about it.",
        mime_type=_JSON,
    )(_with_readable_errors(task))


async def _profiles(services: "Services") -> str:
    listed = sorted(services.catalogue, key=lambda p: (p.provider, p.id))
    return _as_json([_line(profile, services.catalogue.roles_of(profile, services.today)) for profile in listed])


def _line(profile: "ModelProfile", roles: Iterable[str]) -> dict[str, Any]:
    price = profile.price
    return {
        "id": profile.id,
        "provider": profile.provider,
        "api_model": profile.api_model,
        "roles": list(roles),
        "status": profile.lifecycle.status,
        "input_usd_per_million_tokens": price.input_usd_per_million_tokens if price else 0,
        "output_usd_per_million_tokens": price.output_usd_per_million_tokens if price else 0,
    }


async def _usage(services: "Services") -> str:
    from ...memory_store.adherence import report_classes
    from ...memory_store.usage import report_usage
    from .facts import usage_facts

    return _as_json(usage_facts(await report_usage(services.ledger), await report_classes(services.ledger)))


async def _memory(services: "Services") -> str:
    from ...memory_store.care.census import take_census

    return _as_json(asdict(await take_census(services.ledger)))


async def _task(services: "Services", task_id: str) -> str:
    from ...tools.cascade.receipt import Receipt

    row = await services.ledger.task(task_id)
    if row is None:
        raise unknown_task(task_id)
    if not services.shows(row):
        return _as_json(asdict(row) | {"text": "", "receipt": None, "withheld": OF_ANOTHER_PROJECT})
    receipt = None
    if row.receipt is not None and row.kind == "delegation":
        receipt = sanitized(Receipt.model_validate_json(row.receipt)).model_dump(mode="json", exclude_none=True)
    return _as_json(asdict(row) | {"text": visible(row.text), "receipt": receipt})


_FIXED: tuple[tuple[str, str, str, Callable[["Services"], Awaitable[str]]], ...] = (
    ("profiles", "Models", "Every model that may be asked: roles, status, price.", _profiles),
    ("usage", "Usage", "Which models were asked, and what that cost, saved and lost.", _usage),
    ("memory", "Memory", "What is remembered, by model, and how accurate the confidence based on it was.", _memory),
)


async def _read_with_services(current: CurrentServer, read: Callable[["Services"], Awaitable[str]]) -> str:
    return await read(await current.services())


def _with_readable_errors(read: Callable[..., Awaitable[str]]) -> Callable[..., Awaitable[str]]:
    """`read`, with errors that the user can fix raised as resource errors; the SDK masks all others."""

    @wraps(read)
    async def reading(**named: Any) -> str:
        try:
            return await read(**named)
        except (UnknownTask, UnknownModel) as error:
            raise ResourceNotFoundError(str(error)) from error
        except (CallerError, ProfileError, LedgerError) as error:
            raise ResourceError(str(error)) from error

    return reading


def _as_json(value: object) -> str:
    return json.dumps(value, indent=1, default=str)
