"""The five tools' MCP definitions: arguments, hints and result schemas. Their logic is in `tools/`."""

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from mcp.server.mcpserver import Context as McpContext
from mcp.server.mcpserver import ElicitationResult, Resolve
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, TextContent, ToolAnnotations

from ...memory_store.errors import LedgerError
from ...memory_store.records import Outcome
from ...profiles.errors import ProfileError
from ...profiles.vocabulary import Checkpoint, TaskType
from ...tools.answers import OutcomeAnswer, ReviewAnswer, RouteAnswer, ValidationAnswer
from ...tools.cascade.receipt import Receipt
from ...tools.errors import CallerError
from ...tools.guarding.text import plain, sanitized
from ...tools.vocabulary import DEFAULT_MAX_ATTEMPTS, DEFAULT_MAX_SECONDS, DEFAULT_WAIT_S, Depth, Output
from . import arguments as arg
from .brevity import shortened
from .callers import current_caller
from .consent import (
    Consent,
    allowed_usd,
    consent_to_delegation,
    consent_to_review,
    consent_to_validation,
    is_allowed,
    why_not_spent,
)
from .envelope import refused
from .instructions import DESCRIPTIONS
from .schema import published
from .server_state import ServerState

if TYPE_CHECKING:
    from ...tools.cascade.stage import Stage

Context = McpContext[ServerState, Any]  # the request type depends on the transport


_Answer: TypeAlias = RouteAnswer | Receipt | ValidationAnswer | ReviewAnswer | OutcomeAnswer


# A tool's logic is imported on its first call: importing all of it would take a sixth of the start-up time.


def tools() -> list[Tool]:
    """The tools, in the order in which hosts list them. Each call returns copies; schemas are computed once."""
    return [tool.model_copy() for tool in _cached_tools()]


async def route_task(
    ctx: Context,
    task: arg.TaskText,
    task_type: TaskType | None = None,
    context_files: arg.ContextFiles | None = None,
    checkpoint: Checkpoint | None = None,
    local_only: arg.LocalOnly = False,
    max_cost_usd: arg.MaxCostUsd | None = None,
    max_latency_s: arg.MaxLatencyS | None = None,
    model: arg.Model | None = None,
) -> RouteAnswer:
    from ...tools.route_task import route_task as route

    return await route(
        await _state(ctx).services(),
        task=task,
        task_type=task_type,
        context_files=context_files or (),
        checkpoint=checkpoint,
        local_only=local_only,
        max_cost_usd=max_cost_usd,
        max_latency_s=max_latency_s,
        model=model,
    )


async def delegate_generation(
    ctx: Context,
    consent: Annotated[ElicitationResult[Consent], Resolve(consent_to_delegation)],
    task: arg.TaskText | None = None,
    resume: arg.Resume | None = None,
    context_files: arg.ContextFiles | None = None,
    context: arg.Context | None = None,
    task_type: TaskType | None = None,
    model: arg.Model | None = None,
    tests: arg.Tests | None = None,
    checks: arg.Checks | None = None,
    output: Output = "inline",
    target: arg.Target | None = None,
    max_cost_usd: arg.MaxCostUsd | None = None,
    max_seconds: arg.MaxSeconds = DEFAULT_MAX_SECONDS,
    max_attempts: arg.MaxAttempts = DEFAULT_MAX_ATTEMPTS,
    local_only: arg.LocalOnly = False,
    wait_s: arg.WaitS = DEFAULT_WAIT_S,
    cancel: arg.Cancel = False,
) -> Receipt:
    from ...tools.delegate_generation import approval_limit_note
    from ...tools.delegate_generation import delegate_generation as delegate

    services = await _state(ctx).services()
    limit_usd = services.rules.ask_above_usd
    receipt = await delegate(
        services,
        _state(ctx).delegations,
        _reporter(ctx),
        task=task,
        resume=resume,
        context_files=context_files or (),
        context=context,
        task_type=task_type,
        model=model,
        tests=tests,
        checks=checks or (),
        output=output,
        target=target,
        max_cost_usd=allowed_usd(max_cost_usd, limit_usd, consent),
        max_seconds=max_seconds,
        max_attempts=max_attempts,
        local_only=local_only,
        wait_s=wait_s,
        cancel=cancel,
        caller=current_caller(),
    )
    if receipt.status == "over_budget" and max_cost_usd is None and limit_usd is not None:
        receipt.notes.append(approval_limit_note(limit_usd, "max_cost_usd", "the user is"))
    return receipt


