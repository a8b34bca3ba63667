"""Puts many vectors into a Chroma folder from a process of its own, at a lower priority.

While Chroma builds its graph it holds Python's interpreter lock: batches of 500 into 50,000 vectors kept
all other threads of the process waiting for 2 to 9 s each (chromadb 1.5.9, two busy cores, measured
2026-11-25). In another process that hinders nobody, and a crash there is an exit code here.
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
    """The other process, while it runs."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self.process = process
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the pipes asked for are not there")
        self._questions = process.stdin
        self._answers = BufferedByteReceiveStream(process.stdout)

    async def add(self, ids: Sequence[str], vectors: "Vectors") -> None:
        """Put vectors in; they are in the folder when it returns. Raises IndexFailed or IndexUnavailable."""
        head = {"ids": list(ids), "dimensions": vectors.shape[1]}
        try:
            with anyio.fail_after(_BATCH_LIMIT_S):
                await self._questions.send(json.dumps(head).encode() + b"\n" + vectors.astype("<f4").tobytes())
        except TimeoutError as error:
            raise IndexUnavailable(_STUCK) from error
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # it has ended: the answer says why
        await self.done(within_s=_BATCH_LIMIT_S)

    async def done(self, *, within_s: float) -> None:
        """Wait until it says that it did what it was told."""
        try:
            with anyio.fail_after(within_s):
                answer = json.loads(await self._answers.receive_until(b"\n", _MOST_BYTES_A_LINE))
        except TimeoutError as error:
            raise IndexUnavailable(_STUCK) from error
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError) as error:
            raise IndexFailed(f"the process that fills it ended with {await self.process.wait()}") from error
        if answer["failure"] is not None:
            raise IndexFailed(answer["failure"])


@contextlib.asynccontextmanager
async def open_filler(folder: Path, collection: str, *, held: Sequence[int] = ()) -> AsyncGenerator[Filler]:
    """Nobody else may have the folder open meanwhile; the process is gone at the end.

    held: file descriptors that stay open as long as that process runs, even should this one be killed.
    Raises IndexFailed or IndexUnavailable.
    """
    try:
        # In that folder: Chroma reads the .env of the folder it is started in, and the user's project has one.
        process = await anyio.open_process(
            [*COMMAND, str(folder), collection], cwd=folder, stderr=None, pass_fds=held, start_new_session=True
        )
    except OSError as error:
        raise IndexUnavailable(f"no process can be started to build the index ({error})") from error
    try:
        filler = Filler(process)
        await filler.done(within_s=_START_LIMIT_S)
        yield filler
    finally:
        with anyio.CancelScope(shield=True):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.aclose()


_STUCK = "Chroma has stopped responding while writing. It is retried automatically"
