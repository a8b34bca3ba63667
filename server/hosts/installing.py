"""Adds this server to a host's configuration, and removes it; everything else in the file is preserved exactly."""

import contextlib
import os
import sys
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ...profiles.durable_files import refuse_special_file, replace_file
from ...tools.errors import CallerError
from .host import SERVER, Host
from .jsonc import DuplicateMember, with_element, without_element
from .malformed import Malformed

BACKUP = ".before-chargehand"

_INPUT = "chargehand-"
_URLS = ("url", "httpUrl", "serverUrl", "uri")
"""The fields of hosts for a server's address."""


class ConfigRefused(CallerError):
    """A host's configuration cannot be read or changed; the file is unchanged."""


@dataclass(frozen=True)
class ConfigChange:
    """The result of a change to a host's file."""

    file: Path
    is_changed: bool
    backup: Path | None
    """A copy of the file from before Chargehand's entry was added. None: no copy was needed, or nothing changed."""


def own_command() -> tuple[str, ...]:
    """The absolute command that starts this installation: hosts use a different PATH from the shell's."""
    name = "chargehand.exe" if sys.platform == "win32" else "chargehand"
    script = Path(sys.executable).with_name(name)
    return (str(script),) if script.exists() else (sys.executable, "-m", "chargehand.server")


def install(
    host: Host, file: Path, command: Sequence[str], environment: Mapping[str, str], secrets: Sequence[str] = ()
) -> ConfigChange:
    """Add an entry, or update the existing one and keep its other fields.

    environment: set in the entry's `env`; other variables already there are kept. secrets: names of variables that a
    host which passes on single ones is to pass on too. Raises ConfigRefused.
    """
    with_member = host.format.editor.with_member
    env = host.fields.environment

    def edit(text: str) -> str:
        before = _entry(host, text)
        if (address := address_in(before)) is not None:
            raise ConfigRefused(
                f"{file}: its entry for chargehand connects to {address}. Run `chargehand uninstall {host.name}` first"
                f" if {host.title} is to start a server itself; nothing was changed."
            )
        added = {name: value for name, value in host.form.items() if _member(before, name) is None}
        if _member(before, env) is None:
            added[env] = {}
        if forwarded := host.fields.forwarded:
            listed = added.get(forwarded, _member(before, forwarded))
            names = cast(list[object], listed) if isinstance(listed, list) else []
            if missing := [name for name in secrets if name not in names]:
                added[forwarded] = [*names, *missing]
        for name, value in {**host.starting(command), **added}.items():
            text = with_member(text, [*host.entry, name], value)
        for name, value in environment.items():
            text = with_member(text, [*host.entry, env, name], value)
        if host.prompts_for_keys:
            text = _with_inputs(host, text, environment)
        return text

    return _change(host, file, edit, installs=True)


def uninstall(host: Host, file: Path) -> ConfigChange:
    """Remove the entry; its keys then remain in neither the file nor the backup. Raises ConfigRefused."""
    return _change(host, file, lambda text: _without_entry(text, host), installs=False)


def installed_entry(host: Host, file: Path) -> Mapping[str, Any] | None:
    """The entry as the host reads it (any JSON, hence Any). None: there is none. Raises ConfigRefused."""
    try:
        text = _read(file, host) or ""
        entry = _entry(host, text if text.strip() else host.format.empty)
    except Malformed as error:
        raise ConfigRefused(f"{file}: it is not valid {host.format.name}: {error}. Correct it there.") from error
    if entry is not None and not isinstance(entry, dict):
        raise ConfigRefused(
            f"{file}: {host.key}.{SERVER} is not an object. Remove it, and run `chargehand install {host.name}`."
        )
    return cast(dict[str, Any] | None, entry)


def address_in(entry: object) -> str | None:
    """The URL of an entry, without user and query, which may contain keys. None: the entry starts a process."""
    fields = cast(dict[str, Any], entry) if isinstance(entry, dict) else {}
    given = next((fields[name] for name in _URLS if name in fields), None)
    if given is None and fields.get("type") in (None, "stdio", "local"):
        return None
    try:
        address = urllib.parse.urlsplit(str(given or ""))
    except ValueError:
        return "no address"
    return urllib.parse.urlunsplit((address.scheme, address.netloc.rpartition("@")[2], address.path, "", ""))


def input_reference(key: str) -> str:
    """The placeholder for a key that the host prompts its user for."""
    return f"${{input:{_input_id(key)}}}"


def _input_id(key: str) -> str:
    return f"{_INPUT}{key.lower().replace('_', '-')}"


