"""How often, and how many at once, one caller may call each tool."""

import time
from dataclasses import dataclass, field
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.types import CallToolResult, TextContent

from ..callers import current_caller
from ..settings import Http

CALLERS_AT_MOST = 10_000
"""Kept in mind; who was away longest is forgotten first."""


@dataclass
class _Gauge:
    """One caller's use of one tool."""

    left: float
    """Calls that may begin at once."""
    seen: float
    """When that was true, in seconds of the monotonic clock."""
    running: int = field(default=0)


def limited(rules: Http) -> ServerMiddleware[Any]:
    """A middleware that refuses what comes too often, with words that say when to come again."""
    gauges: dict[tuple[str | None, str], _Gauge] = {}
    per_minute, at_once = rules.calls_per_minute, rules.calls_at_once

    async def limit(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        tool = (ctx.params or {}).get("name")
        # A name that is no tool's is refused anyway, and made-up ones are to push nobody out of mind.
        if ctx.method != "tools/call" or not isinstance(tool, str) or tool not in per_minute or tool not in at_once:
            return await call_next(ctx)
        gauge = _gauge(gauges, (current_caller(), tool), per_minute[tool])
        if gauge.running >= at_once[tool]:
            return _refusal(f"{tool}: {gauge.running} calls of yours are under way. Call again when one has ended.")
        if gauge.left < 1:
            wait_s = (1 - gauge.left) * 60 / per_minute[tool]
            return _refusal(f"{tool}: more than {per_minute[tool]} calls a minute. Call again in {wait_s:.0f} s.")
        gauge.left -= 1
        gauge.running += 1
        try:
            return await call_next(ctx)
        finally:
            gauge.running -= 1

    return limit


def _gauge(gauges: dict[tuple[str | None, str], _Gauge], who: tuple[str | None, str], per_minute: int) -> _Gauge:
    now = time.monotonic()
    gauge = gauges.pop(who, None) or _Gauge(left=per_minute, seen=now)
    gauge.left = min(float(per_minute), gauge.left + (now - gauge.seen) * per_minute / 60)
    gauge.seen = now
    gauges[who] = gauge  # the dict is in the order of last use
    while len(gauges) > CALLERS_AT_MOST and not next(iter(gauges.values())).running:
        del gauges[next(iter(gauges))]
    return gauge


def _refusal(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)
