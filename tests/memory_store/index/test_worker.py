"""The thread that calls Chroma, and how its errors and hangs reach callers."""

import subprocess
import sys
import threading

import anyio
import pytest

from chargehand.memory_store.index.errors import IndexDamaged, IndexFailed, IndexUnavailable
from chargehand.memory_store.index.worker import Worker

pytestmark = pytest.mark.anyio

WAIT_S = 60


class Panic(BaseException):
    """Like a Rust panic, not an Exception."""


def _raise(error: BaseException) -> None:
    raise error


async def test_calls_run_in_order_in_a_single_other_thread():
    worker = Worker("w")
    done: list[tuple[int, int]] = []

    for number in range(5):
        await worker.run(lambda number=number: done.append((number, threading.get_ident())), limit_s=WAIT_S)
    worker.stop()

    assert [number for number, _ in done] == list(range(5))
    assert len({thread for _, thread in done} | {threading.get_ident()}) == 2


@pytest.mark.parametrize("error", [ValueError("no server"), OSError("disk"), Panic("in Rust"), SystemExit(1)])
async def test_any_exception_fails_its_call_but_not_the_thread(error: BaseException):
    worker = Worker("w")

    with pytest.raises(IndexFailed, match=type(error).__name__):
        await worker.run(lambda: _raise(error), limit_s=WAIT_S)

    assert await worker.run(lambda: 1, limit_s=WAIT_S) == 1
    worker.stop()


async def test_index_errors_are_raised_unchanged():
    worker = Worker("w")

    with pytest.raises(IndexDamaged, match="as it was"):
        await worker.run(lambda: _raise(IndexDamaged("as it was")), limit_s=WAIT_S)
    worker.stop()


async def test_a_call_that_hangs_times_out_and_the_worker_refuses_further_calls():
    worker, release = Worker("w"), threading.Event()

    with pytest.raises(IndexUnavailable, match="Restart Chargehand"):
        await worker.run(release.wait, limit_s=0.01)
    with pytest.raises(IndexUnavailable):
        await worker.run(lambda: 1, limit_s=WAIT_S)

    assert worker.is_stuck
    release.set()
    worker.stop()


async def test_the_call_of_a_cancelled_caller_is_still_completed():
    worker, release, done = Worker("w"), threading.Event(), threading.Event()

    def work() -> None:
        release.wait(WAIT_S)
        done.set()

    with anyio.move_on_after(0.01):
        await worker.run(work, limit_s=WAIT_S)
    release.set()

    assert await worker.run(done.is_set, limit_s=WAIT_S)
    worker.stop()


def test_importing_the_index_loads_neither_chroma_nor_numpy():
    program = (
        "import sys; import chargehand.memory_store.index.keeper, chargehand.memory_store.index.chroma_slot,"
        " chargehand.memory_store.index.chroma_server; sys.exit(bool({'chromadb', 'numpy'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
