"""Puts this server into a host's configuration, and takes it out again; all else in the file stays to the letter."""

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
from .jsonc import NotJson, StandsTwice, parse, with_element, with_member, without_element, without_member
from .known import SERVER, Host

BACKUP = ".before-chargehand"

KEYS = ("ANTHROPIC_API_KEY", "CEREBRAS_API_KEY")


class ConfigRefused(CallerError):
    """A host's configuration that cannot be read or changed; it is as it was."""


@dataclass(frozen=True)
class ConfigChange:
    """What was done to a host's file."""

    file: Path
    is_changed: bool
    backup: Path | None
    """The file as it was before Chargehand came. None: there was none, or nothing was changed."""


def own_command() -> tuple[str, ...]:
    """The absolute command that starts this very installation: hosts search a PATH that is not the shell's."""
    name = "chargehand.exe" if sys.platform == "win32" else "chargehand"
    script = Path(sys.executable).with_name(name)
    return (str(script),) if script.exists() else (sys.executable, "-m", "chargehand.server")


def install(host: Host, file: Path, command: Sequence[str], environment: Mapping[str, str]) -> ConfigChange:
    """Make an entry, or bring the one that there is up to date; what else it holds is left in it.

    environment: for the entry's `env`. A variable that is named there already keeps its value unless it
    is given here. Raises ConfigRefused.
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
        if host.asks_for_keys:
            text = _with_questions(text, environment)
        return text

    return _change(host, file, edit, installs=True)


def uninstall(host: Host, file: Path) -> ConfigChange:
    """Take the entry out; the keys that were in it are in no file of ours then. Raises ConfigRefused."""
    return _change(host, file, lambda text: _without_us(text, host), installs=False)


def installed_entry(host: Host, file: Path) -> Mapping[str, Any] | None:
    """The entry as the host reads it (of any shape, hence Any). None: there is none. Raises ConfigRefused."""
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
    """Where an entry has its host connect to, without user and query, for they may hold keys. None: to a process."""
    told = cast(dict[str, Any], entry) if isinstance(entry, dict) else {}
    if "url" not in told and told.get("type") in (None, "stdio"):
        return None
    try:
        address = urllib.parse.urlsplit(str(told.get("url", "")))
    except ValueError:
        return "no address"
    return urllib.parse.urlunsplit((address.scheme, address.netloc.rpartition("@")[2], address.path, "", ""))


def question_for(key: str) -> str:
    """What stands for a key that the host asks its user for."""
    return f"${{input:{_question_id(key)}}}"


def _question_id(key: str) -> str:
    return f"chargehand-{key.lower().replace('_', '-')}"


def _without_us(text: str, host: Host) -> str:
    text = without_member(text, [host.key, SERVER])
    if host.asks_for_keys:
        asked: object = _value(text, ["inputs"])
        inputs = cast(list[Any], asked) if isinstance(asked, list) else []
        for index in reversed(range(len(inputs))):
            if _id_of(inputs[index]) in [_question_id(key) for key in KEYS]:
                text = without_element(text, ["inputs"], index)
    return text


def _with_questions(text: str, environment: Mapping[str, str]) -> str:
    asked: object = _value(text, ["inputs"])
    known = [_id_of(question) for question in cast(list[Any], asked)] if isinstance(asked, list) else []
    for key in KEYS:
        if environment.get(key) == question_for(key) and _question_id(key) not in known:
            question = {"type": "promptString", "id": _question_id(key), "description": key, "password": True}
            text = with_element(text, ["inputs"], question)
    return text


def _id_of(question: object) -> object:
    return cast(dict[str, Any], question).get("id") if isinstance(question, dict) else None


def _value(text: str, path: Sequence[str]) -> Any:
    """The value at a path. None: there is none. Raises NotJson."""
    value = parse(text).value
    for step in path:
        value = cast(dict[str, Any], value).get(step) if isinstance(value, dict) else None
    return value


def _read(file: Path, host: Host) -> str | None:
    """The file's text. None: it is not there, while its host is."""
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
    file = Path(os.path.realpath(file))  # a link into somebody's dotfiles stays a link
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
    except StandsTwice as error:
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
    """The file as it was before Chargehand came, without an entry of ours, for that may hold keys.

    While the file holds an entry, a backup that is there is of an earlier and better day than `before`.
    """
    backup = file.with_name(file.name + BACKUP)
    kept = backup.read_bytes() if backup.exists() else None
    if kept is None and not installs:
        return None
    clean = _without_us(before, host).encode("utf-8")
    if kept is not None and _value(before, [host.key, SERVER]) is not None:
        with contextlib.suppress(NotJson, UnicodeDecodeError):  # then it is none of ours, or damaged
            clean = _without_us(kept.decode("utf-8"), host).encode("utf-8")
    if clean != kept:
        replace_file(backup, clean)
    return backup
