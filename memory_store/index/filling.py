"""Writes many vectors to a Chroma folder from a separate process at lower priority.

Chroma holds Python's global interpreter lock while it builds its graph: each batch of 500 added to 50,000
vectors blocked all other threads for 2 to 9 s (chromadb 1.5.9, two busy cores, measured 2026-11-25). In a
separate process it blocks nothing, and a crash is only an exit code.
"""

import contextlib
import json
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream

from .errors import IndexFailed, IndexUnavailable

if TYPE_CHECKING:
    from .vector_index import Vectors

COMMAND = (sys.executable, "-P", "-m", "chargehand.memory_store.index.filling_process")

_START_LIMIT_S = 120.0
_BATCH_LIMIT_S = 120.0
_MOST_BYTES_A_LINE = 10_000


class Filler:
    """A running child process."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self.process = process
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the pipes asked for are not there")
        self._requests = process.stdin
        self._responses = BufferedByteReceiveStream(process.stdout)

    async def add(self, ids: Sequence[str], vectors: "Vectors") -> None:
        """Add vectors; returns when they are stored. Raises IndexFailed or IndexUnavailable."""
        head = {"ids": list(ids), "dimensions": vectors.shape[1]}
        try:
            with anyio.fail_after(_BATCH_LIMIT_S):
                await self._requests.send(json.dumps(head).encode() + b"\n" + vectors.astype("<f4").tobytes())
        except TimeoutError as error:
            raise IndexUnavailable(_STUCK) from error
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # the process has ended: `confirmed` raises with the cause
        await self.confirmed(within_s=_BATCH_LIMIT_S)

    async def confirmed(self, *, within_s: float) -> None:
        """Wait for its confirmation. Raises IndexFailed or IndexUnavailable."""
        try:
            with anyio.fail_after(within_s):
                response = json.loads(await self._responses.receive_until(b"\n", _MOST_BYTES_A_LINE))
        except TimeoutError as error:
            raise IndexUnavailable(_STUCK) from error
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError) as error:
            raise IndexFailed(f"the process that fills it ended with {await self.process.wait()}") from error
        if response["failure"] is not None:
            raise IndexFailed(response["failure"])


@contextlib.asynccontextmanager
async def open_filler(folder: Path, collection: str, *, inherited: Sequence[int] = ()) -> AsyncGenerator[Filler]:
    """Run a filler on a folder that must not be open elsewhere; the process is killed on exit.

    inherited: file descriptors that the process inherits, so that they stay open even if this one is killed.
    Raises IndexFailed or IndexUnavailable.
    """
    try:
        # Chroma reads .env in its working directory, so it must not start in the user's project.
        process = await anyio.open_process(
            [*COMMAND, str(folder), collection], cwd=folder, stderr=None, pass_fds=inherited, start_new_session=True
        )
    except OSError as error:
        raise IndexUnavailable(f"no process can be started to build the index ({error})") from error
    try:
        filler = Filler(process)
        await filler.confirmed(within_s=_START_LIMIT_S)
        yield filler
    finally:
        with anyio.CancelScope(shield=True):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.aclose()


_STUCK = "Chroma has stopped responding while writing. It is retried automatically"
