"""Who outlives whoever started it is seen, and whoever has ended is not."""

import subprocess
import sys

import anyio
import pytest

from chargehand.evaluation.bench.orphans import adopting

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform != "linux", reason="Linux alone gives orphans away")]

LEAVE = "import os, signal\nif os.fork() == 0: os.closerange(0, 3); signal.alarm(60); signal.pause()"


async def test_a_process_whose_parent_has_ended_is_an_orphan_until_it_ends_too():
    with adopting() as adoption:
        await anyio.run_process([sys.executable, "-c", LEAVE, "a-mark"])

        (orphan,) = adoption.orphans(())
        assert orphan.endswith("a-mark ")
        adoption.end(())
        with anyio.fail_after(60):
            while adoption.orphans(()):  # noqa: ASYNC110  # nobody tells when an orphan ends
                await anyio.sleep(0.01)


def test_children_of_our_own_and_those_that_were_there_before_are_no_orphans():
    before = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with adopting() as adoption:
        own = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

        assert adoption.orphans({own.pid}) == []
        for child in (before, own):
            child.communicate(b"\n")
