"""Examines a host's entry for this server, and the environment that the server would run in."""

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
from .host import Host
from .installing import address_in, installed_entry

DIAGNOSIS_TIMEOUT_S = 60.0

# The environment that a desktop application passes to child processes, without a shell's settings.
_MINIMAL_PATH = {"darwin": "/usr/bin:/bin:/usr/sbin:/sbin", "win32": os.environ.get("PATH", "")}
_SESSION_NAMES = (
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "TMPDIR",
    "SYSTEMROOT",
    "USERPROFILE",
    "APPDATA",
    "LOCALAPPDATA",
)
_PLACEHOLDER = re.compile(r"\$\{[^}]*\}|\{(?:env|file):[^}]*\}")


@dataclass(frozen=True)
class HostFinding:
    what: str
    is_ok: bool
    text: str
    """Contains names of variables, never values, which may be keys."""


@dataclass(frozen=True)
class HostExamination:
    findings: tuple[HostFinding, ...]
    diagnosis: Mapping[str, Any] | None
    """The output of `doctor --json` run as the host would run it (JSON, hence Any). None: it could not be run."""


async def examine_host(host: Host, file: Path) -> HostExamination:
    """Check the host's entry, and run its command's `doctor` in the environment that the host would give it.

    Raises ConfigRefused.
    """
    entry = installed_entry(host, file)
    if entry is None:
        text = f"{file} has no entry for chargehand; `chargehand install {host.name}` adds one"
        return HostExamination((HostFinding("entry", is_ok=False, text=text),), None)
    if (address := address_in(entry)) is not None:
        if not urllib.parse.urlsplit(address).hostname:
            text = f'"url" in {file} is not an address such as http://127.0.0.1:8765/mcp'
            return HostExamination((HostFinding("url", is_ok=False, text=text),), None)
        return HostExamination((HostFinding("entry", is_ok=True, text=str(file)), await _health(address)), None)
    try:
        command_line, declared = host.command_in(entry), host.environment_in(entry)
    except TypeError as error:
        return HostExamination((HostFinding("entry", is_ok=False, text=f"{file}: {error}"),), None)
    fixed = {name: value for name, value in declared.items() if not _PLACEHOLDER.search(value)}
    forwarded = host.forwarded_in(entry)
    findings = [
        HostFinding("entry", is_ok=True, text=str(file)),
        HostFinding("env", is_ok=True, text=", ".join(declared) or "sets nothing"),
    ]
    unfilled = host.workspace if host.workspace_for(file) is None else None
    if lost := [name for name, value in declared.items() if unfilled and unfilled in value]:
        text = (
            f"{', '.join(lost)}: {host.title} replaces {unfilled} only in a project's {host.project_folder}, and starts"
            f" no server that asks for it here; name your folders with `chargehand install {host.name} --roots FOLDER`"
        )
        findings.append(HostFinding("filled in", is_ok=False, text=text))
    if later := [name for name in declared if name not in fixed and name not in lost]:
        findings.append(
            HostFinding("filled in", is_ok=True, text=f"{', '.join(later)}: by {host.title}, not visible from here")
        )
    if forwarded:
        names = ", ".join(forwarded)
        findings.append(HostFinding("passed on", is_ok=True, text=f"{names}: from the shell that starts {host.title}"))
    environment = {**(os.environ if host.inherits else _minimal_environment(forwarded)), **fixed}
    if unset := [f"{name}={value}" for name, value in host.environment.items() if name not in environment]:
        advice = (
            f"not set, so that {host.title} shows its model more than the text; `chargehand install {host.name}` does"
        )
        findings.append(HostFinding("results", is_ok=True, text=f"{', '.join(unset)}: {advice}"))
    command = _command(command_line, environment)
    findings.append(command)
    if not command.is_ok:
        return HostExamination(tuple(findings), None)
    asked = await _diagnose(command_line, environment)
    if isinstance(asked, str):
        findings.append(HostFinding("start", is_ok=False, text=asked))
        return HostExamination(tuple(findings), None)
    return HostExamination(tuple(findings), asked)


def _minimal_environment(forwarded: Sequence[str]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in (*_SESSION_NAMES, *forwarded) if name in os.environ}
    return {**kept, "PATH": _MINIMAL_PATH.get(sys.platform, "/usr/local/bin:/usr/bin:/bin")}


def _command(command_line: Sequence[str], environment: Mapping[str, str]) -> HostFinding:
    if not command_line:
        return HostFinding("command", is_ok=False, text='the entry has neither a "command" nor a "url"')
    command = command_line[0]
    found = shutil.which(command, path=environment.get("PATH", ""))
    if found is None:
        return HostFinding(
            "command", is_ok=False, text=f"{command}: no such program was found, or it is not executable"
        )
    if not Path(command).is_absolute():
        return HostFinding("command", is_ok=True, text=f"{command}: found as {found}; an absolute path is safer")
    return HostFinding("command", is_ok=True, text=command)


async def _health(address: str) -> HostFinding:
    """Whether the server at an address is healthy; one on another machine is not contacted."""
    if not is_local_url(address):
        text = f"{address}: on another machine, and not asked; run `chargehand doctor` there"
        return HostFinding("server", is_ok=True, text=text)
    import httpx2

    try:
        async with httpx2.AsyncClient(trust_env=False, timeout=DIAGNOSIS_TIMEOUT_S) as client:
            answer = await client.get(urllib.parse.urljoin(address, HEALTH))
    except (httpx2.HTTPError, httpx2.InvalidURL):
        text = f"{address}: nothing answers there; start it with `chargehand serve --http`"
        return HostFinding("server", is_ok=False, text=text)
    if answer.status_code != 200:
        return HostFinding("server", is_ok=False, text=f"{address}: {HEALTH} answers {answer.status_code}")
    return HostFinding("server", is_ok=True, text=f"{address}: it runs; `chargehand doctor` there says what it has")


async def _diagnose(command: Sequence[str], environment: Mapping[str, str]) -> Mapping[str, Any] | str:
    """The output of the command's `doctor --json`, or the reason why there is none."""
    try:
        with anyio.fail_after(DIAGNOSIS_TIMEOUT_S):
            done = await anyio.run_process(
                [*command, "doctor", "--json"],
                env=environment,
                cwd=home_folder(),
                check=False,
                stderr=subprocess.DEVNULL,
            )
        diagnosis: object = json.loads(done.stdout)
        if isinstance(diagnosis, dict):
            return cast(dict[str, Any], diagnosis)
    except TimeoutError:
        return f"it did not answer within {DIAGNOSIS_TIMEOUT_S:.0f} s"
    except (OSError, ValueError):
        pass
    return "it does not start; run its command with `doctor` appended in a shell to see why"
