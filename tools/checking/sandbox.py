"""The interface of the sandboxes that run model-written code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

REPORT_FD = 3
"""The descriptor whose output inside the sandbox becomes `SandboxRun.report`, separate from printed output."""

WORK_FOLDER = "/work"
"""The working folder inside the sandbox."""

ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/tmp",  # noqa: S108  # private to the sandbox
    "TMPDIR": "/tmp",  # noqa: S108
    "LANG": "C.UTF-8",
    "USER": "sandbox",
    "LOGNAME": "sandbox",
    # Numeric libraries start one thread per processor, which exceeds `Limits.processes` on a large machine.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # Each of glibc's arenas, by default eight per processor, takes 64 MB of `Limits.memory_mb` (mallopt(3)).
    "MALLOC_ARENA_MAX": "4",
    # Debian's Node.js fails to start if it cannot read its config below /etc, which is empty in the sandbox.
    "OPENSSL_CONF": "/dev/null",
}
"""The complete environment of code inside, if its temporary folder is /tmp."""


@dataclass(frozen=True)
class Limits:
    """The hard limits of one run."""

    wall_s: float = 30.0
    cpu_s: int = 30
    """CPU seconds per process."""
    memory_mb: int = 1024
    """Address space per process; at most `processes` times that in total. The kernel is told to kill the sandbox first
    when the machine runs short."""
    processes: int = 128
    """Concurrent processes and threads."""
    file_mb: int = 64
    """Maximum size of a single file."""
    scratch_mb: int = 256
    """Total size of the working folder, and separately of `/tmp`; both are in memory."""
    output_kb: int = 1024
    """Standard output and error together; exceeding it ends the run."""
    open_files: int = 256
    end_s: float = 3.0
    """How long killed processes may take to disappear. The kernel needs milliseconds; more means a broken sandbox."""


@dataclass(frozen=True)
class Command:
    """A command to run in a sandbox."""

    words: Sequence[str]
    folder: Path | None = None
    """Copied, links preserved; the copy is the working folder and is deleted afterwards. None: it is empty."""
    limits: Limits = field(default_factory=Limits)
    stdin: bytes = b""
    read_only: Mapping[str, Path] = field(default_factory=dict[str, Path])
    """Our files and folders to expose, by absolute path inside."""


KilledBy = Literal["wall_time", "cpu_time", "output", "signal"]


@dataclass(frozen=True)
class SandboxRun:
    """The result of one command in the sandbox."""

    exit_code: int | None
    """None: it was killed."""
    output: str
    """Standard output and error interleaved, without control characters, truncated at `output_kb`."""
    report: bytes
    """The bytes written to descriptor 3, at most 256 KiB."""
    seconds: float
    killed_by: KilledBy | None = None
    """None: it exited by itself."""


class SandboxFailed(Exception):
    """The command was not started, or the sandbox did not hold; nothing is known about the code.

    The message says what to fix on this machine.
    """


class Sandbox(Protocol):
    """A way to run untrusted code."""

    @property
    def name(self) -> str:
        """Its name in receipts, e.g. `bubblewrap 0.11.0`."""
        ...

    @property
    def python(self) -> Sequence[str]:
        """The command prefix for running a Python file, isolated from the working folder and the environment."""
        ...

    @property
    def packages(self) -> str | None:
        """The origin of that Python's packages: an environment's folder, or an image. None: only pytest."""
        ...

    async def run(self, command: Command) -> SandboxRun:
        """Run a command in a scratch copy of its folder, without network or access to our files.

        No process of the command is alive when this returns, raises or is cancelled. Raises SandboxFailed.
        """
        ...


@dataclass(frozen=True)
class WithVariables:
    """Sets variables for each command in another sandbox; they can replace those that every sandbox has."""

    sandbox: Sandbox
    variables: tuple[tuple[str, str], ...]
    """Names and values. The code inside can read them, and so can the machine's other users while it runs."""

    @property
    def name(self) -> str:
        return self.sandbox.name

    @property
    def python(self) -> Sequence[str]:
        return self.sandbox.python

    @property
    def packages(self) -> str | None:
        return self.sandbox.packages

    async def run(self, command: Command) -> SandboxRun:
        settings = [f"{name}={value}" for name, value in self.variables]
        return await self.sandbox.run(replace(command, words=["/usr/bin/env", *settings, *command.words]))
