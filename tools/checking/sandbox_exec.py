"""The sandbox on macOS: sandbox-exec with a profile that denies what it does not name. Not tried on a Mac yet.

Inside there are: the system's programs and libraries, one interpreter, and a temporary
folder of the run's own, the only one that can be written. There is no network. It is proved by the
escape probe before its first use, on the machine where it runs.

What it does not protect against: a hole in the kernel; too much memory, which macOS does not limit for a
process; a full disk, beyond the size of one file; and the names of files anywhere, which can be asked for though
not read. Tests cannot start processes: macOS has no way to end those that leave their group. A command of
the user's own can, and what it leaves behind lives on, inside of the sandbox.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from .interpreter import Interpreter, base_interpreter
from .sandbox import Limits, SandboxFailed, SandboxRun
from .staging import LAUNCHER, Stage, orders, staged
from .supervision import supervise
from .unsafe_local import processes_of_all

SANDBOX_EXEC = Path("/usr/bin/sandbox-exec")

_SYSTEM = (
    "/bin", "/usr/bin", "/usr/lib", "/usr/libexec", "/usr/share", "/System/Library",
    "/System/Volumes/Preboot/Cryptexes", "/Library/Developer/CommandLineTools", "/private/var/db/timezone",
)  # fmt: skip
_FORKS_FROM = 128
"""Processes that a run is allowed: tests have fewer, a command of the user's own more."""

_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/private/etc/localtime")


class SandboxExec:
    """Runs each command under a profile of its own."""

    name = "sandbox-exec"

    def __init__(self, executable: Path = SANDBOX_EXEC, interpreter: Interpreter | None = None) -> None:
        self._executable = executable
        self._interpreter = interpreter or base_interpreter()
        self.python: Sequence[str] = (str(self._interpreter.executable), "-I", "-B")
        self.packages = self._interpreter.packages

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
                rules = profile(stage, self._interpreter, may_fork=limits.processes >= _FORKS_FROM)

                def build(report_fd: int, setup_fd: int) -> Sequence[str]:
                    told = orders(limits, report_fd, setup_fd, stage.environment, processes_already=already)
                    launch = [*self.python, "-S", *stage.translated([LAUNCHER, json.dumps(told), *command])]
                    return [str(self._executable), "-p", rules, *launch]

                return await supervise(build, limits, stdin, stage.environment, folder=stage.work)
        except OSError as error:
            raise SandboxFailed(f"the folder for the run could not be laid out: {error.strerror}") from error


def profile(stage: Stage, interpreter: Interpreter, *, may_fork: bool = False) -> str:
    """The profile of one run, in the language of sandbox(7); of two rules that match, the later one holds."""
    readable = [*map(Path, _SYSTEM), *interpreter.folders, *stage.shown, stage.root]
    lines = [
        "(version 1)",
        "(deny default)",
        f"(allow process-exec{' process-fork' if may_fork else ''} sysctl-read)",
        "(allow signal (target same-sandbox))",
        "(allow file-read-metadata)",
        f'(allow file-read* (literal "/") {_paths("subpath", readable)} {_paths("literal", map(Path, _DEVICES))})',
        *([f"(deny file-read* {_paths('subpath', hidden)})"] if (hidden := interpreter.package_folders) else []),
        f'(allow file-write* {_paths("subpath", [stage.work, stage.temporary])} (literal "/dev/null"))',
        "(deny network*)",
    ]
    return "\n".join(lines)


def _paths(kind: str, paths: "Sequence[Path] | map[Path]") -> str:
    return " ".join(f"({kind} {json.dumps(str(path), ensure_ascii=False)})" for path in paths)
