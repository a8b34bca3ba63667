"""Asks the user, through the host, before one call may spend more than `ask_above_usd`.

For a delegation, the user is asked when its `max_cost_usd` is above the limit. Validations and reviews have no such
argument: the user is asked when the model's maximum cost is above the limit.
"""

import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal

import anyio
from mcp.server.mcpserver import AcceptedElicitation, Context, Elicit, ElicitationResult
from mcp.shared.exceptions import MCPError
from mcp.types import ClientCapabilities, ElicitResult
from mcp.types.version import is_version_at_least
from pydantic import BaseModel, Field, ValidationError

from ...memory_store.errors import LedgerError
from ...profiles.errors import ProfileError
from ...tools.errors import BadArgument, CallerError
from ...tools.vocabulary import DEFAULT_WAIT_S
from .server_state import ServerState

if TYPE_CHECKING:
    from ...tools.services import Services

_ELICITATION_IN_RESULT = "2026-07-28"
"""From this revision on, the question is returned as the call's result, and the call is repeated with the answer."""

_DECLINED = "The user declined, or the host declined for them: without a user at hand, hosts do so by themselves."
"""Observed on 2026-11-30: `codex exec` 0.171 and `copilot -p` 1.0.102 decline, `claude -p` 2.1.332 cancels."""


class Consent(BaseModel):
    """What the user answers."""

    # Ticked at first, where accepting is an answer already (Claude Code 2.1); but an acceptance without it is invalid,
    # as a host may accept an empty form by itself.
    allow: bool = Field(
        description="Whether this call may spend that much.",
        json_schema_extra={"default": True},
    )


class NotAsked(Consent):
    """The user did not need to be asked, or could not be."""

    allow: bool = False
    wanted_usd: float | None = None
    """The amount in US dollars to ask about. None: there was nothing to ask."""


async def consent_to_delegation(
    ctx: Context[ServerState, Any], max_cost_usd: float | None = None, wait_s: float = DEFAULT_WAIT_S
) -> Consent | Elicit[Consent]:
    """The question, if the call requests more than the limit and the host can ask."""

    async def wanted_usd(services: "Services") -> float | None:
        limit_usd = services.rules.ask_above_usd
        return max_cost_usd if limit_usd is not None and (max_cost_usd or 0) > limit_usd else None

    return await _question(ctx, "one task", wanted_usd, wait_s or DEFAULT_WAIT_S)


async def consent_to_validation(
    ctx: Context[ServerState, Any],
    code: str | None = None,
    files: list[str] | None = None,
    task_id: str | None = None,
    task: str | None = None,
    language: str | None = None,
    depth: Literal["static", "review"] | None = None,
    local_only: bool = False,
) -> Consent | Elicit[Consent]:
    """The question, if no reviewer is available within the limit and the host can ask."""

    async def wanted_usd(services: "Services") -> float | None:
        from ...tools.validate_code import price_of_validation

        return await price_of_validation(
            services,
            code=code,
            files=files or (),
            task_id=task_id,
            task=task,
            language=language,
            depth=depth,
            local_only=local_only,
        )

    return await _question(ctx, "a review of code", wanted_usd)


async def consent_to_review(
    ctx: Context[ServerState, Any],
    goal: str,
    progress: str,
    question: str | None = None,
    context_files: list[str] | None = None,
    local_only: bool = False,
) -> Consent | Elicit[Consent]:
    """The question, if the director is not available within the limit and the host can ask."""

    async def wanted_usd(services: "Services") -> float | None:
        from ...tools.strategic_review import price_of_review

        return await price_of_review(
            services,
            goal=goal,
            progress=progress,
            question=question,
            context_files=context_files or (),
            local_only=local_only,
        )

    return await _question(ctx, "one strategic review", wanted_usd)


