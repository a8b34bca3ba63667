"""The macOS sandbox: sandbox-exec with a deny-by-default profile. Not yet tested on a Mac.

Available inside: the system's programs and libraries, one interpreter, and a temporary folder for the run, the only
writable one. There is no network. The escape probe verifies it on each machine before first use.

It does not protect against vulnerabilities of the kernel, excessive memory use, which macOS does not limit per
process, a full disk, beyond a limit per file, or reading the names (not the contents) of files anywhere. Tests cannot
start processes, because macOS cannot reliably kill those that leave their group. A user's command can, and processes
it leaves behind stay alive inside the sandbox.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from .interpreter import Interpreter, base_interpreter
from .sandbox import Command, SandboxRun
from .staging import Stage, run_staged

SANDBOX_EXEC = Path("/usr/bin/sandbox-exec")

_SYSTEM = (
    "/bin", "/usr/bin", "/usr/lib", "/usr/libexec", "/usr/share", "/System/Library",
    "/System/Volumes/Preboot/Cryptexes", "/Library/Developer/CommandLineTools", "/private/var/db/timezone",
)  # fmt: skip
_FORKS_FROM = 128
"""Runs with at least this process limit may fork: user commands have more, tests fewer."""

_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/private/etc/localtime")


class SandboxExec:
    """Runs each command under its own profile."""

    name = "sandbox-exec"

    def __init__(self, executable: Path = SANDBOX_EXEC, interpreter: Interpreter | None = None) -> None:
        self._executable = executable
        self._interpreter = interpreter or base_interpreter()
        self.python: Sequence[str] = (str(self._interpreter.executable), "-I", "-B")
        self.packages = self._interpreter.packages

    async def run(self, command: Command) -> SandboxRun:
        may_fork = command.limits.processes >= _FORKS_FROM
        return await run_staged(
            command,
            self.python,
            lambda stage: [str(self._executable), "-p", profile(stage, self._interpreter, may_fork=may_fork)],
        )


def profile(stage: Stage, interpreter: Interpreter, *, may_fork: bool = False) -> str:
    """The profile of one run, in the language of sandbox(7); the last matching rule wins."""
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
