"""The sandbox for a container engine: docker or podman around a scratch copy. Tried with podman 4.3 and docker 20.10.

Available inside: an image that is already on this machine (nothing is ever pulled), read-only; copies of the code and
of the checker; a working folder and `/tmp` in memory. There is no network, no capability, and no folder of this
machine. The image must contain `python3`, and the user's command or Node.js if they are needed.
"""

import os
import random
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import anyio.to_thread

from ..guarding.text import visible
from .interpreter import base_interpreter
from .sandbox import ENVIRONMENT, WORK_FOLDER, Command, Limits, SandboxFailed, SandboxRun
from .staging import CHECKER, LAUNCHER, Stage, launch_options, staged
from .supervision import supervise

IMAGE = "python:3.13-slim"

_INPUT = "/input"
_TEMPORARY = "/tmp"  # noqa: S108  # a tmpfs of the container
_TIMEOUT_S = 10.0
_SPARE_S = 5
"""How much longer than its code a container may live that nobody removes."""
_CONNECT = (
    "import os, sys; os.dup2(1, 2); os.dup2(int(sys.argv[1]), 1); os.closerange(3, 1 + max(map(int, sys.argv[1:3])));"
    "os.execv(sys.argv[3], sys.argv[3:])"
)
"""Redirects the engine's standard output to the report, and its standard error to the printed output. podman's
monitor, which outlives its command, would hold the pipes that are not closed."""
_KEPT = ("PATH", "HOME", "TMPDIR", "SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS")
_KEPT_PREFIXES = ("XDG_", "DOCKER_", "CONTAINER", "PODMAN_")
"""podman(1) and docker's CLI reference, seen 2026-11-30: podman keeps its images below XDG_DATA_HOME, for example."""
_ENVIRONMENT = {name: value for name, value in ENVIRONMENT.items() if name != "PATH"}
"""PATH is the image's, whose Python may be that of an environment."""


class Container:
    """Runs each command in a new container, removed afterwards."""

    python: Sequence[str] = ("python3", "-I", "-B")

    def __init__(self, engine: Path, image: str = IMAGE) -> None:
        """engine: docker, podman, or one with the same command line."""
        self._engine = engine
        self._image = image
        self._our_python = str(base_interpreter().executable)
        self.name = f"{engine.name} ({image})"
        self.packages = f"image {image}"

    async def find_image(self) -> None:
        """Raises SandboxFailed if the engine does not respond or lacks the image."""
        command = [str(self._engine), "image", "inspect", "--format", "{{.Id}}", self._image]
        try:
            with anyio.fail_after(_TIMEOUT_S):
                done = await anyio.run_process(command, check=False, env=_environment())
        except (OSError, TimeoutError) as error:
            raise SandboxFailed("the engine cannot be asked") from error
        if done.returncode != 0:
            said = visible(done.stderr.decode("utf-8", "replace")).strip().rpartition("\n")[2][:200]
            raise SandboxFailed(
                f"the engine does not answer, or has no image {self._image}: {self._engine.name} pull {self._image}"
                + (f" (it says: {said})" if said else "")
            )

    async def run(self, command: Command) -> SandboxRun:
        name = f"chargehand-{secrets.token_hex(8)}"
        try:
            async with staged(command) as stage:
                if stage.shown:
                    raise SandboxFailed(
                        f"a container shows nothing of this machine: put {stage.shown[0]} into an image and name it"
                        " as [sandbox] image"
                    )
                await anyio.to_thread.run_sync(_open_to_all, stage)

                def build(report_fd: int, setup_fd: int) -> Sequence[str]:
                    engine = self._arguments(name, stage, command.limits)
                    options = launch_options(command.limits, 1, 1, _ENVIRONMENT, processes_already=1)
                    ends_after_s = command.limits.wall_s + _SPARE_S
                    options |= {"folder": WORK_FOLDER, "copy_from": _INPUT, "ends_after_s": ends_after_s}
                    words = [_in_image(command.words[0]), *command.words[1:]]
                    launch = [*self.python[1:], "-S", LAUNCHER, repr(options), *words]
                    connect = [self._our_python, "-I", "-S", "-c", _CONNECT, str(report_fd), str(setup_fd)]
                    return [*connect, *engine, *launch]

                try:
                    return await supervise(
                        build, command.limits, command.stdin, _environment(), setup_before_report=True
                    )
                finally:
                    with anyio.CancelScope(shield=True):
                        await self._remove(name)
        except OSError as error:
            raise SandboxFailed(f"the folder for the run could not be laid out: {error.strerror}") from error

    def _arguments(self, name: str, stage: Stage, limits: Limits) -> list[str]:
        user = random.SystemRandom().randint(30_000, 60_000)  # unused, so that its processes are those of this run
        scratch = f"rw,exec,nosuid,nodev,mode=1777,size={limits.scratch_mb}m"
        return [
            str(self._engine), "run", "--rm", "--interactive", "--name", name, "--pull", "never",
            "--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
            "--user", f"{user}:{user}", "--hostname", "sandbox",
            "--workdir", "/",  # docker would make the working folder in the image, closed, and mount it so (runc 1.1)
            "--memory", f"{limits.memory_mb}m", "--memory-swap", f"{limits.memory_mb}m",
            "--pids-limit", str(limits.processes + 1), "--stop-timeout", "0",
            "--tmpfs", f"{WORK_FOLDER}:{scratch}", "--tmpfs", f"{_TEMPORARY}:{scratch}",
            "--mount", f"type=bind,source={stage.work},target={_INPUT},readonly",
            "--mount", f"type=bind,source={stage.checker},target={CHECKER},readonly",
            "--entrypoint", self.python[0], self._image,
        ]  # fmt: skip

    async def _remove(self, name: str) -> None:
        """Remove the container, which outlives the engine's command."""
        with anyio.move_on_after(_TIMEOUT_S):
            command = [str(self._engine), "rm", "--force", name]
            await anyio.run_process(command, check=False, stderr=subprocess.DEVNULL, env=_environment())


def _in_image(program: str) -> str:
    """The image's own program in place of this machine's, Node.js for example."""
    path = Path(program)
    return path.name if path.is_absolute() and not path.is_relative_to(CHECKER) else program


def _open_to_all(stage: Stage) -> None:
    """Make the copies readable for the container's user. Their parent folder stays closed to other users: the engine
    mounts the subfolders."""
    for path in stage.root.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o444))


def _environment() -> Mapping[str, str]:
    """The variables that the engine's command needs to find its engine, images and settings; none are passed inside."""
    return {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)}
