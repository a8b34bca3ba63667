"""A server that exits abruptly at a step of writing, as in a power cut: `python -m chargehand.server.interrupted STEP`.

Only `chargehand bench apply` starts it, to verify that incomplete writes are recovered.
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
    """Serve, and exit at the first step whose name begins with `at`."""

    def die(step: str) -> None:
        if step.startswith(at):
            os._exit(9)  # like kill -9: nothing is closed, flushed or rolled back

    @contextlib.asynccontextmanager
    async def open_services() -> AsyncGenerator[Services]:
        async with own_services() as services:
            yield replace(
                services, journals=Journals(services.journals.folder, at_step=die, notices=services.journals.notices)
            )

    anyio.run(serve_stdio, open_services)


if __name__ == "__main__":
    main(sys.argv[1])
