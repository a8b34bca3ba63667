"""Adds to the instructions which models stop answering soon: whoever connects is told, with every handshake."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import anyio.to_thread
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from pydantic import BaseModel

from ...profiles.loading import load_catalogue
from ...profiles.retirement import Notice, notices
from ..data_folder import PROFILES_FOLDER, data_folder

_AT_MOST = 3
"""Notices in the instructions, the soonest first; `chargehand doctor` has them all."""


def notices_of_this_process() -> Sequence[Notice]:
    """What is due today by this process's profiles. Empty where its data folder is nobody's: the first call says so.

    Not by all settings: reading them would take a tenth of a server's start.
    """
    try:
        folder = data_folder() / PROFILES_FOLDER
    except RuntimeError:
        return ()
    return notices(load_catalogue(folder), dt.datetime.now(dt.UTC).date())


def announcements(due: Callable[[], Sequence[Notice]]) -> ServerMiddleware[Any]:
    """A middleware for both eras' handshakes. due: reads files, and is called in a thread."""

    async def announce(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        result = await call_next(ctx)
        if ctx.method not in ("initialize", "server/discover"):
            return result
        said = announced(await anyio.to_thread.run_sync(due))
        return _with(result, said) if said else result

    return announce


def announced(due: Sequence[Notice]) -> str:
    """The notices of models that play a role, in a paragraph. Empty: nobody who works here leaves."""
    return "\n".join(f"{notice.text}." for notice in [n for n in due if n.roles][:_AT_MOST])


def _with(result: HandlerResult, said: str) -> HandlerResult:
    if isinstance(result, BaseModel):
        instructions: object = getattr(result, "instructions", None)
        return result.model_copy(update={"instructions": f"{instructions}\n{said}"})
    if isinstance(result, dict):
        return {**result, "instructions": f"{result.get('instructions')}\n{said}"}
    return result
