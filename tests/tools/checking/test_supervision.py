"""The supervision of a sandboxed process."""

import sys

import pytest

from chargehand.tools.checking.sandbox import Limits, SandboxFailed
from chargehand.tools.checking.supervision import supervise

pytestmark = pytest.mark.anyio


async def test_a_missing_program_is_reported():
    with pytest.raises(SandboxFailed, match="could not be started: No such file"):
        await supervise(lambda *_: ["/no/such/program"], Limits(), b"", {})


async def test_a_sandbox_that_fails_to_set_up_is_reported_with_its_error_output():
    with pytest.raises(SandboxFailed, match="no namespaces here"):
        await supervise(lambda *_: ["/bin/sh", "-c", "echo no namespaces here >&2; exit 1"], Limits(), b"", {})


async def test_a_sandbox_that_leaves_a_process_behind_fails():
    leave = (
        "import os, signal, sys; os.write(int(sys.argv[1]), b'ok'); read, write = os.pipe()\n"
        "if os.fork() == 0: os.setsid(); os.write(write, b'away'); signal.alarm(30); signal.pause()\n"
        "os.read(read, 4)"
    )

    with pytest.raises(SandboxFailed, match="left a process behind"):
        await supervise(lambda _, setup_fd: [sys.executable, "-c", leave, str(setup_fd)], Limits(end_s=0.2), b"", {})


async def test_set_up_time_does_not_count_towards_the_wall_time_of_the_code():
    slow = "import os, sys, time; time.sleep(0.3); os.write(int(sys.argv[1]), b'ok'); time.sleep(60)"

    run = await supervise(lambda _, setup_fd: [sys.executable, "-c", slow, str(setup_fd)], Limits(wall_s=0.2), b"", {})

    assert (run.killed_by, run.exit_code) == ("wall_time", None)
