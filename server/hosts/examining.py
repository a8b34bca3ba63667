"""What a host would find: its entry for this server, and what the server it starts has to work with."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import anyio

from ...tools.guarding.home import home_folder
from .installing import installed_entry
from .known import Host

PATIENCE_S = 60.0

# What a desktop application gives its children where no shell has a word.
_BARE_PATH = {"darwin": "/usr/bin:/bin:/usr/sbin:/sbin", "win32": os.environ.get("PATH", "")}
_OF_THE_SESSION = ("HOME", "USER", "LOGNAME", "LANG", "TMPDIR", "SYSTEMROOT", "USERPROFILE", "APPDATA", "LOCALAPPDATA")
_FILLED_IN = re.compile(r"\$\{[^}]*\}")


@dataclass(frozen=True)
class HostFinding:
    what: str
    is_well: bool
    told: str
    """Names, never values: a value may be a key."""


@dataclass(frozen=True)
class HostExamination:
    findings: tuple[HostFinding, ...]
    diagnosis: Mapping[str, Any] | None
    """What the server's own `doctor --json` says there (its shape, hence Any). None: it could not be asked."""


async def examine_host(host: Host, file: Path) -> HostExamination:
    """Read the host's entry, and have its command judge the environment that it would get. Raises ConfigRefused."""
    entry = installed_entry(host, file)
    if entry is None:
        told = f"{file} has no entry for chargehand; `chargehand install {host.name}` adds one"
        return HostExamination((HostFinding("entry", is_well=False, told=told),), None)
    given: object = entry.get("env")
    declared = {str(name): str(value) for name, value in cast(dict[str, Any], given or {}).items()}
    fixed = {name: value for name, value in declared.items() if not _FILLED_IN.search(value)}
    findings = [
        HostFinding("entry", is_well=True, told=str(file)),
        HostFinding("env", is_well=True, told=", ".join(declared) or "sets nothing"),
    ]
    if later := [name for name in declared if name not in fixed]:
        findings.append(
            HostFinding("filled in", is_well=True, told=f"{', '.join(later)}: by {host.title}, not visible from here")
        )
    environment = {**(os.environ if host.inherits else _bare()), **fixed}
    command = _command(entry, environment)
    findings.append(command)
    if not command.is_well:
        return HostExamination(tuple(findings), None)
    asked = await _asked(entry, environment)
    if isinstance(asked, str):
        findings.append(HostFinding("start", is_well=False, told=asked))
        return HostExamination(tuple(findings), None)
    return HostExamination(tuple(findings), asked)


def _bare() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _OF_THE_SESSION if name in os.environ}
    return {**kept, "PATH": _BARE_PATH.get(sys.platform, "/usr/local/bin:/usr/bin:/bin")}


def _command(entry: Mapping[str, Any], environment: Mapping[str, str]) -> HostFinding:
    command = str(entry.get("command", ""))
    found = shutil.which(command, path=environment.get("PATH", ""))
    if found is None:
        return HostFinding(
            "command", is_well=False, told=f"{command}: no such program was found, or it is not executable"
        )
    if not Path(command).is_absolute():
        return HostFinding("command", is_well=True, told=f"{command}: found as {found}; an absolute path is safer")
    return HostFinding("command", is_well=True, told=command)


async def _asked(entry: Mapping[str, Any], environment: Mapping[str, str]) -> Mapping[str, Any] | str:
    """The diagnosis, or why there is none."""
    command = [str(entry["command"]), *map(str, entry.get("args") or ()), "doctor", "--json"]
    try:
        with anyio.fail_after(PATIENCE_S):
            done = await anyio.run_process(
                command, env=environment, cwd=home_folder(), check=False, stderr=subprocess.DEVNULL
            )
        return cast(dict[str, Any], json.loads(done.stdout))
    except TimeoutError:
        return f"it did not answer within {PATIENCE_S:.0f} s"
    except (OSError, ValueError):
        return "it does not start; run its command with `doctor` appended in a shell to see why"
