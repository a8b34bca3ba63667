"""Rate and concurrency limits per caller and tool."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.types import CallToolResult

from ..config_tables import HttpSettings
from ..surface.callers import current_caller
from ..surface.envelope import refused
from ..surface.server_state import ServerState

if TYPE_CHECKING:
    from ...tools.cascade.delegations import Delegation

MAX_CALLERS = 10_000
"""Entries kept, one per caller and tool; the least recently used is evicted first."""

_DELEGATE = "delegate_generation"


@dataclass
class _Usage:
    """One caller's use of one tool: a token bucket and the work in progress."""

    left: float
    """Calls left in the bucket."""
    updated_at: float
    """When `left` was computed, in seconds of the monotonic clock."""
    calls: int = 0
    """Calls not yet answered, except those that only resume a delegation."""
    delegations: "list[Delegation]" = field(default_factory=list["Delegation"])
    """Delegations still running after their calls were answered."""

    @property
    def under_way(self) -> int:
        self.delegations = [delegation for delegation in self.delegations if not delegation.done.is_set()]
        return self.calls + len(self.delegations)


def limited(rules: HttpSettings) -> ServerMiddleware[Any]:
    """A middleware that refuses calls over the limits, with a message that says when to retry."""
    usages: dict[tuple[str | None, str], _Usage] = {}
    per_minute, at_once = rules.calls_per_minute, rules.calls_at_once

    async def limit(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        tool = (ctx.params or {}).get("name")
        # Unknown tools are refused later anyway; counting them would let invented names evict real entries.
        if ctx.method != "tools/call" or not isinstance(tool, str) or tool not in per_minute or tool not in at_once:
            return await call_next(ctx)
        begins, ends = _begins_or_ends(ctx.params or {})
        if ends:
            return await call_next(ctx)
        usage = _usage(usages, (current_caller(), tool), per_minute[tool])
        if begins and usage.under_way >= at_once[tool]:
            return refused(
                f"{tool}: you have {usage.under_way} under way, the most allowed at once. Call again when one has ended"
                + (", or end one with `resume` and `cancel`." if tool == _DELEGATE else ".")
            )
        if usage.left < 1:
            wait_s = (1 - usage.left) * 60 / per_minute[tool]
            return refused(f"{tool}: more than {per_minute[tool]} calls per minute. Call again in {wait_s:.0f} s.")
        usage.left -= 1
        if not begins:
            return await call_next(ctx)
        usage.calls += 1
        try:
            result = await call_next(ctx)
            if tool == _DELEGATE and (left := _left_running(ctx.lifespan_context, result)) is not None:
                usage.delegations.append(left)
            return result
        finally:
            usage.calls -= 1

    return limit


def _begins_or_ends(params: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether a tool call begins work, and whether it cancels some."""
    arguments: object = params.get("arguments")
    if params.get("name") != _DELEGATE or not isinstance(arguments, dict):
        return True, False
    given = cast(dict[str, Any], arguments)
    return not given.get("resume"), bool(given.get("resume") and given.get("cancel"))


def _left_running(state: ServerState, result: HandlerResult) -> "Delegation | None":
    """The delegation that a call started and left running. result: as returned by the tool, or serialized."""
    if isinstance(result, CallToolResult):
        receipt: object = result.structured_content
    else:
        receipt = result.get("structuredContent") if isinstance(result, dict) else None
    task_id = cast(dict[str, Any], receipt).get("task_id") if isinstance(receipt, dict) else None
    return state.delegations.find(task_id) if isinstance(task_id, str) else None


def _usage(usages: dict[tuple[str | None, str], _Usage], key: tuple[str | None, str], per_minute: int) -> _Usage:
    now = time.monotonic()
    usage = usages.pop(key, None) or _Usage(left=per_minute, updated_at=now)
    usage.left = min(float(per_minute), usage.left + (now - usage.updated_at) * per_minute / 60)
    usage.updated_at = now
    usages[key] = usage  # the dict is in the order of last use
    while len(usages) > MAX_CALLERS and not next(iter(usages.values())).under_way:
        del usages[next(iter(usages))]
    return usage
