"""What a host would find: its entry for this server, and what the server it starts has to work with."""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import anyio

from ...tools.guarding.home import home_folder
from ..http.binding import HEALTH
from ..providers.locality import is_local_url
from .installing import address_in, installed_entry
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
    if (address := address_in(entry)) is not None:
        return HostExamination((HostFinding("entry", is_well=True, told=str(file)), await _health(address)), None)
    given: object = entry.get("env") or {}
    arguments: object = entry.get("args") or []
    if not isinstance(given, dict):
        told = f'"env" in {file} is not an object of names and values'
        return HostExamination((HostFinding("env", is_well=False, told=told),), None)
    if not isinstance(arguments, list):
        told = f'"args" in {file} is not a list'
        return HostExamination((HostFinding("args", is_well=False, told=told),), None)
    declared = {str(name): str(value) for name, value in cast(dict[str, Any], given).items()}
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
    command_line = [str(entry["command"]), *map(str, cast(list[Any], arguments))]
    asked = await _asked(command_line, environment)
    if isinstance(asked, str):
        findings.append(HostFinding("start", is_well=False, told=asked))
        return HostExamination(tuple(findings), None)
    return HostExamination(tuple(findings), asked)


def _bare() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _OF_THE_SESSION if name in os.environ}
    return {**kept, "PATH": _BARE_PATH.get(sys.platform, "/usr/local/bin:/usr/bin:/bin")}


def _command(entry: Mapping[str, Any], environment: Mapping[str, str]) -> HostFinding:
    command = str(entry.get("command") or "")
    if not command:
        return HostFinding("command", is_well=False, told='the entry has neither a "command" nor a "url"')
    found = shutil.which(command, path=environment.get("PATH", ""))
    if found is None:
        return HostFinding(
            "command", is_well=False, told=f"{command}: no such program was found, or it is not executable"
        )
    if not Path(command).is_absolute():
        return HostFinding("command", is_well=True, told=f"{command}: found as {found}; an absolute path is safer")
    return HostFinding("command", is_well=True, told=command)


async def _health(address: str) -> HostFinding:
    """What the server at an address says; one on another machine is not asked."""
    if not is_local_url(address):
        told = f"{address}: on another machine, and not asked; run `chargehand doctor` there"
        return HostFinding("server", is_well=True, told=told)
    import httpx2

    try:
        async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE_S) as client:
            answer = await client.get(urllib.parse.urljoin(address, HEALTH))
    except (httpx2.HTTPError, httpx2.InvalidURL):
        told = f"{address}: nothing answers there; start it with `chargehand serve --http`"
        return HostFinding("server", is_well=False, told=told)
    if answer.status_code != 200:
        return HostFinding("server", is_well=False, told=f"{address}: {HEALTH} answers {answer.status_code}")
    return HostFinding("server", is_well=True, told=f"{address}: it runs; `chargehand doctor` there says what it has")


async def _asked(command: Sequence[str], environment: Mapping[str, str]) -> Mapping[str, Any] | str:
    """The diagnosis, or why there is none."""
    try:
        with anyio.fail_after(PATIENCE_S):
            done = await anyio.run_process(
                [*command, "doctor", "--json"],
                env=environment,
                cwd=home_folder(),
                check=False,
                stderr=subprocess.DEVNULL,
            )
        said: object = json.loads(done.stdout)
        if isinstance(said, dict):
            return cast(dict[str, Any], said)
    except TimeoutError:
        return f"it did not answer within {PATIENCE_S:.0f} s"
    except (OSError, ValueError):
        pass
    return "it does not start; run its command with `doctor` appended in a shell to see why"
