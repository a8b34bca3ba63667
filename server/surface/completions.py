"""Completions for resource URIs: model ids and task ids."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mcp import MCPError
from mcp.server.mcpserver import MCPServer
from mcp.types import (
    INVALID_PARAMS,
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)

from ...memory_store.errors import LedgerError
from ...tools.errors import CallerError
from .callers import current_caller
from .resources import PROFILE_TEMPLATE, TASK_TEMPLATE
from .server_state import CurrentServer, ServerState

if TYPE_CHECKING:
    from ...tools.services import Services

MAX_VALUES = 100
"""The protocol's own limit."""

_TASKS = "SELECT id FROM tasks WHERE kind = 'delegation' AND origin = 'use' AND text_form <> 'forgotten'"
_TASKS_OF_CALLER = "SELECT task_id FROM task_callers WHERE caller = ?"

Reference = PromptReference | ResourceTemplateReference


def add_completions(app: MCPServer[ServerState], current: CurrentServer, prompts: Iterable[str]) -> None:
    """Add a `completion/complete` handler to the app. prompts: names of the existing prompts."""
    known = tuple(prompts)

    async def complete(
        ref: Reference,
        argument: CompletionArgument,
        context: CompletionContext | None,  # noqa: ARG001 - the SDK's signature
    ) -> Completion:
        if isinstance(ref, PromptReference):
            if ref.name not in known:
                raise MCPError(INVALID_PARAMS, f"Unknown prompt: {ref.name!r:.80}. Prompts: {', '.join(known)}.")
            return Completion(values=[], total=0, has_more=False)
        offered = _BY_TEMPLATE.get((ref.uri, argument.name))
        if offered is None:
            return Completion(values=[], total=0, has_more=False)
        try:
            services = await current.services()
            return await offered(services, argument.value)
        except (CallerError, LedgerError) as error:
            raise MCPError(INVALID_PARAMS, str(error)) from error

    app.completion()(complete)


async def _profiles(services: "Services", prefix: str) -> Completion:
    return _ranked_matches(sorted(services.catalogue.profiles), prefix)


async def _tasks(services: "Services", prefix: str) -> Completion:
    """This project's tasks, newest first. The prefix is compared literally, without wildcards."""
    like = " AND substr(id, 1, ?) = ? AND (project IS NULL OR project = ?)"
    parameters: tuple[object, ...] = (len(prefix), prefix, services.roots.project)
    if (caller := current_caller()) is not None:
        like, parameters = f"{like} AND id IN ({_TASKS_OF_CALLER})", (*parameters, caller)
    ((total,),) = await services.ledger.rows(f"SELECT COUNT(*) FROM ({_TASKS}{like})", parameters)  # noqa: S608 - our own words
    rows = await services.ledger.rows(
        f"{_TASKS}{like} ORDER BY begun_at DESC LIMIT {MAX_VALUES}",
        parameters,
    )
    return Completion(values=[task_id for (task_id,) in rows], total=total, has_more=total > len(rows))


_BY_TEMPLATE = {(PROFILE_TEMPLATE, "id"): _profiles, (TASK_TEMPLATE, "task_id"): _tasks}


def _ranked_matches(names: list[str], prefix: str) -> Completion:
    """Names that start with the prefix, then names that contain it."""
    wanted = prefix.strip().lower()
    begin = [name for name in names if name.lower().startswith(wanted)]
    found = begin + [name for name in names if wanted in name.lower() and name not in begin]
    return Completion(values=found[:MAX_VALUES], total=len(found), has_more=len(found) > MAX_VALUES)
