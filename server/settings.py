"""Everything a user can set: environment variables, and one TOML file below them."""

import difflib
import logging
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator

from ..tools.checking.command_check import BUILT_IN
from ..tools.errors import WHERE_VARIABLES_ARE_SET, BadArgument
from ..tools.routing.policy import Policy
from .config_tables import (
    ApplySettings,
    BudgetSettings,
    CheckSettings,
    Group,
    HttpSettings,
    MemorySettings,
    PrivacySettings,
    SandboxSettings,
    UsageSettings,
    expand_home,
)
from .data_folder import default_folder
from .environment import is_placeholder, value_of

PREFIX = "CHARGEHAND_"
CONFIG_FILE = "config.toml"

logger = logging.getLogger(__name__)


class BadSetting(BadArgument):
    """An invalid setting; the message names variable or file, value and remedy."""


def _default_home() -> Path:
    try:
        return default_folder()
    except RuntimeError as error:
        raise BadSetting(
            "CHARGEHAND_HOME: it is not set, and this user has no home folder to keep data in. Set it to a writable"
            " folder."
        ) from error


class Settings(Group):
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
    ollama_custom_headers: SecretStr | None = None
    """Headers for Ollama's address, which a proxy before it may want: `name: value`, one per line."""
    ollama_num_parallel: int = Field(default=1, ge=0)
    """How many requests one local Ollama gets at a time, from all processes together; set it as Ollama's own is."""
    anthropic_api_key: SecretStr | None = None
    """Key for Claude. Unset: Claude is not asked."""
    anthropic_base_url: str = "https://api.anthropic.com"
    """Where Anthropic's API is."""
    anthropic_custom_headers: SecretStr | None = None
    """More headers for Anthropic's address, which a gateway may want: `name: value`, one per line."""
    cerebras_api_key: SecretStr | None = None
    """Key for Cerebras. Unset: Cerebras is not asked."""
    cerebras_base_url: str = "https://api.cerebras.ai"
    """Where Cerebras' API is."""
    cerebras_custom_headers: SecretStr | None = None
    """More headers for Cerebras' address, which a gateway may want: `name: value`, one per line."""
    privacy: PrivacySettings = PrivacySettings()
    usage: UsageSettings = UsageSettings()
    budget: BudgetSettings = BudgetSettings()
    memory: MemorySettings = MemorySettings()
    sandbox: SandboxSettings = SandboxSettings()
    http: HttpSettings = HttpSettings()
    apply: ApplySettings = ApplySettings()
    checks: dict[str, CheckSettings] = Field(default_factory=dict[str, CheckSettings])

    @field_validator("home", "config")
    @classmethod
    def _whole(cls, path: Path | None) -> Path | None:
        # A host's env block is not expanded by a shell, so `~` arrives literally.
        return path and expand_home(path).absolute()

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
_SECRETS = (
    "anthropic_api_key",
    "anthropic_custom_headers",
    "cerebras_api_key",
    "cerebras_custom_headers",
    "http_token",
    "ollama_custom_headers",
)
_ENVIRONMENT_ONLY = (*_SECRETS, "home", "config", "results")
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
    is_shown = isinstance(value, str | int | float) and field not in _SECRETS
    wrong = f"{problem['msg']}, got {value!r:.80}" if is_shown else str(problem["msg"])
    if file is not None:
        return f"{file}: {'.'.join(map(str, problem['loc']))}: {wrong}. Correct it there."
    return f"{_VARIABLES[field]}: {wrong}. Correct it {WHERE_VARIABLES_ARE_SET}."
