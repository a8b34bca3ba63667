"""Asks the user, through their host, before one delegation may spend more than they settled to be asked about."""

from typing import Any

from mcp.server.mcpserver import AcceptedElicitation, Context, Elicit, ElicitationResult
from mcp.types import ClientCapabilities
from pydantic import BaseModel, Field

from ..memory_store.errors import LedgerError
from ..profiles.errors import ProfileError
from ..tools.errors import BadArgument, CallerError
from .premises import Premises


class Consent(BaseModel):
    """What the user answers."""

    allow: bool = Field(description="Whether this delegation may spend that much.")


class NotAsked(Consent):
    """Nobody had to be asked, or nobody could be."""

    allow: bool = False


async def ask_for_consent(ctx: Context[Premises, Any], max_cost_usd: float | None = None) -> Consent | Elicit[Consent]:
    """The question, when the call wants to be allowed more than the user settled, and the host can ask."""
    try:
        limit_usd = (await ctx.request_context.lifespan_context.workshop()).rules.ask_above_usd
    except (CallerError, ProfileError, LedgerError):
        return NotAsked()  # the tool meets the same trouble, and says it
    if limit_usd is None or max_cost_usd is None or max_cost_usd <= limit_usd or not _can_ask(ctx.client_capabilities):
        return NotAsked()
    # The very same words each time: in the 2026 era the answer is matched to its question.
    return Elicit(
        f"Your assistant wants Chargehand to spend up to ${max_cost_usd:g} on one task. You settled to be asked above"
        f" ${limit_usd:g}. Allow it?",
        Consent,
    )


def allowed_usd(wanted_usd: float | None, limit_usd: float | None, consent: ElicitationResult[Consent]) -> float | None:
    """What the delegation may spend; None is no limit of its own.

    wanted_usd: as the call gave it. limit_usd: what may be spent without asking; None is everything.
    Raises BadArgument when more is wanted than the user allowed.
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
            f"max_cost_usd: {wanted_usd:g} is above [budget] ask_above_usd ({limit_usd:g}), and this host cannot ask"
            f" its user. Give at most {limit_usd:g}, or have the user raise ask_above_usd in config.toml."
        )
    if answer is None or not answer.allow:
        raise BadArgument(
            f"max_cost_usd: the user does not allow {wanted_usd:g}. Give at most {limit_usd:g}, or do it yourself."
        )
    return wanted_usd


def _can_ask(capabilities: ClientCapabilities | None) -> bool:
    asking = capabilities.elicitation if capabilities is not None else None
    # Without a mode named, it is the form: that is what there was before 2025-11-25.
    return asking is not None and (asking.form is not None or asking.url is None)
