"""Orphan detection lists running processes whose parent has ended."""

import subprocess
import sys

import anyio
import pytest

from chargehand.evaluation.bench.orphans import adopting

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans"),
]

FORK_AND_EXIT = "import os, signal\nif os.fork() == 0: os.closerange(0, 3); signal.alarm(60); signal.pause()"


async def test_a_process_is_listed_as_an_orphan_after_its_parent_ended_and_until_it_ends():
    with adopting() as adoption:
        await anyio.run_process([sys.executable, "-c", FORK_AND_EXIT, "a-mark"])

        (orphan,) = adoption.orphans(())
        assert orphan.endswith("a-mark ")
        adoption.end(())
        with anyio.fail_after(60):
            while adoption.orphans(()):  # noqa: ASYNC110  # nothing signals the end of an orphan
                await anyio.sleep(0.01)


def test_own_children_and_children_started_before_are_not_orphans():
    before = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with adopting() as adoption:
        own = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

        assert adoption.orphans({own.pid}) == []
        for child in (before, own):
            child.communicate(b"\n")
