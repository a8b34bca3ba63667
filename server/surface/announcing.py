"""Adds upcoming model retirements to the instructions sent with every handshake."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import anyio.to_thread
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from pydantic import BaseModel

from ...profiles.loading import load_catalogue
from ...profiles.retirement import Notice, notices
from ..data_folder import PROFILES_FOLDER, data_folder

_MAX_NOTICES = 3
"""Maximum notices in the instructions, the soonest first; `chargehand doctor` lists all."""


def notices_from_data_folder() -> Sequence[Notice]:
    """The current retirement notices for this process's profiles. Empty if it has no data folder, which the first
    call reports.

    The other settings are not loaded, which would take a tenth of the start-up time.
    """
    try:
        folder = data_folder() / PROFILES_FOLDER
    except RuntimeError:
        return ()
    return notices(load_catalogue(folder), dt.datetime.now(dt.UTC).date())


def announcements(due: Callable[[], Sequence[Notice]]) -> ServerMiddleware[Any]:
    """A middleware for the handshakes of both eras. due: reads files; called in a thread."""

    async def announce(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        result = await call_next(ctx)
        if ctx.method not in ("initialize", "server/discover"):
            return result
        text = announced(await anyio.to_thread.run_sync(due))
        return _with(result, text) if text else result

    return announce


def announced(due: Sequence[Notice]) -> str:
    """The notices of models that play a role, one per line. Empty: there are none."""
    return "\n".join(f"{notice.text}." for notice in [n for n in due if n.roles][:_MAX_NOTICES])


def _with(result: HandlerResult, text: str) -> HandlerResult:
    if isinstance(result, BaseModel):
        instructions: object = getattr(result, "instructions", None)
        return result.model_copy(update={"instructions": f"{instructions}\n{text}"})
    if isinstance(result, dict):
        return {**result, "instructions": f"{result.get('instructions')}\n{text}"}
    return result
