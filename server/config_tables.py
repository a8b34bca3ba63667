"""The tables of the config file, such as `[privacy]`, which have no environment variable."""

import os
import re
from pathlib import Path, PurePath
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationInfo, field_validator

from ..tools.checking.command_check import CommandCheck
from ..tools.checking.container import IMAGE
from ..tools.checking.languages import language_named
from ..tools.guarding import privacy as guarding
from ..tools.guarding.home import home_folder
from ..tools.guarding.local_paths import LocalPaths
from ..tools.guarding.own_patterns import own_pattern
from ..tools.guarding.secrets import SecretSearch


def expand_home(path: Path) -> Path:
    """The path with `~` expanded. Raises ValueError if there is no such home folder."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError("There is no home folder of that name") from error


class Group(BaseModel):
    # A message with the input value could reveal a key.
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True)


class PrivacySettings(Group):
    """`[privacy]` of the config file."""

    local_hosts: frozenset[str] = frozenset()
    """Hosts other than this machine that count as local: `["gpu-box.lan"]`."""
    local_only: tuple[str, ...] = ()
    """Paths below a root whose text stays on this machine: `["src/billing/**"]`."""
    secrets: dict[str, str] = {}
    """Patterns of secrets beside those that ship, by name: regular expressions for one line."""
    on_secret: guarding.OnSecret = "local"  # noqa: S105 - an enumeration value, not a password
    """What becomes of a task with a secret in it: it stays local, or leaves with the secret replaced."""

    @field_validator("local_only")
    @classmethod
    def _below_a_root(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        return LocalPaths(patterns).patterns

    @field_validator("secrets")
    @classmethod
    def _usable(cls, secrets: dict[str, str]) -> dict[str, str]:
        for name, regex in secrets.items():
            if not re.fullmatch(r"[A-Za-z][\w-]{0,39}", name):
                raise ValueError(f"{name[:40]!r} is not a name for a secret; use letters, digits, - and _")
            own_pattern(name, regex)
        return secrets

    def rules(self) -> guarding.Privacy:
        return guarding.Privacy(
            local_paths=LocalPaths(self.local_only),
            secrets=SecretSearch(tuple(own_pattern(name, regex) for name, regex in self.secrets.items())),
            on_secret=self.on_secret,
        )


class UsageSettings(Group):
    """`[usage]` of the config file."""

    baseline_model: str | None = None
    """The model that savings are measured against. None: the one that plays the validator."""


class BudgetSettings(Group):
    """`[budget]` of the config file."""

    ask_above_usd: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """US dollars: a call that wants to spend more asks the user through the host. None: never."""


class MemorySettings(Group):
    """`[memory]` of the config file."""

    text: Literal["full", "redacted", "hash"] = "full"
    """What is kept of a task's text: all of it, all but code and what looks like a name or a secret, or a hash."""


class ApplySettings(Group):
    """`[apply]` of the config file."""

    allow: tuple[str, ...] = ()
    """Patterns of files that may be written though they are protected: `["pyproject.toml", ".github/"]`."""


class SandboxSettings(Group):
    """`[sandbox]` of the config file."""

    backend: Literal["auto", "unsafe-local"] = "auto"
    """auto: the first that works of bubblewrap, sandbox-exec and a container. unsafe-local: none at all."""
    image: str = Field(default=IMAGE, pattern=r"^[\w][\w./:@-]*$")
    """For docker or podman: an image that is on this machine, with `python3` in it. It is never pulled."""
    python: Path | None = None
    """The Python that runs tests, with the packages that are installed for it. None: one without packages."""
    variables: dict[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")], Annotated[str, Field(pattern=r"^[^\x00]*$")]] = {}
    """Environment variables of tests and commands, by name."""

    @field_validator("python")
    @classmethod
    def _there(cls, path: Path | None) -> Path | None:
        # Symbolic links are not resolved: the path identifies the virtual environment.
        found = path and expand_home(path)
        if found is not None and not (found.is_absolute() and found.is_file() and os.access(found, os.X_OK)):
            raise ValueError("It must be the absolute path of a Python, such as /home/you/project/.venv/bin/python")
        return found


_CALLS_PER_MINUTE = {
    "route_task": 600,
    "delegate_generation": 60,
    "validate_code": 120,
    "strategic_review": 10,
    "report_outcome": 600,
}
_CALLS_AT_ONCE = {
    "route_task": 64,
    "delegate_generation": 16,
    "validate_code": 16,
    "strategic_review": 2,
    "report_outcome": 64,
}


class HttpSettings(Group):
    """`[http]` of the config file: how much one caller of `serve --http` gets, by tool."""

    calls_per_minute: dict[str, PositiveInt] = _CALLS_PER_MINUTE
    """Calls that may begin in a minute."""
    calls_at_once: dict[str, PositiveInt] = _CALLS_AT_ONCE
    """Calls that may be under way; of delegations, those that have begun and not ended."""

    @field_validator("calls_per_minute", "calls_at_once")
    @classmethod
    def _over_the_default(cls, given: dict[str, int], info: ValidationInfo) -> dict[str, int]:
        default = _CALLS_PER_MINUTE if info.field_name == "calls_per_minute" else _CALLS_AT_ONCE
        for tool in given:
            if tool not in default:
                raise ValueError(f"{tool[:40]!r} is not a tool; the tools are {', '.join(default)}")
        return {**default, **given}


class CheckSettings(Group):
    """`[checks.NAME]` of the config file: a command that may check answers."""

    command: tuple[str, ...] = Field(min_length=1)
    """Program and arguments; no shell reads them."""
    answer_path: str | None = None
    """Where an answer without a target goes in the copy of the first root, relative to it. None: it is not checked."""
    timeout_s: float = Field(default=120.0, gt=0, le=3600)
    """Seconds that it may run."""
    memory_mb: int = Field(default=16_384, ge=64)
    """Address space of each of its processes."""
    language: str | None = None
    """The language that answers must be in. None: any."""
    read_only: tuple[Path, ...] = ()
    """Files and folders outside of /usr that the command needs to see."""

    @field_validator("language")
    @classmethod
    def _by_its_name(cls, language: str | None) -> str | None:
        return language_named(language)

    @field_validator("answer_path")
    @classmethod
    def _inside(cls, path: str | None) -> str | None:
        if path is None:
            return None
        parts = PurePath(path).parts
        if PurePath(path).is_absolute() or ".." in parts or not parts:
            raise ValueError("It must be a path inside the project, relative to its root")
        return path

    @field_validator("read_only")
    @classmethod
    def _there(cls, paths: tuple[Path, ...]) -> tuple[Path, ...]:
        found = tuple(map(expand_home, paths))
        for path in found:
            if not path.is_absolute() or not path.exists() or path.resolve() in (Path("/"), home_folder()):
                raise ValueError("Each must be an absolute path that exists, and neither / nor a home folder")
        return found

    def named(self, name: str) -> CommandCheck:
        return CommandCheck(name, **self.model_dump())
