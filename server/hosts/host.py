"""How a host is described: where its servers are configured, in what format, and with which fields."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ...tools.errors import BadArgument
from .formats import JSON, Format

SERVER = "chargehand"

KEYS = ("ANTHROPIC_API_KEY", "CEREBRAS_API_KEY")
"""The vendors' keys."""

_FOLDERS = {
    "APPDATA": "~/AppData/Roaming",
    "CLINE_DIR": "~/.cline",
    "CODEX_HOME": "~/.codex",
    "KIMI_CODE_HOME": "~/.kimi-code",
    "XDG_CONFIG_HOME": "~/.config",
}
"""The folders that places begin with, by the variable that moves them."""


@dataclass(frozen=True)
class Fields:
    """The fields of an entry that start its server."""

    command: str = "command"
    arguments: str | None = "args"
    """None: the command is a list that ends with them."""
    environment: str = "env"
    forwarded: str | None = None
    """The names of variables that the server gets from the environment of the host. None: there is no such field."""


@dataclass(frozen=True)
class Host:
    name: str
    """Its name on the command line."""
    title: str
    places: Mapping[str, str]
    """The user's configuration file by `sys.platform`; "linux" is the default. ~ and %VARIABLE% are expanded."""
    key: str
    """The member that contains the servers."""
    format: Format = JSON
    fields: Fields = field(default_factory=Fields)
    form: Mapping[str, object] = field(default_factory=dict[str, object])
    """Fields of an entry besides those."""
    other_names: Sequence[str] = ()
    """Names that the file may have as well, in the same folder."""
    folder: str | None = None
    """A folder that exists once the host was started, if the file's own may be missing then. ~ is expanded."""
    workspace: str | None = None
    """The placeholder that the host replaces with the open project's folder. None: it has none."""
    project_folder: str | None = None
    """The folder of a project's own file, where alone that placeholder is replaced. None: it is replaced everywhere."""
    prompts_for_keys: bool = False
    """Whether it can prompt for secrets and store them itself."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables that a new entry sets."""
    inherits: bool = False
    """Whether a server inherits the environment of the shell that started the host."""

    @property
    def entry(self) -> tuple[str, str]:
        """Where the entry is in the file."""
        return self.key, SERVER

    def file(self) -> Path:
        """The user's file on this system. Raises BadArgument for a user without a home folder."""
        place = self.places.get(sys.platform, self.places["linux"])
        for variable, default in _FOLDERS.items():
            place = place.replace(f"%{variable}%", os.environ.get(variable) or default)
        try:
            first = Path(place).expanduser()
        except RuntimeError as error:
            raise BadArgument(
                f"{self.name}: this user has no home folder to look for its file in. Name the file with --config."
            ) from error
        files = [first, *map(first.with_name, self.other_names)]
        return next((file for file in files if file.exists()), first)

    def workspace_for(self, file: Path) -> str | None:
        """The placeholder for the open project's folder in this file. None: the host replaces none there."""
        return self.workspace if self.project_folder in (None, file.absolute().parent.name) else None

    def may_create(self, file: Path) -> bool:
        """Whether a file may be created: its folder or project exists, or it is the user's and the host was started."""
        if self.project_folder == file.parent.name:
            return file.parent.parent.is_dir()
        if file.parent.is_dir() or self.folder is None:
            return file.parent.is_dir()
        return Path(self.folder).expanduser().is_dir() and file == Path(os.path.realpath(self.file()))

    def starting(self, command: Sequence[str]) -> dict[str, object]:
        """The fields of an entry that starts a command."""
        program, *arguments = command
        if self.fields.arguments is None:
            return {self.fields.command: list(command)}
        return {self.fields.command: program, self.fields.arguments: arguments}

    def command_in(self, entry: Mapping[str, Any]) -> Sequence[str]:
        """The program and arguments that an entry starts; empty if it names none.

        Raises TypeError, naming the field.
        """
        command: object = entry.get(self.fields.command) or []
        if self.fields.arguments is None:
            return _texts(command, self.fields.command)
        arguments = _texts(entry.get(self.fields.arguments) or [], self.fields.arguments)
        return [str(command), *arguments] if command else []

    def environment_in(self, entry: Mapping[str, Any]) -> Mapping[str, str]:
        """The variables that an entry sets. Raises TypeError, naming the field."""
        given: object = entry.get(self.fields.environment) or {}
        if not isinstance(given, dict):
            raise TypeError(f'"{self.fields.environment}" is not an object of names and values')
        return {str(name): str(value) for name, value in cast(dict[str, Any], given).items()}

    def forwarded_in(self, entry: Mapping[str, Any]) -> Sequence[str]:
        """The variables that the server gets from the host's environment."""
        names: object = entry.get(self.fields.forwarded) if self.fields.forwarded else None
        return [name for name in cast(list[object], names) if isinstance(name, str)] if isinstance(names, list) else []


def _texts(value: object, field: str) -> list[str]:
    if not isinstance(value, list):
        raise TypeError(f'"{field}" is not a list')
    return [str(item) for item in cast(list[Any], value)]
