"""No sandbox: the code runs as the user, with limits and in its own folder. Only by explicit config.

It protects against accidents only (an endless loop, too much memory, output or files): the code can read and write the
user's files, reach the network, and leave a process in another session behind. Scratch space is not limited, and the
process limit counts all of the user's processes.
"""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio

from .interpreter import Interpreter, base_interpreter
from .sandbox import Limits, SandboxFailed, SandboxRun
from .staging import LAUNCHER, launch_options, staged
from .supervision import supervise

_TIMEOUT_S = 5.0


class UnsafeLocal:
    """Runs each command in a temporary folder of this machine."""

    name = "unsafe-local (NO SANDBOX)"

    def __init__(self, interpreter: Interpreter | None = None) -> None:
        interpreter = interpreter or base_interpreter()
        self.python: Sequence[str] = (str(interpreter.executable), "-I", "-B")
        self.packages = interpreter.packages

    async def run(
        self,
        command: Sequence[str],
        folder: Path | None,
        limits: Limits,
        *,
        stdin: bytes = b"",
        read_only: Mapping[str, Path] | None = None,
    ) -> SandboxRun:
        already = await processes_of_all()
        try:
            async with staged(folder, read_only or {}) as stage:

                def build(report_fd: int, setup_fd: int) -> Sequence[str]:
                    options = launch_options(limits, report_fd, setup_fd, stage.environment, processes_already=already)
                    return [*self.python, "-S", *stage.translated([LAUNCHER, repr(options), *command])]

                return await supervise(build, limits, stdin, stage.environment, folder=stage.work)
        except OSError as error:
            raise SandboxFailed(f"the folder for the run could not be laid out: {error.strerror}") from error


async def processes_of_all() -> int:
    """An estimate of the processes and threads on this machine, because the kernel's limit counts all of a user's."""
    try:
        with anyio.fail_after(_TIMEOUT_S):
            done = await anyio.run_process(["ps", "-A", "-o", "pid="], stderr=subprocess.DEVNULL, check=False)
    except (OSError, TimeoutError):
        return 1000  # unknown: allow for a usual number
    return 2 * len(done.stdout.splitlines()) + 100
