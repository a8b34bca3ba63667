"""No sandbox at all: the code runs as the user, with limits and in a folder of its own. Only by explicit config.

It holds against accidents (an endless loop, too much memory, output or files) and against nothing else:
the code can read and write what the user can, reach the network, and leave a process in a session of its
own behind. Scratch space is not limited, and the number of processes is the user's in total.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio

from .interpreter import Interpreter, base_interpreter
from .sandbox import Limits, SandboxFailed, SandboxRun
from .staging import LAUNCHER, orders, staged
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
                    told = orders(limits, report_fd, setup_fd, stage.environment, processes_already=already)
                    return [*self.python, "-S", *stage.translated([LAUNCHER, json.dumps(told), *command])]

                return await supervise(build, limits, stdin, stage.environment, folder=stage.work)
        except OSError as error:
            raise SandboxFailed(f"the folder for the run could not be laid out: {error.strerror}") from error


async def processes_of_all() -> int:
    """How many processes and threads there are on this machine: the kernel counts those of a user together."""
    try:
        with anyio.fail_after(_TIMEOUT_S):
            done = await anyio.run_process(["ps", "-A", "-o", "pid="], stderr=subprocess.DEVNULL, check=False)
    except (OSError, TimeoutError):
        return 1000  # nobody to ask: room for what is usual
    return 2 * len(done.stdout.splitlines()) + 100
