"""Runs one process to completion: feeds its input, reads its output up to a cap, and kills it on timeout or
cancellation.

It must be awaited on the event loop's thread: the kernel kills a sandbox when the *thread* that started it ends (prctl
PR_SET_PDEATHSIG), and asyncio starts processes on that thread.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio.abc import Process

from ..guarding.text import visible
from .sandbox import KilledBy, Limits, SandboxFailed, SandboxRun

_REPORT_CAP = 256 * 1024
_SETUP_TIMEOUT_S = 20.0
"""Timeout for setting up the sandbox, on a busy machine too; the code's wall clock starts afterwards."""
_CPU_SIGNAL = 24
"""SIGXCPU on macOS and on every Linux architecture but MIPS (signal(7), seen 2026-11-24)."""
_OK = b"ok"


@dataclass
class _Pipe:
    """One pipe from the child; our end is read up to the cap, and the rest is discarded."""

    cap: int
    read_fd: int = -1
    write_fd: int = -1
    received: bytearray = field(default_factory=bytearray)
    arrived: anyio.Event = field(default_factory=anyio.Event)
    """Set by the first data or the end of the stream."""

    def __post_init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe()
        os.set_blocking(self.read_fd, False)

    async def read(self, when_full: Callable[[], None]) -> None:
        while True:
            await anyio.wait_readable(self.read_fd)
            data = os.read(self.read_fd, 65536)
            self.arrived.set()
            if not data:
                return
            room = self.cap - len(self.received)
            self.received += data[:room]
            if len(data) > room:
                when_full()

    def close_child_end(self) -> None:
        if self.write_fd >= 0:
            os.close(self.write_fd)
            self.write_fd = -1

    def close(self) -> None:
        self.close_child_end()
        os.close(self.read_fd)


async def supervise(
    build: Callable[[int, int], Sequence[str]],
    limits: Limits,
    stdin: bytes,
    environment: Mapping[str, str],
    also_pass: Sequence[int] = (),
    *,
    folder: Path = Path("/"),
    setup_before_report: bool = False,
) -> SandboxRun:
    """Run a sandbox's command and wait until all of its processes are gone.

    build: returns the command, given the descriptors of the report pipe and the setup pipe. On the latter the
    sandbox's launcher writes `ok` when the untrusted command starts, or else an error. also_pass: our descriptors that
    the command needs. folder: its working folder. It gets its own session and process group, without a terminal, which
    are killed with it. setup_before_report: the launcher writes `ok` or the error to the report, before the command
    starts, for backends without another channel. Raises SandboxFailed if the launcher did not write `ok`, or if a
    process survives.
    """
    output, report, setup = _Pipe(limits.output_kb * 1024), _Pipe(_REPORT_CAP), _Pipe(4096)
    child = _Child((output, report, setup), limits.end_s)
    began = time.monotonic()
    try:
        passed = (report.write_fd, setup.write_fd, *also_pass)
        child.process = await _start(build(*passed[:2]), output.write_fd, passed, environment, folder)
        await child.run(stdin, limits.wall_s, (report if setup_before_report else setup).arrived)
    except OSError as error:
        raise SandboxFailed(f"the sandbox could not be started: {error.strerror}") from error
    finally:
        await child.close()

    seconds = time.monotonic() - began
    text = visible(output.received.decode("utf-8", "replace"))
    setup_message = setup.received.decode("utf-8", "replace")
    reported = bytes(report.received)
    if setup_before_report:
        began_well = reported.startswith(_OK)
        setup_message = "ok" if began_well else reported.decode("utf-8", "replace")
        reported = reported.removeprefix(_OK)
    if child.left_processes:
        raise SandboxFailed("the sandbox left a process behind: do not use it on this machine")
    if setup_message != "ok":
        why = visible(setup_message.removeprefix("ok")) or text.strip() or "it ended before it could start the command"
        raise SandboxFailed(why[:500])
    killed_by = child.killed_by or _fatal_signal(child.exit_code)
    return SandboxRun(None if killed_by else child.exit_code, text, reported, seconds, killed_by)


@dataclass
class _Child:
    """The process of a sandbox, from its start until it is completely gone."""

    pipes: Sequence[_Pipe]
    end_s: float
    process: Process | None = None
    killed_by: KilledBy | None = None
    """The limit that ended it. None: no limit."""
    exit_code: int | None = None
    left_processes: bool = False
    """Whether a process survived its end."""

    async def run(self, stdin: bytes, wall_s: float, started: anyio.Event) -> None:
        """Feed and read it until it ends. started: starts its wall clock."""
        process = self.process
        if process is None:
            raise RuntimeError("a process that was not started cannot be run")
        for pipe in self.pipes:
            pipe.close_child_end()
        async with anyio.create_task_group() as tasks:
            for pipe in self.pipes:
                tasks.start_soon(pipe.read, self._stop_output)
            tasks.start_soon(_feed, process, stdin)
            with anyio.move_on_after(_SETUP_TIMEOUT_S):
                await started.wait()
            with anyio.move_on_after(wall_s) as clock:
                await process.wait()
            if clock.cancelled_caught:
                self.killed_by = "wall_time"
            self._kill()
            # A surviving process holds an end of a pipe.
            tasks.cancel_scope.deadline = anyio.current_time() + self.end_s
            self.exit_code = await process.wait()
        self.left_processes = tasks.cancel_scope.cancelled_caught

    async def close(self) -> None:
        """Kill the remaining processes, and close our ends of the pipes."""
        if self.process is not None:
            with anyio.CancelScope(shield=True):
                self._kill()
                await _end(self.process, () if self.left_processes else self.pipes, self.end_s)
        for pipe in self.pipes:
            pipe.close()

    def _stop_output(self) -> None:
        self.killed_by = self.killed_by or "output"
        self._kill()

    def _kill(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # no process is left
                os.killpg(self.process.pid, signal.SIGKILL)


def _fatal_signal(exit_code: int | None) -> KilledBy | None:
    """How a signal killed the command: its exit code is negative, or 128 + N from bubblewrap and shells. None: no
    signal."""
    if exit_code is None or not (exit_code < 0 or 128 < exit_code <= 192):
        return None
    return "cpu_time" if exit_code in (-_CPU_SIGNAL, 128 + _CPU_SIGNAL) else "signal"


async def _start(
    command: Sequence[str], output: int, passed: Sequence[int], environment: Mapping[str, str], folder: Path
) -> Process:
    with anyio.CancelScope(shield=True):  # cancellation here would leave an untracked process
        return await anyio.open_process(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=passed,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    raise AssertionError("a shielded scope is never left early")


async def _feed(process: Process, data: bytes) -> None:
    stream = process.stdin
    if stream is None:
        return
    try:
        if data:
            await stream.send(data)
        await stream.aclose()
    except (anyio.BrokenResourceError, anyio.ClosedResourceError, BrokenPipeError, ConnectionResetError):
        return  # it exited without reading its input: its exit code and report are enough


async def _end(process: Process, pipes: Sequence[_Pipe], within_s: float) -> None:
    """Wait until a killed process is gone and no process holds its pipes."""
    with anyio.move_on_after(within_s):
        await process.wait()
        await process.aclose()
        for pipe in pipes:
            await pipe.read(lambda: None)
