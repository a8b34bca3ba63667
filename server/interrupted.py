"""A server that dies at a step of writing, as in a power cut: `python -m chargehand.server.interrupted STEP`.

Only `chargehand bench apply` starts it, to see that what is half written is put right afterwards.
"""

import contextlib
import os
import sys
from collections.abc import AsyncGenerator
from dataclasses import replace

import anyio

from ..tools.editing.journal import Journals
from ..tools.workshop import Workshop
from .cli import own_workshop
from .stdio import serve_stdio


def main(at: str) -> None:
    """Serve until a step whose name begins with `at`."""

    def die(step: str) -> None:
        if step.startswith(at):
            os._exit(9)  # as kill -9: nothing is closed, flushed or taken back

    @contextlib.asynccontextmanager
    async def open_workshop() -> AsyncGenerator[Workshop]:
        async with own_workshop() as shop:
            yield replace(shop, journals=Journals(shop.journals.folder, at_step=die, news=shop.journals.news))

    anyio.run(serve_stdio, open_workshop)


if __name__ == "__main__":
    main(sys.argv[1])