async def _question(
    ctx: Context[ServerState, Any],
    purpose: str,
    wanted_usd: Callable[["Services"], Awaitable[float | None]],
    wait_s: float = DEFAULT_WAIT_S,
) -> Consent | Elicit[Consent]:
    try:
        services = await ctx.request_context.lifespan_context.services()
        usd = None if services.rules.ask_above_usd is None else await wanted_usd(services)
    except (CallerError, ProfileError, LedgerError):
        return NotAsked()  # the tool runs into the same error, and reports it
    if usd is None or not _can_ask(ctx.client_capabilities):
        return NotAsked(wanted_usd=usd)
    # The wording must not change between calls: in the 2026 era the answer is matched to its question.
    question = (
        f"Your assistant wants Chargehand to spend up to {_shown(usd)} on {purpose}. You asked to be consulted above"
        f" ${services.rules.ask_above_usd:g}. Allow it?"
    )
    if is_version_at_least(ctx.protocol_version or "", _ELICITATION_IN_RESULT):
        # An invalid answer counts as not asked; otherwise the SDK would raise its own error.
        is_answered = all(map(_is_an_answer, (ctx.input_responses or {}).values()))
        return Elicit(question, Consent) if is_answered else NotAsked(wanted_usd=usd)
    try:
        with anyio.fail_after(wait_s):
            answer = await ctx.elicit(question, Consent)
    except (MCPError, ValueError, TimeoutError):  # an error, an invalid answer, or no answer
        return NotAsked(wanted_usd=usd)
    return Consent(allow=isinstance(answer, AcceptedElicitation) and answer.data.allow)


def is_allowed(consent: ElicitationResult[Consent]) -> bool:
    """Whether the user was asked and agreed."""
    return isinstance(consent, AcceptedElicitation) and consent.data.allow


def why_not_spent(consent: ElicitationResult[Consent]) -> str | None:
    """Why no paid model was used, for the caller. None: the user allowed it, or there was nothing to ask."""
    answer = consent.data if isinstance(consent, AcceptedElicitation) else None
    if not isinstance(answer, NotAsked):
        return None if is_allowed(consent) else _DECLINED
    if answer.wanted_usd is None:
        return None
    return (
        f"It may cost {_shown(answer.wanted_usd)}, and this host could not ask its user. Ask the user to raise [budget]"
        " ask_above_usd in config.toml."
    )


def allowed_usd(wanted_usd: float | None, limit_usd: float | None, consent: ElicitationResult[Consent]) -> float | None:
    """The delegation's budget in US dollars; None means no limit of its own.

    wanted_usd: from the call. limit_usd: the amount allowed without asking; None means any.
    Raises BadArgument if the call wants more than the user allowed.
    """
    if limit_usd is None:
        return wanted_usd
    if wanted_usd is None:
        return limit_usd
    if wanted_usd <= limit_usd:
        return wanted_usd
    answer = consent.data if isinstance(consent, AcceptedElicitation) else None
    if isinstance(answer, NotAsked):
        raise BadArgument(
            f"max_cost_usd: {wanted_usd:g} is above [budget] ask_above_usd ({limit_usd:g}), and this host could not ask"
            f" its user. Give at most {limit_usd:g}, or ask the user to raise ask_above_usd in config.toml."
        )
    if answer is None or not answer.allow:
        raise BadArgument(
            f"max_cost_usd: {wanted_usd:g} was not allowed. {_DECLINED} Give at most {limit_usd:g}, do it yourself, or"
            " ask the user to raise [budget] ask_above_usd in config.toml."
        )
    return wanted_usd


def _is_an_answer(response: object) -> bool:
    """Whether the response to the question is valid."""
    if not isinstance(response, ElicitResult):
        return False
    if response.action != "accept":
        return True
    try:
        Consent.model_validate(response.content)
    except ValidationError:
        return False
    return True


def _shown(usd: float) -> str:
    """The amount, rounded up to a hundredth of a cent."""
    return f"${math.ceil(round(usd * 10_000, 6)) / 10_000:g}"


def _can_ask(capabilities: ClientCapabilities | None) -> bool:
    asking = capabilities.elicitation if capabilities is not None else None
    # Without a stated mode it is the form, the only mode before 2025-11-25.
    return asking is not None and (asking.form is not None or asking.url is None)
