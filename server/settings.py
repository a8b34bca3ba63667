"""Everything a user can set: environment variables, and one TOML file below them."""

import difflib
import logging
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from ..tools.checking.command_check import BUILT_IN, CommandCheck
from ..tools.checking.container import IMAGE
from ..tools.checking.languages import language_named
from ..tools.errors import BadArgument
from ..tools.guarding import privacy as guarding
from ..tools.guarding.home import home_folder
from ..tools.guarding.local_paths import LocalPaths
from ..tools.guarding.own_patterns import own_pattern
from ..tools.guarding.secrets import SecretSearch
from ..tools.routing.policy import Policy
from .data_folder import default_folder
from .environment import is_placeholder, value_of

PREFIX = "CHARGEHAND_"
CONFIG_FILE = "config.toml"

logger = logging.getLogger(__name__)


class BadSetting(BadArgument):
    """An invalid setting; the message names variable or file, value and remedy."""


def _expand_home(path: Path) -> Path:
    """The path with `~` expanded. Raises ValueError if there is no such home folder."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError("There is no home folder of that name") from error


def _default_home() -> Path:
    try:
        return default_folder()
    except RuntimeError as error:
        raise BadSetting(
            "CHARGEHAND_HOME: it is not set, and this user has no home folder to keep data in. Set it to a writable"
            " folder."
        ) from error


class _Group(BaseModel):
    # A message with the input value could reveal a key.
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True)


class PrivacySettings(_Group):
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


class UsageSettings(_Group):
    """`[usage]` of the config file."""

    baseline_model: str | None = None
    """The model that savings are measured against. None: the one that plays the validator."""


class BudgetSettings(_Group):
    """`[budget]` of the config file."""

    ask_above_usd: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """US dollars: a call that wants to spend more asks the user through the host. None: never."""


class MemorySettings(_Group):
    """`[memory]` of the config file."""

    text: Literal["full", "redacted", "hash"] = "full"
    """What is kept of a task's text: all of it, all but code and what looks like a name or a secret, or a hash."""


class ApplySettings(_Group):
    """`[apply]` of the config file."""

    allow: tuple[str, ...] = ()
    """Patterns of files that may be written though they are protected: `["pyproject.toml", ".github/"]`."""


class SandboxSettings(_Group):
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
        found = path and _expand_home(path)
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


class HttpSettings(_Group):
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


class CheckSettings(_Group):
    """`[checks.NAME]` of the config file: a command that may check answers."""

    command: tuple[str, ...] = Field(min_length=1)
    """Program and arguments; no shell reads them."""
    answer_path: str | None = None
    """Where an answer without a target goes in the copy of the first root, relative to it. None: it is not checked."""
    timeout_s: float = Field(default=120.0, gt=0, le=3600)
    """Seconds that it may run."""
    memory_mb: int = Field(default=8192, ge=64)
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
        found = tuple(map(_expand_home, paths))
        for path in found:
            if not path.is_absolute() or not path.exists() or path.resolve() in (Path("/"), home_folder()):
                raise ValueError("Each must be an absolute path that exists, and neither / nor a home folder")
        return found

    def named(self, name: str) -> CommandCheck:
        return CommandCheck(name, **self.model_dump())


