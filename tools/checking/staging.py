"""A temporary folder for one run, for backends that cannot mount a folder under another path.

It contains `work` (a copy of the code's folder, where the run starts), `tmp`, and `checker` (copies of the read-only
files). Paths below /checker in a command are translated to those of the copies.
"""

import shutil
import subprocess
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from .sandbox import ENVIRONMENT, Command, Limits, SandboxFailed, SandboxRun
from .scratch import scratch_folder
from .supervision import supervise

CHECKER = "/checker"
LAUNCHER = f"{CHECKER}/launcher.py"

_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Stage:
    root: Path
    shown: tuple[Path, ...]
    """Read-only paths that are visible under their own path and not copied."""

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    @property
    def checker(self) -> Path:
        return self.root / "checker"

    @property
    def environment(self) -> Mapping[str, str]:
        """The complete environment of the code."""
        return {**ENVIRONMENT, "HOME": str(self.temporary), "TMPDIR": str(self.temporary)}

    def translated(self, command: Sequence[str]) -> list[str]:
        """The command, with /checker paths translated to this stage."""
        return [word.replace(f"{CHECKER}/", f"{self.checker}/") for word in command]


@asynccontextmanager
async def staged(command: Command) -> AsyncGenerator[Stage]:
    """A stage for the command, deleted at the end. Raises OSError if it cannot be created."""
    async with scratch_folder("run") as root:
        yield await anyio.to_thread.run_sync(_lay_out, root, command)


async def run_staged(
    command: Command, python: Sequence[str], confine: Callable[[Stage], Sequence[str]] = lambda _: ()
) -> SandboxRun:
    """Run a command in a stage, within its limits. confine: the words before it that keep it inside; none by default.

    Raises SandboxFailed.
    """
    already = await _processes_of_all()
    try:
        async with staged(command) as stage:

            def build(report_fd: int, setup_fd: int) -> Sequence[str]:
                options = launch_options(
                    command.limits, report_fd, setup_fd, stage.environment, processes_already=already
                )
                return [*confine(stage), *python, "-S", *stage.translated([LAUNCHER, repr(options), *command.words])]

            return await supervise(build, command.limits, command.stdin, stage.environment, folder=stage.work)
    except OSError as error:
        raise SandboxFailed(f"the folder for the run could not be laid out: {error.strerror}") from error


def launch_options(
    limits: Limits, report_fd: int, setup_fd: int, environment: Mapping[str, str], *, processes_already: int = 0
) -> dict[str, object]:
    """The options for the launcher: the folder is already copied, and the user stays the same."""
    return {
        "uid": None,
        "copy_from": None,
        "report_fd": report_fd,
        "setup_fd": setup_fd,
        "environment": dict(environment),
        "cpu_s": limits.cpu_s,
        "memory_mb": limits.memory_mb,
        "processes": limits.processes + processes_already,
        "file_mb": limits.file_mb,
        "open_files": limits.open_files,
    }


def _lay_out(root: Path, command: Command) -> Stage:
    stage = Stage(root, tuple(path for inside, path in command.read_only.items() if inside == str(path)))
    for made in (stage.work, stage.temporary, stage.checker):
        made.mkdir()
    if command.folder is not None:
        shutil.copytree(command.folder, stage.work, symlinks=True, dirs_exist_ok=True)
    copied = {LAUNCHER: Path(__file__).with_name("inside_launcher.py"), **command.read_only}
    for inside, outside in copied.items():
        if inside == str(outside):
            continue
        target = root / inside.removeprefix("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if outside.is_dir():
            shutil.copytree(outside, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(outside, target)
    return stage


async def _processes_of_all() -> int:
    """An estimate of the processes and threads on this machine, because the kernel's limit counts all of a user's."""
    try:
        with anyio.fail_after(_TIMEOUT_S):
            done = await anyio.run_process(["ps", "-A", "-o", "pid="], stderr=subprocess.DEVNULL, check=False)
    except (OSError, TimeoutError):
        return 1000  # unknown: allow for a usual number
    return 2 * len(done.stdout.splitlines()) + 100
