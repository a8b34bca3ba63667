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
from ..tools.services import Services
from .cli import own_services
from .stdio import serve_stdio


def main(at: str) -> None:
    """Serve until a step whose name begins with `at`."""

    def die(step: str) -> None:
        if step.startswith(at):
            os._exit(9)  # as kill -9: nothing is closed, flushed or taken back

    @contextlib.asynccontextmanager
    async def open_services() -> AsyncGenerator[Services]:
        async with own_services() as services:
            yield replace(
                services, journals=Journals(services.journals.folder, at_step=die, notices=services.journals.notices)
            )

    anyio.run(serve_stdio, open_services)


if __name__ == "__main__":
    main(sys.argv[1])