def _without_entry(text: str, host: Host) -> str:
    text = host.format.editor.without_member(text, host.entry)
    if host.prompts_for_keys:
        asked: object = _member(host.format.editor.content(text), "inputs")
        inputs = cast(list[Any], asked) if isinstance(asked, list) else []
        for index in reversed(range(len(inputs))):
            if str(_id_of(inputs[index])).startswith(_INPUT):
                text = without_element(text, ["inputs"], index)
    return text


def _with_inputs(host: Host, text: str, environment: Mapping[str, str]) -> str:
    asked: object = _member(host.format.editor.content(text), "inputs")
    known = [_id_of(question) for question in cast(list[Any], asked)] if isinstance(asked, list) else []
    for key, value in environment.items():
        if value == input_reference(key) and _input_id(key) not in known:
            description = f"{key} for Chargehand, empty if you have none"
            question = {"type": "promptString", "id": _input_id(key), "description": description, "password": True}
            text = with_element(text, ["inputs"], question)
    return text


def _id_of(question: object) -> object:
    return _member(question, "id")


def _entry(host: Host, text: str) -> object:
    """The entry in a text. None: there is none. Raises Malformed."""
    return _member(_member(host.format.editor.content(text), host.key), SERVER)


def _member(value: object, name: str) -> object:
    return cast(dict[str, object], value).get(name) if isinstance(value, dict) else None


def _others(host: Host, text: str) -> object:
    """Everything that is not Chargehand's to change. Raises Malformed."""
    content: object = host.format.editor.content(text)
    if not isinstance(content, dict):
        return content
    rest = {**cast(dict[str, object], content)}
    servers: object = rest.pop(host.key, None) or {}
    if host.prompts_for_keys:
        rest.pop("inputs", None)
    if not isinstance(servers, dict):
        return rest, servers
    return rest, {name: one for name, one in cast(dict[str, object], servers).items() if name != SERVER}


def _read(file: Path, host: Host) -> str | None:
    """The file's text. None: the file is missing, but its folder exists. Raises ConfigRefused."""
    try:
        refuse_special_file(file)
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        if host.may_create(file):
            return None
        raise ConfigRefused(
            f"{file.parent}: there is no such folder, so {host.title} was never started here. Start it once, or name"
            " its file with --config."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigRefused(f"{file}: it cannot be read ({error}). Nothing was changed.") from error


def _change(host: Host, file: Path, edit: Callable[[str], str], *, installs: bool) -> ConfigChange:
    file = Path(os.path.realpath(file))  # a symbolic link, as into dotfiles, stays a link
    before = _read(file, host)
    if before is None and not installs:
        return ConfigChange(file, is_changed=False, backup=None)
    text = before if before and before.strip() else host.format.empty
    try:
        others = _others(host, text)
    except Malformed as error:
        raise ConfigRefused(
            f"{file}: it is not valid {host.format.name}: {error}. Correct it there; nothing was changed."
        ) from error
    try:
        after = edit(text)
        if _others(host, after) != others:
            raise Malformed("other settings would change")
    except DuplicateMember as error:
        raise ConfigRefused(f"{file}, {error}. Leave only one there; nothing was changed.") from error
    except Malformed as error:
        raise ConfigRefused(
            f"{file}: Chargehand cannot change it without breaking it ({error}). Change it by hand, as README.md and"
            " docs/hosts.md show; nothing was changed."
        ) from error
    except TypeError as error:
        raise ConfigRefused(f"{file}: {error}, so it cannot be changed from here. Nothing was changed.") from error
    if after == before:
        return ConfigChange(file, is_changed=False, backup=None)
    try:
        backup = _backed_up(host, file, before, installs=installs) if before and before.strip() else None
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, after.encode("utf-8"))
    except OSError as error:
        raise ConfigRefused(f"{file}: it cannot be written ({error}). It was not changed.") from error
    return ConfigChange(file, is_changed=True, backup=backup)


def _backed_up(host: Host, file: Path, before: str, *, installs: bool) -> Path | None:
    """Write the backup: the file from before Chargehand's entry was added. Our entry is removed, as it may hold keys.

    If the file already has our entry, an existing backup is older than the entry, and is kept instead of `before`.
    """
    backup = file.with_name(file.name + BACKUP)
    kept = backup.read_bytes() if backup.exists() else None
    if kept is None and not installs:
        return None
    clean = _without_entry(before, host).encode("utf-8")
    if kept is not None and _entry(host, before) is not None:
        with contextlib.suppress(Malformed, TypeError, UnicodeDecodeError):  # the backup is damaged, or not ours
            clean = _without_entry(kept.decode("utf-8"), host).encode("utf-8")
    if clean != kept:
        replace_file(backup, clean)
    return backup
