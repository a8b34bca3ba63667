"""A dedicated thread for all calls into Chroma.

Chroma's native code may take long or hang forever (providers' measurements, 3.3). The thread is a daemon, so the
process can still exit, and callers time out.
"""

import logging
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar, cast

import anyio
import anyio.from_thread
import anyio.lowlevel

from .errors import IndexFailed, IndexFailure, IndexUnavailable

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


class Worker:
    """Runs jobs one at a time, in the order submitted."""

    def __init__(self, name: str) -> None:
        self._queue: queue.SimpleQueue[_Job[object] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()
        self.is_stuck = False
        """A job exceeded its limit and may still be running; files it has open must not be touched."""

    async def run(self, work: Callable[[], _T], *, limit_s: float) -> _T:
        """Run the work in the thread and return its result.

        Raises IndexFailed for any error from Chroma, and IndexUnavailable when it takes longer than limit_s. The
        work completes even if the caller is cancelled.
        """
        if self.is_stuck:
            raise IndexUnavailable(_STUCK)
        job = _Job(work, anyio.Event(), anyio.lowlevel.current_token())
        self._queue.put(cast("_Job[object]", job))
        with anyio.move_on_after(limit_s):
            await job.done.wait()
        if not job.is_over:
            self.is_stuck = True
            raise IndexUnavailable(_STUCK)
        return job.result()

    def stop(self) -> None:
        """Stop the thread after the jobs submitted so far."""
        self._queue.put(None)

    def _serve(self) -> None:
        while (job := self._queue.get()) is not None:
            job.do()
            del job  # otherwise its result stays alive until the next job


class _Job(Generic[_T]):
    def __init__(self, work: Callable[[], _T], done: anyio.Event, token: anyio.lowlevel.EventLoopToken) -> None:
        self._work = work
        self._token = token
        self._result: _T | None = None
        self._failure: IndexFailure | None = None
        self.done = done
        self.is_over = False

    def do(self) -> None:
        try:
            self._result = self._work()
        except IndexFailure as failure:
            self._failure = failure
        except BaseException as error:  # noqa: BLE001 - Chroma raises its own, httpx's and built-in errors, and Rust panics, which are not Exceptions
            self._failure = IndexFailed(_line(error))
            self._failure.__cause__ = error
        self.is_over = True
        try:
            anyio.from_thread.run_sync(self.done.set, token=self._token)
        except anyio.RunFinishedError:
            _log.debug("nobody waits for Chroma any more")

    def result(self) -> _T:
        if self._failure is not None:
            raise self._failure
        return cast("_T", self._result)


_STUCK = (
    "Chroma has stopped responding. Restart Chargehand; if that does not help, run"
    " `chargehand memory rebuild`, or set CHARGEHAND_CHROMA_URL to a Chroma server"
)

_LINE_AT_MOST = 200


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())[:_LINE_AT_MOST]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
