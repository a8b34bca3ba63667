"""Request checks that the SDK lacks: unknown names and arguments, with errors that a model can act on.

Observed in mcp 2.3.0: an unknown tool yields a tool result, unknown arguments are silently dropped, invalid ones
yield pydantic's messages, an optional string that happens to be JSON reaches the tool parsed, and an unknown prompt
or a missing prompt argument yields an internal error.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, cast

from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.mcpserver.prompts.base import Prompt
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import FuncMetadata
from mcp.types import INVALID_PARAMS, CallToolResult
from pydantic import ValidationError

from .envelope import refused

_SHOWN = 60
"""Maximum characters of a refused value to show; for a longer text only its length is shown."""

_OF_HOSTS = frozenset({"wait_for_previous"})
"""Arguments that a host adds to each tool's schema for its own use and sends along: Gemini CLI 0.61 (2026-11-30)."""


def strict_requests(tools: Sequence[Tool], prompts: Sequence[Prompt]) -> ServerMiddleware[Any]:
    """A middleware that rejects invalid requests. Also changes the tools so that they receive strings as sent."""
    for tool in tools:
        texts = frozenset(name for name, schema in _properties(tool).items() if schema.get("type") == "string")
        tool.fn_metadata = _TextsAsSent(texts=texts, **dict(tool.fn_metadata))
    by_name = {tool.name: tool for tool in tools}
    by_prompt_name = {prompt.name: prompt for prompt in prompts}

    async def check(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.method == "tools/call":
            ctx = dataclasses.replace(ctx, params=_as_meant(by_name, ctx.params or {}))
            refusal = _refusal(by_name, ctx.params or {})
            if refusal is not None:
                return refusal
        elif ctx.method == "prompts/get":
            _refuse_prompt(by_prompt_name, ctx.params or {})
        return await call_next(ctx)

    return check


class _TextsAsSent(FuncMetadata):
    """Parses JSON in strings, as which some hosts send lists, only for arguments that are not strings."""

    texts: frozenset[str]

    def pre_parse_json(self, data: dict[str, Any]) -> dict[str, Any]:
        return data | super().pre_parse_json({name: data[name] for name in data.keys() - self.texts})


def _as_meant(tools: Mapping[str, Tool], params: Mapping[str, Any]) -> Mapping[str, Any]:
    """The params without hosts' own arguments, and without those that are not given.

    Hosts and models that fill in every argument send null or, for an optional one, an empty text for "not given".
    """
    arguments: object = params.get("arguments")
    if not isinstance(arguments, dict):
        return params
    tool = _named(tools, params)
    required: Sequence[str] = tool.parameters.get("required", ()) if tool else ()
    named = cast(dict[str, Any], arguments)
    given = {
        name: value
        for name, value in named.items()
        if value is not None and (value != "" or name in required) and name not in _OF_HOSTS
    }
    return {**params, "arguments": given}


def _refusal(tools: Mapping[str, Tool], params: Mapping[str, Any]) -> CallToolResult | None:
    tool = _named(tools, params)
    if tool is None:
        raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.get('name')!r:.80}. Tools: {', '.join(tools)}.")
    arguments = params.get("arguments")
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise MCPError(INVALID_PARAMS, f"{tool.name}: `arguments` must be an object, got {_shown(arguments)}.")
    problem = _problem(tool, cast(dict[str, Any], arguments))
    return None if problem is None else refused(problem)


def _named(tools: Mapping[str, Tool], params: Mapping[str, Any]) -> Tool | None:
    name = params.get("name")
    return tools.get(name) if isinstance(name, str) else None


def _refuse_prompt(prompts: Mapping[str, Prompt], params: Mapping[str, Any]) -> None:
    """Raise MCPError for an unknown prompt or invalid arguments."""
    name = params.get("name")
    prompt = prompts.get(name) if isinstance(name, str) else None
    if prompt is None:
        raise MCPError(INVALID_PARAMS, f"Unknown prompt: {name!r:.80}. Prompts: {', '.join(prompts)}.")
    arguments: object = params.get("arguments") or {}
    if not isinstance(arguments, dict):
        raise MCPError(INVALID_PARAMS, f"{prompt.name}: `arguments` must be an object, got {_shown(arguments)}.")
    given = cast(dict[str, Any], arguments)
    known = {argument.name: argument.required for argument in prompt.arguments or ()}
    for argument, value in given.items():
        if argument not in known:
            takes = f"It takes: {', '.join(known)}."
            raise MCPError(INVALID_PARAMS, f"{prompt.name}: unknown argument `{argument[:80]}`. {takes}")
        if not isinstance(value, str):
            raise MCPError(INVALID_PARAMS, f"{prompt.name}: `{argument}` must be a string, got {_shown(value)}.")
    for argument, is_required in known.items():
        if is_required and not given.get(argument, "").strip():
            raise MCPError(INVALID_PARAMS, f"{prompt.name}: `{argument}` is missing. Add it.")


def _problem(tool: Tool, arguments: dict[str, Any]) -> str | None:
    known = _properties(tool)
    for name in arguments:
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name[:80], known, n=1)
            suggestion = f" Did you mean `{near[0]}`?" if near else ""
            return f"{tool.name}: unknown argument `{name[:80]}`.{suggestion} It takes: {', '.join(known)}."
    for name, value in arguments.items():
        # Pydantic accepts both: true as the number 1, and blanks as a non-empty string.
        if isinstance(value, bool) and known[name].get("type") in ("number", "integer"):
            return _corrected(tool, name, "Input should be a number", value)
        if isinstance(value, str) and known[name].get("minLength") and not value.strip():
            return f"{tool.name}: `{name}` is empty. Fill it in and call again."
    try:
        tool.fn_metadata.validate_arguments(arguments)
    except ValidationError as error:
        return "\n".join(_explained(tool, problem) for problem in error.errors(include_url=False)[:3])
    return None


def _properties(tool: Tool) -> Mapping[str, Mapping[str, Any]]:
    return tool.parameters.get("properties", {})


def _explained(tool: Tool, problem: Mapping[str, Any]) -> str:
    place = ".".join(map(str, problem["loc"]))
    if problem["type"] == "missing":
        return f"{tool.name}: `{place}` is missing. Add it."
    return _corrected(tool, place, problem["msg"], problem.get("input"))


def _corrected(tool: Tool, place: str, wrong: str, value: object) -> str:
    return f"{tool.name}: `{place}`: {wrong}; got {_shown(value)}. Correct it and call again."


def _shown(value: object) -> str:
    if isinstance(value, str) and len(value) > _SHOWN:
        return f"{len(value):,} characters"
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
