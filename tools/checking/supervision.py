"""Runs one process to its end: feeds it, reads it up to a cap, and ends it with the clock or a cancellation.

It must be awaited on the event loop's own thread: the kernel ends a sandbox with the *thread* that
started it (prctl PR_SET_PDEATHSIG), and asyncio starts processes on that thread.
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
_PATIENCE_S = 3.0
"""How long a killed process may take to be gone. The kernel needs milliseconds; more means a broken sandbox."""
_START_S = 20.0
"""How long making the sandbox may take, on a busy machine too; the clock of the code starts after it."""
_CPU_SIGNAL = 24
"""SIGXCPU on macOS and on every Linux architecture but MIPS (signal(7), seen 2026-11-24)."""
_OK = b"ok"


@dataclass
class _Pipe:
    """One pipe from the child; our end is read to the cap, then only drained into nothing."""

    cap: int
    read_fd: int = -1
    write_fd: int = -1
    received: bytearray = field(default_factory=bytearray)
    arrived: anyio.Event = field(default_factory=anyio.Event)
    """Set by the first that comes, the end included."""

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
    """Run a sandbox's own command and wait until everything in it is gone.

    build: gives the command, from the descriptors of the report pipe and of the setup pipe. On the
    latter the sandbox's launcher says `ok` when the untrusted command starts, or else what went wrong.
    also_pass: descriptors of ours that the command needs. folder: where it starts. It gets a session
    and process group of its own, without a terminal, all of which is ended with it.
    setup_before_report: the launcher has only the report to say `ok`, or what went wrong, before the command starts.
    Raises SandboxFailed when the launcher did not say `ok`, or when something survives its end.
    """
    output, report, setup = _Pipe(limits.output_kb * 1024), _Pipe(_REPORT_CAP), _Pipe(4096)
    child = _Child((output, report, setup))
    began = time.monotonic()
    try:
        passed = (report.write_fd, setup.write_fd, *also_pass)
        child.process = await _start(build(*passed[:2]), output.write_fd, passed, environment, folder)
        is_gone = await child.run(stdin, limits.wall_s, (report if setup_before_report else setup).arrived)
    except OSError as error:
        raise SandboxFailed(f"the sandbox could not be started: {error.strerror}") from error
    finally:
        await child.close()

    seconds = time.monotonic() - began
    text = visible(output.received.decode("utf-8", "replace"))
    said = setup.received.decode("utf-8", "replace")
    reported = bytes(report.received)
    if setup_before_report:
        began_well = reported.startswith(_OK)
        said = "ok" if began_well else reported.decode("utf-8", "replace")
        reported = reported.removeprefix(_OK)
    if not is_gone:
        raise SandboxFailed("the sandbox left a process behind: do not use it on this machine")
    if said != "ok":
        why = visible(said.removeprefix("ok")) or text.strip() or "it ended before it could start the command"
        raise SandboxFailed(why[:500])
    killed_by = child.killed_by or _fatal_signal(child.exit_code)
    return SandboxRun(None if killed_by else child.exit_code, text, reported, seconds, killed_by)


@dataclass
class _Child:
    """The process of a sandbox, from its start until nothing of it is left."""

    pipes: Sequence[_Pipe]
    process: Process | None = None
    killed_by: KilledBy | None = None
    """What of ours ended it. None: nothing did."""
    exit_code: int | None = None

    async def run(self, stdin: bytes, wall_s: float, started: anyio.Event) -> bool:
        """Feed and read it to its end; False when something of it survives that. started: when its clock begins."""
        process = self.process
        if process is None:
            raise RuntimeError("a process that was not started cannot be run")
        for pipe in self.pipes:
            pipe.close_child_end()
        async with anyio.create_task_group() as tasks:
            for pipe in self.pipes:
                tasks.start_soon(pipe.read, self._stop_output)
            tasks.start_soon(_feed, process, stdin)
            with anyio.move_on_after(_START_S):
                await started.wait()
            with anyio.move_on_after(wall_s) as clock:
                await process.wait()
            if clock.cancelled_caught:
                self.killed_by = "wall_time"
            self._kill()
            # Whatever still runs holds an end of a pipe.
            tasks.cancel_scope.deadline = anyio.current_time() + _PATIENCE_S
            self.exit_code = await process.wait()
        return not tasks.cancel_scope.cancelled_caught

    async def close(self) -> None:
        """Kill what is left of it, and close our ends."""
        if self.process is not None:
            with anyio.CancelScope(shield=True):
                self._kill()
                await _end(self.process, self.pipes)
        for pipe in self.pipes:
            pipe.close()

    def _stop_output(self) -> None:
        self.killed_by = self.killed_by or "output"
        self._kill()

    def _kill(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody of it is left
                os.killpg(self.process.pid, signal.SIGKILL)


def _fatal_signal(exit_code: int | None) -> KilledBy | None:
    """The signal that a command died of: negative, or 128 + N, as bubblewrap and shells say it. None: of none."""
    if exit_code is None or not (exit_code < 0 or 128 < exit_code <= 192):
        return None
    return "cpu_time" if exit_code in (-_CPU_SIGNAL, 128 + _CPU_SIGNAL) else "signal"


async def _start(
    command: Sequence[str], output: int, passed: Sequence[int], environment: Mapping[str, str], folder: Path
) -> Process:
    with anyio.CancelScope(shield=True):  # cancelled in the middle it would leave a process that nobody knows
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
        return  # it ended without reading its input: its exit and its report say enough


async def _end(process: Process, pipes: Sequence[_Pipe]) -> None:
    """Wait until a process that was killed is gone, and nothing holds its pipes."""
    with anyio.move_on_after(_PATIENCE_S):
        await process.wait()
        await process.aclose()
        for pipe in pipes:
            await pipe.read(lambda: None)
