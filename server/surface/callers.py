"""Identifies authenticated callers, and restricts each to their own tasks."""

import hashlib
from collections.abc import Mapping
from typing import Any, cast

from mcp import MCPError
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import principal_components
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.types import INVALID_PARAMS, CallToolResult

from ...memory_store.errors import LedgerError
from ...tools.errors import CallerError, unknown_task
from .envelope import refused
from .resources import TASKS
from .server_state import CurrentServer


def current_caller() -> str | None:
    """An id of the current request's caller, derived from the token. None: the local user, without a token."""
    token = get_access_token()
    if token is None:
        return None
    principal = "\0".join(part or "" for part in principal_components(token))
    return hashlib.sha256(principal.encode()).hexdigest()[:32]


def own_tasks_only(current: CurrentServer) -> ServerMiddleware[Any]:
    """A middleware that treats other callers' tasks as unknown.

    The local user, without a token, owns the data folder and sees all tasks.
    """

    async def check_owner(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        caller = current_caller()
        if caller is None or ctx.method not in ("tools/call", "resources/read"):
            return await call_next(ctx)
        from ...memory_store.callers import belongs_to

        params = ctx.params or {}
        named = _named_task(ctx.method, params)
        try:
            services = await current.services() if named is not None else None
            is_known = services is None or await belongs_to(services.ledger, str(named), caller)
        except (CallerError, LedgerError):
            return await call_next(ctx)  # the tool runs into the same error, and reports it
        if not is_known:
            return _unknown(ctx.method, params, str(named))
        return await call_next(ctx)

    return check_owner


def _named_task(method: str, params: Mapping[str, Any]) -> str | None:
    """The id of the requested task. None: the request names none."""
    if method == "resources/read":
        uri = str(params.get("uri", ""))
        return uri.removeprefix(TASKS) if uri.startswith(TASKS) else None
    arguments: object = params.get("arguments")
    if not isinstance(arguments, dict):
        return None
    named = cast(dict[str, Any], arguments)
    task_id = named.get("resume") or named.get("task_id")
    return task_id if isinstance(task_id, str) else None


def _unknown(method: str, params: Mapping[str, Any], task_id: str) -> CallToolResult:
    error = unknown_task(task_id)
    if method == "resources/read":
        raise MCPError(INVALID_PARAMS, str(error), {"uri": str(params.get("uri"))})
    return refused(f"{params.get('name')}: {error}")
