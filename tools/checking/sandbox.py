"""The port behind which model-written code runs: what is asked of a sandbox, and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

REPORT_FD = 3
"""The file descriptor inside whose bytes come back as `SandboxRun.report`, apart from what is printed."""

WORK_FOLDER = "/work"
"""The working folder as the code inside sees it."""

ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/tmp",  # noqa: S108  # a folder of the sandbox's own
    "TMPDIR": "/tmp",  # noqa: S108
    "LANG": "C.UTF-8",
    "USER": "sandbox",
    "LOGNAME": "sandbox",
    # Libraries for numbers start a thread for each processor, more than `Limits.processes` on a large machine.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # Debian's Node.js does not start when it cannot read the one below /etc, of which there is nothing inside.
    "OPENSSL_CONF": "/dev/null",
}
"""All that code inside finds in its environment, where its temporary folder is /tmp."""


@dataclass(frozen=True)
class Limits:
    """What one run may use; each is hard."""

    wall_s: float = 30.0
    cpu_s: int = 30
    """Processor seconds of each process."""
    memory_mb: int = 1024
    """Address space of each process; all together at most `processes` times that. The kernel is told
    to end the sandbox first when the machine itself runs short."""
    processes: int = 32
    """Processes and threads alive at one time."""
    file_mb: int = 64
    """The largest single file."""
    scratch_mb: int = 256
    """The working folder in total, and again `/tmp`; both are held in memory."""
    output_kb: int = 1024
    """Standard output and error together; more ends the run."""
    open_files: int = 256


KilledBy = Literal["wall_time", "cpu_time", "output", "signal"]


@dataclass(frozen=True)
class SandboxRun:
    """How one command in the sandbox ended."""

    exit_code: int | None
    """None: it was killed."""
    output: str
    """Standard output and error as they came, without control characters, cut at `output_kb`."""
    report: bytes
    """What was written to descriptor 3, at most 256 KiB."""
    seconds: float
    killed_by: KilledBy | None = None
    """None: it ended by itself."""


class SandboxFailed(Exception):
    """The command was not started, or the sandbox did not hold: nothing is known about the code.

    The message says what to mend on this machine.
    """


class Sandbox(Protocol):
    """A way to run code that nobody trusts."""

    @property
    def name(self) -> str:
        """What receipts call it, e.g. `bubblewrap 0.11.0`."""
        ...

    @property
    def python(self) -> Sequence[str]:
        """The start of a command that runs a Python file, in nobody's working folder and environment."""
        ...

    @property
    def packages(self) -> str | None:
        """Whose packages that Python has: an environment's folder, or an image. None: nobody's, pytest apart."""
        ...

    async def run(
        self,
        command: Sequence[str],
        folder: Path | None,
        limits: Limits,
        *,
        stdin: bytes = b"",
        read_only: Mapping[str, Path] | None = None,
    ) -> SandboxRun:
        """Run a command in a scratch copy of a folder, without network, and with nothing of ours in sight.

        folder: copied, links as links; the copy is the working folder and is gone afterwards. None: empty.
        read_only: files and folders of ours to show inside, by absolute path inside.
        Nothing that the command started is alive when this returns, raises or is cancelled.
        Raises SandboxFailed.
        """
        ...