async def validate_code(
    ctx: Context,
    consent: Annotated[ElicitationResult[Consent], Resolve(consent_to_validation)],
    code: arg.Code | None = None,
    files: arg.Files | None = None,
    task_id: arg.TaskId | None = None,
    task: arg.TaskText | None = None,
    language: arg.Language | None = None,
    tests: arg.Tests | None = None,
    depth: Depth | None = None,
    local_only: arg.LocalOnly = False,
) -> ValidationAnswer:
    from ...tools.validate_code import validate_code as validate

    answer = await validate(
        await _state(ctx).services(),
        code=code,
        files=files or (),
        task_id=task_id,
        task=task,
        language=language,
        tests=tests,
        depth=depth,
        local_only=local_only,
        is_allowed=is_allowed(consent),
    )
    if answer.model is None and (why := why_not_spent(consent)) is not None:
        answer.notes.append(why)
    return answer


async def strategic_review(
    ctx: Context,
    consent: Annotated[ElicitationResult[Consent], Resolve(consent_to_review)],
    goal: arg.Goal,
    progress: arg.ProgressMade,
    question: arg.AskedQuestion | None = None,
    context_files: arg.ContextFiles | None = None,
    local_only: arg.LocalOnly = False,
) -> ReviewAnswer:
    from ...tools.strategic_review import strategic_review as review

    answer = await review(
        await _state(ctx).services(),
        goal=goal,
        progress=progress,
        question=question,
        context_files=context_files or (),
        local_only=local_only,
        is_allowed=is_allowed(consent),
    )
    if answer.model is None and (why := why_not_spent(consent)) is not None:
        answer.notes.append(why)
    return answer


async def report_outcome(
    ctx: Context, task_id: arg.TaskId, outcome: Outcome, note: arg.Note | None = None
) -> OutcomeAnswer:
    from ...tools.report_outcome import report_outcome as report

    return await report(await _state(ctx).services(), task_id=task_id, outcome=outcome, note=note)


def _hints(*, read_only: bool, idempotent: bool, open_world: bool) -> ToolAnnotations:
    return ToolAnnotations(
        read_only_hint=read_only, destructive_hint=False, idempotent_hint=idempotent, open_world_hint=open_world
    )


_TOOLS: tuple[tuple[Callable[..., Any], str, ToolAnnotations], ...] = (
    (route_task, "Route a task", _hints(read_only=True, idempotent=True, open_world=False)),
    (delegate_generation, "Delegate code generation", _hints(read_only=False, idempotent=False, open_world=True)),
    (validate_code, "Validate code", _hints(read_only=False, idempotent=False, open_world=True)),
    (strategic_review, "Strategic review", _hints(read_only=False, idempotent=False, open_world=True)),
    (report_outcome, "Report an outcome", _hints(read_only=False, idempotent=True, open_world=False)),
)


@functools.cache
def _cached_tools() -> tuple[Tool, ...]:
    return tuple(_tool(function, title, hints) for function, title, hints in _TOOLS)


def _tool(function: Callable[..., Any], title: str, hints: ToolAnnotations) -> Tool:
    tool = Tool.from_function(
        _as_call_result(function),
        title=title,
        description=DESCRIPTIONS[function.__name__],
        annotations=hints,
        structured_output=True,
    )
    tool.parameters = published(tool.parameters, closed=True)
    tool.fn_metadata.output_schema = published(tool.fn_metadata.output_schema or {}, closed=False)
    return tool


def _state(ctx: Context) -> ServerState:
    return ctx.request_context.lifespan_context


def _as_call_result(function: Callable[..., Awaitable[_Answer]]) -> Callable[..., Awaitable[CallToolResult]]:
    """The tool with its answer as text and structured content, and with errors that the calling model can act on.

    The SDK masks and logs all other errors.
    """

    @functools.wraps(function)
    async def call(*arguments: Any, **named: Any) -> CallToolResult:
        try:
            answer = sanitized(await function(*arguments, **named))
        except (CallerError, ProfileError, LedgerError) as error:
            return refused(plain(f"{function.__name__}: {error}"))
        text = answer.as_text()
        if not named.get("resume"):  # resuming a task returns the full text
            text = shortened(text, _how_to_get_more(answer))
        return CallToolResult(
            content=[TextContent(type="text", text=text)],
            structured_content=answer.model_dump(mode="json", exclude_none=True),
        )

    return call


def _how_to_get_more(answer: _Answer) -> str:
    if isinstance(answer, Receipt):
        return f'delegate_generation(resume="{answer.task_id}") returns all of it.'
    return "The structured result, where the host has one, has all of it."


def _reporter(ctx: Context) -> Callable[["Stage"], Awaitable[None]]:
    """Reports a delegation's progress to the host, with an increasing number as the protocol requires."""
    count = 0

    async def report(stage: "Stage") -> None:
        nonlocal count
        count += 1
        await ctx.report_progress(count, message=stage.as_text())

    return report
