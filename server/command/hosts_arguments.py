"""`chargehand install` and `uninstall` on the command line. Their modules are imported when they run."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from ..data_folder import VARIABLE, data_folder
from ..hosts.host import KEYS, Host
from ..hosts.known import HOSTS
from .help_text import sentence

_CARRIED = ("CHARGEHAND_LOCAL_ONLY", "OLLAMA_HOST", "ANTHROPIC_BASE_URL", "CEREBRAS_BASE_URL")
_CUSTOM_HEADERS = ("ANTHROPIC_CUSTOM_HEADERS", "CEREBRAS_CUSTOM_HEADERS", "OLLAMA_CUSTOM_HEADERS")


def add_host_commands(commands: Any) -> None:
    """Add both commands. commands: from `add_subparsers`, whose type argparse does not export, hence Any."""
    text = "add this server to a host's configuration, with a backup of the file as it was before"
    install = commands.add_parser("install", help=text, description=sentence(text))
    install.add_argument(
        "--roots", metavar="FOLDER", nargs="+", action="extend", default=[], help="folders whose files may be read"
    )
    install.add_argument(
        "--env", metavar="NAME=VALUE", action="append", default=[], help="add to the entry's env block; repeatable"
    )
    install.add_argument(
        "--with-keys",
        action="store_true",
        help="copy the keys and headers of this shell into the file; VS Code always asks for them instead, and"
        " Claude Code, Cline CLI, Codex, Droid, Kilo, Kimi and opencode pass on those of the shell that starts them",
    )
    text = "remove this server from a host's configuration, with the keys that were written there"
    uninstall = commands.add_parser("uninstall", help=text, description=sentence(text))
    for command, run in ((install, _install), (uninstall, _uninstall)):
        command.add_argument("host", choices=tuple(HOSTS), metavar="HOST", help=", ".join(HOSTS))
        command.add_argument(
            "--config", type=Path, metavar="FILE", help="the host's config file, if not in the usual place"
        )
        command.set_defaults(run=run)


def _install(chosen: argparse.Namespace) -> int:
    from ..hosts.installing import install, own_command

    host = HOSTS[chosen.host]
    file = chosen.config or host.file()
    secrets = _further_secrets()
    environment = _environment(host, file, chosen, [*KEYS, *secrets])
    change = install(host, file, own_command(), environment, secrets)
    names = f" Its env block now sets {', '.join(environment)}." if environment else ""
    _tell(f"{change.file}: " + (f"chargehand is configured.{names}" if change.is_changed else "nothing to change."))
    if change.backup is not None:
        _tell(f"Backup of the original: {change.backup}")
    if host.workspace and not chosen.roots and host.workspace_for(file) is None:
        _tell(
            f"{host.title} tells no server of this file which project is open: name your folders with --roots, or give"
            f" a project its own entry with --config PROJECT/{host.project_folder}/{file.name}."
        )
    if change.is_changed:
        doctor = f"chargehand doctor --host {host.name}"
        if chosen.config is not None:
            doctor += f" --config {shlex.quote(str(file))}"
        _tell(f"Quit {host.title} and start it again; then `{doctor}` shows what it can do.")
    return 0


def _uninstall(chosen: argparse.Namespace) -> int:
    from ..hosts.installing import uninstall

    host = HOSTS[chosen.host]
    change = uninstall(host, chosen.config or host.file())
    _tell(
        f"{change.file}: " + ("chargehand was removed." if change.is_changed else "chargehand is not configured there.")
    )
    if change.backup is not None:
        _tell(f"Backup of the original: {change.backup}")
    return 0


def _environment(host: Host, file: Path, chosen: argparse.Namespace, secrets: Sequence[str]) -> dict[str, str]:
    """The variables for the entry. secrets: those of keys and headers. Raises BadArgument."""
    from ...tools.errors import BadArgument
    from ..hosts.installing import input_reference, installed_entry

    env: object = (installed_entry(host, file) or {}).get(host.fields.environment)
    present = cast(dict[str, Any], env) if isinstance(env, dict) else {}
    given = {name: value for name, value in host.environment.items() if name not in present}
    if chosen.roots:
        roots = [Path(root).expanduser().absolute() for root in chosen.roots]
        if missing := [str(root) for root in roots if not root.is_dir()]:
            raise BadArgument(f"--roots: {', '.join(missing)}: there is no such folder. Name an existing one.")
        given["CHARGEHAND_ROOTS"] = os.pathsep.join(map(str, roots))
    elif (workspace := host.workspace_for(file)) is not None:
        given["CHARGEHAND_ROOTS"] = workspace
    if os.environ.get(VARIABLE):  # so that the host's server uses the same data folder as this shell
        given[VARIABLE] = str(data_folder())
    # A key must go to the same address as from this shell, and local-only must apply there too.
    given |= {name: value for name in _CARRIED if (value := os.environ.get(name))}
    for key in dict.fromkeys(secrets):
        if host.prompts_for_keys:
            if chosen.with_keys or key not in present:
                given[key] = input_reference(key)
        elif chosen.with_keys and os.environ.get(key):
            given[key] = os.environ[key]
    for pair in chosen.env:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise BadArgument(f"--env: {name[:40]!r} is not of the form NAME=VALUE.")
        given[name.strip()] = value
    return given


def _further_secrets() -> list[str]:
    """The variables of keys and headers that only some users have: those that a profile names, or this shell sets."""
    from ...profiles.loading import load_catalogue
    from ..data_folder import PROFILES_FOLDER

    try:
        profiles = load_catalogue(data_folder() / PROFILES_FOLDER)
    except RuntimeError:  # there is no home folder
        profiles = load_catalogue()
    named = [name for profile in profiles for name in profile.variables]
    return [*(name for name in _CUSTOM_HEADERS if os.environ.get(name)), *named]


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
