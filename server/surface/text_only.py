"""Results as text alone, for hosts that show their model the structured result.

Observed on 2026-11-30: Claude Code 2.1, Codex 0.171, fast-agent 0.10 and Pydantic AI 2.68 show their model the
structured result in place of the text, Qwen Code 0.24 and Copilot CLI 1.0 both.
"""

from collections.abc import Mapping
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

from ..environment import value_of

VARIABLE = "CHARGEHAND_RESULTS"
TEXT = "text"


def wants_text_only(environment: Mapping[str, str]) -> bool:
    """Whether the variable says so, determined without loading the settings, because tools are listed before them."""
    return value_of(VARIABLE, environment) == TEXT


async def text_only(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """A middleware that removes structured results, and their schemas, without which clients expect none."""
    result = await call_next(ctx)
    if not isinstance(result, dict):  # another middleware's refusal, which is text
        return result
    if ctx.method == "tools/list":
        return {**result, "tools": [_without(tool, "outputSchema") for tool in result["tools"]]}
    return _without(result, "structuredContent") if ctx.method == "tools/call" else result


def _without(item: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key != name}
