"""Our own clock over a generation: the SDKs' timeouts are off, or far away."""

from collections.abc import Generator
from contextlib import contextmanager

import anyio

from ...tools.provider import GenerationRequest, GenerationTimeout

CONNECT_TIMEOUT_S = 5.0
"""For vendors across the network: a handshake that takes longer will not get better."""


ACCESS_TIMEOUT_S = 3.0
"""For asking whether a vendor lets us in at all."""


@contextmanager
def deadline(request: GenerationRequest) -> Generator[None]:
    """Gives the block the request's seconds. Raises GenerationTimeout when they run out."""
    with anyio.move_on_after(request.timeout_s) as scope:
        yield
    if scope.cancelled_caught:
        raise GenerationTimeout(
            f"{request.profile.id} did not finish within {request.timeout_s:g} s. Allow more seconds, or use a "
            "faster model."
        )
