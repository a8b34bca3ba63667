"""How often, and how many at once, one caller may call each tool."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.types import CallToolResult, TextContent

from ..settings import HttpSettings
from ..surface.callers import current_caller
from ..surface.server_state import ServerState

if TYPE_CHECKING:
    from ...tools.cascade.delegations import Delegation

MAX_CALLERS = 10_000
"""Kept in mind; who was away longest is forgotten first."""

_DELEGATE = "delegate_generation"


@dataclass
class _Gauge:
    """One caller's use of one tool."""

    left: float
    """Calls that may begin at once."""
    seen: float
    """When that was true, in seconds of the monotonic clock."""
    calls: int = 0
    """That have not been answered, but for those that only ask after a delegation."""
    delegations: "list[Delegation]" = field(default_factory=list["Delegation"])
    """That go on although their calls have been answered."""

    @property
    def under_way(self) -> int:
        self.delegations = [delegation for delegation in self.delegations if not delegation.done.is_set()]
        return self.calls + len(self.delegations)


def limited(rules: HttpSettings) -> ServerMiddleware[Any]:
    """A middleware that refuses what comes too often, with words that say when to come again."""
    gauges: dict[tuple[str | None, str], _Gauge] = {}
    per_minute, at_once = rules.calls_per_minute, rules.calls_at_once

    async def limit(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        tool = (ctx.params or {}).get("name")
        # A name that is no tool's is refused anyway, and made-up ones are to push nobody out of mind.
        if ctx.method != "tools/call" or not isinstance(tool, str) or tool not in per_minute or tool not in at_once:
            return await call_next(ctx)
        begins, ends = _told(ctx.params or {})
        if ends:
            return await call_next(ctx)
        gauge = _gauge(gauges, (current_caller(), tool), per_minute[tool])
        if begins and gauge.under_way >= at_once[tool]:
            return _refusal(
                f"{tool}: you have {gauge.under_way} under way, the most allowed at once. Call again when one has ended"
                + (", or end one with `resume` and `cancel`." if tool == _DELEGATE else ".")
            )
        if gauge.left < 1:
            wait_s = (1 - gauge.left) * 60 / per_minute[tool]
            return _refusal(f"{tool}: more than {per_minute[tool]} calls per minute. Call again in {wait_s:.0f} s.")
        gauge.left -= 1
        if not begins:
            return await call_next(ctx)
        gauge.calls += 1
        try:
            result = await call_next(ctx)
            if tool == _DELEGATE and (left := _left_running(ctx.lifespan_context, result)) is not None:
                gauge.delegations.append(left)
            return result
        finally:
            gauge.calls -= 1

    return limit


def _told(params: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether a call of a tool begins work, and whether it ends some."""
    arguments: object = params.get("arguments")
    if params.get("name") != _DELEGATE or not isinstance(arguments, dict):
        return True, False
    given = cast(dict[str, Any], arguments)
    return not given.get("resume"), bool(given.get("resume") and given.get("cancel"))


def _left_running(state: ServerState, result: HandlerResult) -> "Delegation | None":
    """The delegation that a call began and did not wait for. The result is as the tool gave it, or as it is sent."""
    if isinstance(result, CallToolResult):
        receipt: object = result.structured_content
    else:
        receipt = result.get("structuredContent") if isinstance(result, dict) else None
    task_id = cast(dict[str, Any], receipt).get("task_id") if isinstance(receipt, dict) else None
    return state.delegations.find(task_id) if isinstance(task_id, str) else None


def _gauge(gauges: dict[tuple[str | None, str], _Gauge], who: tuple[str | None, str], per_minute: int) -> _Gauge:
    now = time.monotonic()
    gauge = gauges.pop(who, None) or _Gauge(left=per_minute, seen=now)
    gauge.left = min(float(per_minute), gauge.left + (now - gauge.seen) * per_minute / 60)
    gauge.seen = now
    gauges[who] = gauge  # the dict is in the order of last use
    while len(gauges) > MAX_CALLERS and not next(iter(gauges.values())).under_way:
        del gauges[next(iter(gauges))]
    return gauge


def _refusal(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)
