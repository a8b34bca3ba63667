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
from .jsonc import DuplicateMember, NotJson, parse, with_element, with_member, without_element, without_member
from .known import SERVER, Host

BACKUP = ".before-chargehand"

KEYS = ("ANTHROPIC_API_KEY", "CEREBRAS_API_KEY")


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


def install(host: Host, file: Path, command: Sequence[str], environment: Mapping[str, str]) -> ConfigChange:
    """Add an entry, or update the existing one and keep its other fields.

    environment: set in the entry's `env`; other variables already there are kept. Raises ConfigRefused.
    """
    program, *arguments = command

    def edit(text: str) -> str:
        at = [host.key, SERVER]
        if (address := address_in(_value(text, at))) is not None:
            raise ConfigRefused(
                f"{file}: its entry for chargehand connects to {address}. Run `chargehand uninstall {host.name}` first"
                f" if {host.title} is to start a server itself; nothing was changed."
            )
        for name, value in host.form.items():
            if _value(text, [*at, name]) is None:
                text = with_member(text, [*at, name], value)
        text = with_member(text, [*at, "command"], program)
        text = with_member(text, [*at, "args"], list(arguments))
        if _value(text, [*at, "env"]) is None:
            text = with_member(text, [*at, "env"], {})
        for name, value in environment.items():
            text = with_member(text, [*at, "env", name], value)
        if host.prompts_for_keys:
            text = _with_inputs(text, environment)
        return text

    return _change(host, file, edit, installs=True)


def uninstall(host: Host, file: Path) -> ConfigChange:
    """Remove the entry; its keys then remain in neither the file nor the backup. Raises ConfigRefused."""
    return _change(host, file, lambda text: _without_entry(text, host), installs=False)


def installed_entry(host: Host, file: Path) -> Mapping[str, Any] | None:
    """The entry as the host reads it (any JSON, hence Any). None: there is none. Raises ConfigRefused."""
    try:
        text = _read(file, host) or ""
        entry: object = _value(text if text.strip() else "{}", [host.key, SERVER])
    except NotJson as error:
        raise ConfigRefused(f"{file}: it is not valid JSON: {error}. Correct it there.") from error
    if entry is not None and not isinstance(entry, dict):
        raise ConfigRefused(
            f"{file}: {host.key}.{SERVER} is not an object. Remove it, and run `chargehand install {host.name}`."
        )
    return cast(dict[str, Any] | None, entry)


def address_in(entry: object) -> str | None:
    """The URL of an entry, without user and query, which may contain keys. None: the entry starts a process."""
    fields = cast(dict[str, Any], entry) if isinstance(entry, dict) else {}
    if "url" not in fields and fields.get("type") in (None, "stdio"):
        return None
    try:
        address = urllib.parse.urlsplit(str(fields.get("url", "")))
    except ValueError:
        return "no address"
    return urllib.parse.urlunsplit((address.scheme, address.netloc.rpartition("@")[2], address.path, "", ""))


def input_reference(key: str) -> str:
    """The placeholder for a key that the host prompts its user for."""
    return f"${{input:{_input_id(key)}}}"


def _input_id(key: str) -> str:
    return f"chargehand-{key.lower().replace('_', '-')}"


def _without_entry(text: str, host: Host) -> str:
    text = without_member(text, [host.key, SERVER])
    if host.prompts_for_keys:
        asked: object = _value(text, ["inputs"])
        inputs = cast(list[Any], asked) if isinstance(asked, list) else []
        for index in reversed(range(len(inputs))):
            if _id_of(inputs[index]) in [_input_id(key) for key in KEYS]:
                text = without_element(text, ["inputs"], index)
    return text


def _with_inputs(text: str, environment: Mapping[str, str]) -> str:
    asked: object = _value(text, ["inputs"])
    known = [_id_of(question) for question in cast(list[Any], asked)] if isinstance(asked, list) else []
    for key in KEYS:
        if environment.get(key) == input_reference(key) and _input_id(key) not in known:
            question = {"type": "promptString", "id": _input_id(key), "description": key, "password": True}
            text = with_element(text, ["inputs"], question)
    return text


def _id_of(question: object) -> object:
    return cast(dict[str, Any], question).get("id") if isinstance(question, dict) else None


def _value(text: str, path: Sequence[str]) -> Any:
    """The value at a path. None: missing. Raises NotJson."""
    value = parse(text).value
    for step in path:
        value = cast(dict[str, Any], value).get(step) if isinstance(value, dict) else None
    return value


def _read(file: Path, host: Host) -> str | None:
    """The file's text. None: the file is missing, but its folder exists. Raises ConfigRefused."""
    try:
        refuse_special_file(file)
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        if file.parent.is_dir():
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
    text = before if before and before.strip() else "{}\n"
    try:
        parse(text)
    except NotJson as error:
        raise ConfigRefused(f"{file}: it is not valid JSON: {error}. Correct it there; nothing was changed.") from error
    try:
        after = edit(text)
        parse(after)
    except DuplicateMember as error:
        raise ConfigRefused(f"{file}, {error}. Leave only one there; nothing was changed.") from error
    except NotJson as error:
        raise ConfigRefused(
            f"{file}: Chargehand cannot change it without breaking it ({error}). Change it by hand, as README.md shows;"
            " nothing was changed."
        ) from error
    except TypeError as error:
        raise ConfigRefused(f"{file}: {error}, so nothing can be added to it. Nothing was changed.") from error
    if after == before:
        return ConfigChange(file, is_changed=False, backup=None)
    try:
        backup = _backed_up(host, file, before, installs=installs) if before and before.strip() else None
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
    if kept is not None and _value(before, [host.key, SERVER]) is not None:
        with contextlib.suppress(NotJson, UnicodeDecodeError):  # the backup is damaged, or not ours
            clean = _without_entry(kept.decode("utf-8"), host).encode("utf-8")
    if clean != kept:
        replace_file(backup, clean)
    return backup
