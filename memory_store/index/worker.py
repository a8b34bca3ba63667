"""One thread of its own for all calls into Chroma.

Chroma's native code may take long, and may hang for ever (providers' measurements, 3.3): its thread is
a daemon, so that even then the process can end, and whoever waits stops waiting.
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
    """Does one piece of work after the other, in the order they were given."""

    def __init__(self, name: str) -> None:
        self._queue: queue.SimpleQueue[_Job[object] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()
        self.is_stuck = False
        """It took longer than allowed, and may be at it still: what it had open must be left alone."""

    async def run(self, work: Callable[[], _T], *, limit_s: float) -> _T:
        """What the work gives.

        Raises IndexFailed for whatever Chroma raises, and IndexUnavailable when it takes longer than
        limit_s. Of a caller that is cancelled the work is done all the same.
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
        """End after what was given so far."""
        self._queue.put(None)

    def _serve(self) -> None:
        while (job := self._queue.get()) is not None:
            job.do()
            del job  # else its result lives until the next


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
        except BaseException as error:  # noqa: BLE001 - Chroma raises its own errors, httpx's, built-in ones, and Rust panics, which are no Exceptions
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
