"""The escape probe: runs hostile code in the sandbox and checks whether it reached anything forbidden.

It shows that the tested escapes are blocked on this machine, not that there are no others.
"""

import contextlib
import json
import secrets
import socket
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from ..guarding.home import home_folder
from .sandbox import ENVIRONMENT, Command, Limits, Sandbox, SandboxFailed

_LIMITS = Limits(wall_s=20.0, cpu_s=10, memory_mb=512, processes=16, file_mb=1, scratch_mb=16, output_kb=64)
_PROBE = "/checker/escape.py"
_OWN_VARIABLES = {*ENVIRONMENT, "LC_CTYPE", "PWD", "SHLVL", "_"}
_SYSTEM_FILES = (Path("/etc/group"), Path("/etc/hostname"))
_PROCESSES = 4
"""bubblewrap, the probe, the child it leaves behind and that child's dead parent."""


@dataclass(frozen=True)
class _Bait:
    """The targets outside the sandbox for the hostile code."""

    canaries: tuple[Path, ...]
    forbidden: tuple[Path, ...]
    """Files that must not be created."""
    listener: socket.socket


class _Status(BaseModel):
    """Lines of /proc/self/status, by name."""

    Uid: str
    CapEff: str
    NoNewPrivs: str


class _Reached(BaseModel):
    """The report of inside_escape.py."""

    read: list[str]
    wrote: list[str]
    environment: set[str]
    connected: list[str]
    processes: int
    interfaces: list[str]
    status: _Status
    unlimited: list[str]


async def escape(sandbox: Sandbox, *, own_system: bool = False) -> str | None:
    """A description of what escaped from the sandbox; None if nothing did.

    own_system: its /etc is not this machine's, and may be read. Creates a small file in the home folder and in the
    temporary folder, listens on 127.0.0.1, and removes both afterwards. Raises SandboxFailed if the probe could not be
    run.
    """
    with _bait() as bait:
        targets = {
            "read": [str(path) for path in (*bait.canaries, *(() if own_system else _SYSTEM_FILES))],
            "write": [str(path) for path in bait.forbidden],
            "port": bait.listener.getsockname()[1],
        }
        probe = {_PROBE: Path(__file__).with_name("inside_escape.py")}
        words = [*sandbox.python, _PROBE, json.dumps(targets)]
        run = await sandbox.run(Command(words, limits=_LIMITS, read_only=probe))
        if run.exit_code != 0 or not run.report:
            raise SandboxFailed(f"the escape probe did not finish: {run.output.strip()[:300] or run.killed_by}")
        return _escapes(_Reached.model_validate_json(run.report), bait)


@contextlib.contextmanager
def _bait() -> Generator[_Bait]:
    name = f".chargehand-probe-{secrets.token_hex(8)}"
    temporary = Path(tempfile.gettempdir())
    homes = [] if (home := home_folder()) is None else [home]
    canaries: list[Path] = []
    forbidden = [Path("/etc") / name, Path("/usr") / name, Path("/usr/bin") / name, Path("/checker") / name]
    with contextlib.ExitStack() as stack:
        for folder in (*homes, temporary):
            canary = folder / name
            with contextlib.suppress(OSError):  # without write permission, there is no canary to read
                canary.write_text("canary")
                stack.callback(canary.unlink, missing_ok=True)
                canaries.append(canary)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chargehand-probe-")))
        folder.chmod(0o777)
        forbidden += [folder / "out", *(home / f"{name}-out" for home in homes)]
        for path in forbidden:
            stack.callback(_remove, path)
        listener = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        yield _Bait(tuple(canaries), tuple(forbidden), listener)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _escapes(reached: _Reached, bait: _Bait) -> str | None:
    status = reached.status
    escapes = {
        "it read files outside": bool(reached.read),
        "it wrote outside": bool(reached.wrote) or any(_exists(path) for path in bait.forbidden),
        "it saw our environment": not _OWN_VARIABLES.issuperset(reached.environment),
        "it reached the network": bool(reached.connected or reached.interfaces) or _was_contacted(bait.listener),
        "it saw other processes": reached.processes > _PROCESSES,
        "it has privileges": "0" in status.Uid.split() or status.CapEff.strip("0") != "" or status.NoNewPrivs != "1",
        "it has no limits": bool(reached.unlimited),
    }
    return "; ".join(what for what, happened in escapes.items() if happened) or None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False  # not accessible to us either


def _was_contacted(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True