class Settings(_Group):
    """All settings. The environment comes first, then the file, then the default."""

    home: Path = Field(default_factory=_default_home)
    """The data folder: the ledger, `config.toml`, and `profiles/*.yaml` that override or add models."""
    config: Path | None = None
    """The config file. Unset: `config.toml` in the data folder, if there is one."""
    roots: tuple[str, ...] = ()
    """Folders whose files may be read, separated as in PATH. Unset: the start folder, if it belongs to a project."""
    policy: Policy = "balanced"
    """How a model is chosen: `balanced`, `frugal` or `quality` weigh gain against cost, `reference` is a table."""
    local_only: bool = False
    """true: nothing is ever sent off this machine."""
    daily_budget_usd: float | None = Field(default=5.0, ge=0, allow_inf_nan=False)
    """US dollars for paid calls in one UTC day. 0: no paid calls. none: no cap."""
    reviews_per_day: int = Field(default=20, ge=0)
    """Strategic reviews in one UTC day."""
    embedder: str = "lexical"
    """How tasks are compared: `lexical`, `ollama:MODEL` through Ollama, or `chroma:NAME`, one of Chroma's own."""
    chroma_url: str | None = None
    """A Chroma server that several processes share (`chroma run`). Unset: each process keeps its own index."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"
    """How much is written to standard error."""
    http_token: SecretStr | None = None
    """The bearer token that `serve --http` asks for, 24 characters or more. Unset: only this machine is served."""
    results: Literal["structured", "text"] = "structured"
    """`text`: without structured data, which costs tokens in hosts that show it to their model, as Claude Code does."""
    ollama_host: str = "http://127.0.0.1:11434"
    """Where Ollama listens."""
    ollama_num_parallel: int = Field(default=1, ge=0)
    """How many requests one local Ollama gets at a time, from all processes together; set it as Ollama's own is."""
    anthropic_api_key: SecretStr | None = None
    """Key for Claude. Unset: Claude is not asked."""
    anthropic_base_url: str = "https://api.anthropic.com"
    """Where Anthropic's API is."""
    cerebras_api_key: SecretStr | None = None
    """Key for Cerebras. Unset: Cerebras is not asked."""
    cerebras_base_url: str = "https://api.cerebras.ai"
    """Where Cerebras' API is."""
    privacy: PrivacySettings = PrivacySettings()
    usage: UsageSettings = UsageSettings()
    budget: BudgetSettings = BudgetSettings()
    memory: MemorySettings = MemorySettings()
    sandbox: SandboxSettings = SandboxSettings()
    http: HttpSettings = HttpSettings()
    apply: ApplySettings = ApplySettings()
    checks: dict[str, CheckSettings] = {}

    @field_validator("home", "config")
    @classmethod
    def _whole(cls, path: Path | None) -> Path | None:
        # A host's env block is not expanded by a shell, so `~` arrives literally.
        return path and _expand_home(path).absolute()

    @field_validator("checks")
    @classmethod
    def _named_apart(cls, checks: dict[str, CheckSettings]) -> dict[str, CheckSettings]:
        for name in checks:
            if name in BUILT_IN or not re.fullmatch(r"[A-Za-z][\w-]{0,39}", name):
                taken = ", ".join(BUILT_IN)
                raise ValueError(
                    f"{name[:40]!r} is not a name for a check; use letters, digits, - and _, and not {taken}"
                )
        return checks

    @field_validator("roots", mode="before")
    @classmethod
    def _split_as_path(cls, value: object) -> object:
        return tuple(filter(None, value.split(os.pathsep))) if isinstance(value, str) else value

    @field_validator("daily_budget_usd", mode="before")
    @classmethod
    def _none_is_no_cap(cls, value: object) -> object:
        return None if isinstance(value, str) and value.lower() == "none" else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_capitals(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value


# Keys belong in the environment, because files are copied, shown and committed. `home` and `config` locate the file,
# and `results` applies before it is read.
_ENVIRONMENT_ONLY = ("anthropic_api_key", "cerebras_api_key", "http_token", "home", "config", "results")
_FILE_ONLY = ("privacy", "usage", "budget", "memory", "sandbox", "http", "apply", "checks")


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings. environment: None means this process's own. Raises BadSetting."""
    environment = os.environ if environment is None else environment
    _warn_of_ineffective(environment)
    values = {field: value_of(variable, environment) for field, variable in _VARIABLES.items()}
    given = {field: value for field, value in values.items() if value}
    settings = _validated(given, file=None)
    file = settings.config or settings.home / CONFIG_FILE
    if settings.config is None and not os.path.lexists(file):
        return settings
    return _validated(_read(file, is_named=settings.config is not None) | given, file)


def variable_of(field: str) -> str | None:
    """The environment variable for a field. None: only the config file can set it."""
    if field in _FILE_ONLY:
        return None
    of_a_vendor = field.startswith(("ollama_", "anthropic_", "cerebras_"))
    return field.upper() if of_a_vendor else PREFIX + field.upper()


_VARIABLES = {field: variable for field in Settings.model_fields if (variable := variable_of(field))}


def facts_of_fields() -> dict[str, tuple[str, Any]]:
    """The description and default of each environment variable (of the field's type, hence Any)."""
    fields = ((variable, Settings.model_fields[name]) for name, variable in _VARIABLES.items())
    return {v: (field.description or "", None if field.default_factory else field.default) for v, field in fields}


def _warn_of_ineffective(environment: Mapping[str, str]) -> None:
    known = list(_VARIABLES.values())
    for name, value in environment.items():
        if (name in known or name.endswith("_API_KEY")) and is_placeholder(value):
            logger.warning("%s is treated as unset: your host did not fill in its value, %.80s.", name, value.strip())
        if name.startswith(PREFIX) and name not in known:
            logger.warning("%s is not a setting and has no effect.%s", name, _suggestion(name, known))


def _suggestion(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]}?" if near else ""


def _read(file: Path, *, is_named: bool) -> dict[str, Any]:
    """The file's values by name, of any type (hence Any). Raises BadSetting."""
    if not file.is_file():
        remedy = "Create it, or unset CHARGEHAND_CONFIG" if is_named else "Replace it with a file, or remove it"
        raise BadSetting(f"{file}: the config file does not exist, or is not a file. {remedy}.")
    try:
        written = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadSetting(f"{file}: it cannot be read ({error.strerror}). Make it a readable file.") from error
    except UnicodeDecodeError as error:
        raise BadSetting(f"{file}: it is not UTF-8 text. Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise BadSetting(f"{file}: it is not TOML: {error}. Correct it there.") from error
    for field in _ENVIRONMENT_ONLY:
        if field in written:
            raise BadSetting(f"{file}: {field} cannot be set in a file. Set the variable {variable_of(field)} instead.")
    unknown = next((key for key in written if key not in Settings.model_fields), None)
    if unknown is not None:
        settings = [field for field in Settings.model_fields if field not in _ENVIRONMENT_ONLY]
        meant = _suggestion(unknown.lower().removeprefix(PREFIX.lower()), settings)
        raise BadSetting(f"{file}: {unknown[:80]} is not a setting.{meant} It takes: {', '.join(settings)}.")
    return written


def _validated(values: Mapping[str, Any], file: Path | None) -> Settings:
    """The validated settings. file: named in error messages; None means the environment. Raises BadSetting."""
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise BadSetting("\n".join(_explained(p, file) for p in error.errors(include_url=False))) from error


def _explained(problem: Mapping[str, Any], file: Path | None) -> str:
    field, value = str(problem["loc"][0]), problem["input"]
    is_shown = isinstance(value, str | int | float) and not field.endswith(("api_key", "token"))
    wrong = f"{problem['msg']}, got {value!r:.80}" if is_shown else str(problem["msg"])
    if file is not None:
        return f"{file}: {'.'.join(map(str, problem['loc']))}: {wrong}. Correct it there."
    return f'{_VARIABLES[field]}: {wrong}. Correct it in the "env" block of your host\'s config.'
