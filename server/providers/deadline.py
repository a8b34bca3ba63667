"""Our own clock: over a generation, whose SDK's timeouts are off or far away, and over what is asked before it."""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

import anyio

from ...tools.provider import GenerationRequest, GenerationTimeout

CONNECT_TIMEOUT_S = 5.0
"""For a generation or an embedding: a handshake that takes longer will not get better."""

ACCESS_TIMEOUT_S = 3.0
"""For asking whether a vendor lets us in at all."""

LIST_TTL_S = 3.0
"""What a server said of its models counts for so long."""
LIST_CONNECT_TIMEOUT_S = 1.0
"""A server of one's own is near: one that is switched off is not to hold up a decision."""
LIST_TIMEOUT_S = 3.0

_LATE_TOLERANCE_S = 0.1

_Answer = TypeVar("_Answer")


@contextmanager
def deadline(request: GenerationRequest) -> Generator[None]:
    """Gives the block the request's seconds. Raises GenerationTimeout when they run out."""
    with anyio.move_on_after(request.timeout_s) as scope:
        yield
    if scope.cancelled_caught:
        raise GenerationTimeout(
            f"{request.profile.id} did not finish within {round(request.timeout_s, 1):g} s. Allow more seconds, or use"
            " a faster model."
        )


async def with_list_timeout(ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
    """What a server says of its models, with LIST_TIMEOUT_S for it. Raises TimeoutError, and what `ask` raises.

    A time that ran out while this process was too busy to look (imports, at a first call) says nothing of the
    server, and would send the task to a vendor: it is asked once more.
    """
    import httpx

    begun_s = anyio.current_time()
    try:
        with anyio.fail_after(LIST_TIMEOUT_S):
            return await ask()
    except (TimeoutError, httpx.ConnectTimeout) as error:
        given_s = LIST_TIMEOUT_S if isinstance(error, TimeoutError) else LIST_CONNECT_TIMEOUT_S
        if anyio.current_time() - begun_s < given_s + _LATE_TOLERANCE_S:
            raise
    with anyio.fail_after(LIST_TIMEOUT_S):
        return await ask()
