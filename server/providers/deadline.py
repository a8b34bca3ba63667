"""Our own timeouts: for a generation, whose SDK timeouts are disabled or very long, and for the requests before it."""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

import anyio

from ...tools.provider import GenerationRequest, GenerationTimeout

CONNECT_TIMEOUT_S = 5.0
"""For a generation or an embedding: a connection that takes longer is not worth waiting for."""

ACCESS_TIMEOUT_S = 3.0
"""For checking whether a vendor grants access."""

LIST_TTL_S = 3.0
"""How long a server's model list is cached."""
LIST_CONNECT_TIMEOUT_S = 1.0
"""The user's own servers are nearby; one that is switched off must not delay a decision."""
LIST_TIMEOUT_S = 3.0

_LATE_TOLERANCE_S = 0.1

_Answer = TypeVar("_Answer")


@contextmanager
def deadline(request: GenerationRequest) -> Generator[None]:
    """Limits the block to the request's timeout. Raises GenerationTimeout when it expires."""
    with anyio.move_on_after(request.timeout_s) as scope:
        yield
    if scope.cancelled_caught:
        raise GenerationTimeout(
            f"{request.profile.id} did not finish within {round(request.timeout_s, 1):g} s. Allow more seconds, or use"
            " a faster model."
        )


async def with_list_timeout(ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
    """The result of `ask`, within LIST_TIMEOUT_S. Raises TimeoutError, and whatever `ask` raises.

    A timeout that expired while this process was blocked (by imports, on a first call) says nothing about the server,
    and would route the task to a vendor, so `ask` is retried once.
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
