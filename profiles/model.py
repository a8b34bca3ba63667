"""The schema of a model profile; field names carry their units."""

import datetime as dt
from dataclasses import dataclass
from typing import Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from .headers import VARIABLE, fault_in, variables_in
from .in_use import InUse
from .measured import Measured
from .price import Price
from .vocabulary import Capability, ProviderName, Role, TaskType

PROFILE_ID_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"


class Facts(BaseModel):
    """A frozen group of facts that rejects unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Parameters(Facts):
    total_billion: float = Field(gt=0)
    """Total parameters, in billions."""
    active_billion: float | None = Field(default=None, gt=0)
    """Parameters used per token, in billions. None: all of them (a dense model)."""


class MemoryNeed(Facts):
    weights_gb: float = Field(gt=0)
    """Size of the weights at this quantization, in gigabytes."""
    quantization: str
    """As Ollama writes it: Q4, Q8_0."""
    with_overhead_gb: float | None = Field(default=None, gt=0)
    """Weights, context and runtime together, in gigabytes. None: not known."""


class Speed(Facts):
    slowest_tokens_per_second: float = Field(gt=0)
    """The slowest output speed measured."""
    fastest_tokens_per_second: float | None = Field(default=None, gt=0)
    """The fastest output speed measured. None: the slowest is a lower bound ("1000 and more")."""
    measured_on: str
    """The hardware or service it was measured on."""
    source: str
    seen: dt.date

    @property
    def typical_tokens_per_second(self) -> float:
        """The middle of the range, or the slowest speed when no fastest is known."""
        if self.fastest_tokens_per_second is None:
            return self.slowest_tokens_per_second
        return (self.slowest_tokens_per_second + self.fastest_tokens_per_second) / 2


class ThinkingRules(Facts):
    """How thinking is controlled in requests, and when it is worth its tokens."""

    always_on: bool = False
    """True: the vendor does not allow turning it off."""
    turned_off_by: str | None = None
    """The vendor's value that turns thinking off (of `thinking.type` or `reasoning_effort`).
    None: `false` turns it off (Ollama), or nothing does: see `ModelProfile.thinks_always`."""
    efforts: tuple[str, ...] = ()
    """The vendor's effort levels, lowest first. Empty: on or off only."""
    on_from_complexity: float = Field(default=5.0, ge=1, le=10)
    """Complexity (1 to 10) from which thinking is turned on. Repairs always think."""
    sent_back: bool = False
    """True: a repair may send the previous turn's thinking back to the model."""


class PrimaryUse(Facts):
    name: Literal["validation", "director"]
    how: tuple[str, ...]
    """Instructions for using the model in this role, one per line."""
    visible_output_tokens_at_most: int = Field(gt=0)
    """Token limit of its visible answer; thinking is not counted."""


class Benchmark(Facts):
    name: str
    percent: float = Field(ge=0, le=100)
    """Score out of 100."""
    source: str
    seen: dt.date


class ReferenceFigures(Facts):
    """Figures in the reference document that differ from the real ones."""

    input_usd_per_million_tokens: float | None = Field(default=None, ge=0)
    output_usd_per_million_tokens: float | None = Field(default=None, ge=0)


class Lifecycle(Facts):
    status: Literal["active", "deprecated", "retired"]
    """active: offered. deprecated: works until `retires_on`. retired: rejected by its vendor."""
    released: dt.date | None = None
    retires_on: dt.date | None = None
    """The first day on which it no longer answers. None: not announced."""
    successor: str | None = None
    """Id of the profile that replaces it. None: none yet, or still active."""
    note: str | None = None
    """One sentence on its current state."""
    on_probation: bool = False
    """True: new and not yet evaluated here. It can be named, evaluated and tried, but plays no role."""
    source: str
    seen: dt.date


@dataclass(frozen=True)
class Endpoint:
    """What tells servers apart: behind one gateway, keys and headers may lead to different models."""

    provider: ProviderName
    base_url: str | None = None
    api_key_env: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    """Name in lower case and value, sorted; values as in the profile, without those of variables."""


class ModelProfile(Facts):
    """All facts about one model, from one YAML file that is named after `id`."""

    id: str = Field(pattern=PROFILE_ID_PATTERN)
    """The name used in decisions and receipts and by users."""
    name: str
    """Display name."""
    label: str | None = None
    """What it is recommended for, in a few words."""
    provider: ProviderName
    api_model: str = Field(min_length=1, max_length=200)
    """The model id in the vendor's API."""
    base_url: str | None = Field(default=None, pattern=r"^https?://[^\s@]+$")
    """Address of an OpenAI-compatible server, such as `http://127.0.0.1:8000/v1`. None: the vendor's own."""
    api_key_env: str | None = Field(default=None, pattern=rf"^{VARIABLE}$")
    """Name of the environment variable that holds the server's key. None: the vendor's own, or no key is needed."""
    headers: dict[str, str] | None = None
    """HTTP headers that the server wants beside ours; `${NAME}` in a value stands for an environment variable."""
    line: str | None = None
    """The vendor's product line (haiku, sonnet, opus); as a model name it means the newest model of the line."""
    architecture: Literal["moe", "dense"] | None = None
    """Mixture of experts or dense. None: not published."""
    parameters: Parameters | None = None
    memory: MemoryNeed | None = None
    """Memory needed on your machine. None: it runs elsewhere, or not known."""
    speed: Speed | None = None
    context_tokens: int | None = Field(default=None, gt=0)
    """Context window: prompt and answer together. None: not known, which never rules the model out."""
    max_output_tokens: int | None = Field(default=None, gt=0)
    """Limit on output tokens per request, thinking included. None: not known."""
    price: Price | None = None
    """The vendor's price. None: nothing is charged per token (a model on your own machine)."""
    thinking: ThinkingRules | None = None
    """None: it has no thinking mode, and requesting one is an error."""
    capabilities: tuple[Capability, ...] = ()
    strengths: tuple[str, ...] = ()
    weaknesses: tuple[str, ...] = ()
    best_for: tuple[str, ...] = ()
    suits: tuple[TaskType, ...] = ()
    """Task types that `best_for` describes; routing prefers the model for them."""
    avoids: tuple[TaskType, ...] = ()
    """Task types that `weaknesses` describes; routing prefers other models for them."""
    setup_command: str | None = None
    """The command that installs it here. None: only a key is needed."""
    complexity_at_most: float | None = Field(default=None, ge=1, le=10)
    """The hardest task (complexity 1 to 10) it is meant for. None: no limit."""
    primary_use: PrimaryUse | None = None
    benchmarks: tuple[Benchmark, ...] = ()
    special_features: dict[str, str] = Field(default_factory=dict)
    """Descriptions of what sets it apart, by feature name."""
    roles: dict[Role, int] = Field(default_factory=dict[Role, int])
    """The roles it can play, each with its rank: 1 is asked first. In YAML, null removes a role that an
    underlying file gave it."""
    roles_taken_away: tuple[Role, ...] = ()
    """The roles removed with null; it does not inherit them as a successor either."""
    in_reference: bool = False
    """True: one of the seven models in the reference document; policy `reference` prefers it in its roles."""
    measured: Measured | None = None
    """Results of evaluations on this machine. None: not evaluated."""
    in_use: InUse | None = None
    """Results of its real work here. None: too little data."""
    reference: ReferenceFigures | None = None
    """Figures in the reference document that differ from the real ones."""
    lifecycle: Lifecycle

    @field_validator("headers")
    @classmethod
    def _can_be_sent(cls, headers: dict[str, str] | None, info: ValidationInfo) -> dict[str, str] | None:
        if fault := fault_in(headers or {}, has_key=info.data.get("api_key_env") is not None):
            raise ValueError(fault)
        return headers

    @model_validator(mode="before")
    @classmethod
    def _null_takes_a_role_away(cls, facts: object) -> object:
        """Lets a user's file remove a role from a shipped profile."""
        if not isinstance(facts, dict):
            return facts
        given = cast(dict[str, object], facts)
        roles = given.get("roles")
        if not isinstance(roles, dict) or None not in roles.values():
            return given
        placed = cast(dict[object, object], roles)
        return {
            **given,
            "roles": {role: place for role, place in placed.items() if place is not None},
            "roles_taken_away": [role for role, place in placed.items() if place is None],
        }

    @model_validator(mode="after")
    def _cloud_models_are_priced(self) -> Self:
        if self.price is None and self.provider in ("anthropic", "cerebras"):
            raise ValueError(f"a model on {self.provider} needs a `price` with its source and date")
        return self

    @model_validator(mode="after")
    def _own_servers_have_an_address(self) -> Self:
        if self.provider == "openai_compatible" and self.base_url is None:
            raise ValueError("a model on openai_compatible needs the `base_url` of its server")
        return self

    @model_validator(mode="after")
    def _only_own_servers_have_one(self) -> Self:
        variables = {"base_url": "BASE_URL", "api_key_env": "API_KEY", "headers": "CUSTOM_HEADERS"}
        given = next((name for name in variables if getattr(self, name) is not None), None)
        if given is not None and self.provider != "openai_compatible":
            if self.provider == "ollama":
                variables |= {"base_url": "HOST", "api_key_env": "CUSTOM_HEADERS"}
            own = f"{self.provider.upper()}_{variables[given]}"
            raise ValueError(f"`{given}` is for models on openai_compatible only; for {self.provider} set {own}")
        return self

    @model_validator(mode="after")
    def _deprecated_models_have_a_date(self) -> Self:
        if self.lifecycle.status == "deprecated" and self.lifecycle.retires_on is None:
            raise ValueError("lifecycle.status is deprecated, so lifecycle.retires_on must give the day it stops")
        return self

    @property
    def endpoint(self) -> Endpoint:
        headers = sorted((name.lower(), value) for name, value in (self.headers or {}).items())
        return Endpoint(self.provider, self.base_url, self.api_key_env, tuple(headers))

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that it names, of its key and of its headers."""
        named = [variable for value in (self.headers or {}).values() for variable in variables_in(value)]
        return tuple(dict.fromkeys([*filter(None, [self.api_key_env]), *named]))

    @property
    def thinks_always(self) -> bool:
        """Whether no request can turn its thinking off.

        Also true when `reasoning_effort` controls it and the profile names no level that turns it off.
        """
        rules = self.thinking
        if rules is None:
            return False
        is_by_effort = self.provider in ("cerebras", "openai_compatible")
        return rules.always_on or (is_by_effort and bool(rules.efforts) and rules.turned_off_by is None)

    def is_offered_on(self, day: dt.date) -> bool:
        """Whether the vendor still serves it: active, or deprecated with its last day ahead."""
        if self.lifecycle.status == "deprecated":
            return self.lifecycle.retires_on is None or day < self.lifecycle.retires_on
        return self.lifecycle.status == "active"

    def plays_roles_on(self, day: dt.date) -> bool:
        """Whether it may be chosen for a role: offered and not on probation."""
        return self.is_offered_on(day) and not self.lifecycle.on_probation

    def priced_on(self, day: dt.date) -> "ModelProfile":
        """The profile with the price in effect on a day."""
        price = self.price and self.price.on(day)
        return self if price is self.price else self.model_copy(update={"price": price})

    def at_share(self, share: float) -> "ModelProfile":
        """The profile with its price multiplied by `share`, such as a vendor's discount for batched requests."""
        if self.price is None or share == 1:
            return self
        return self.model_copy(update={"price": self.price.at_share(share)})

    def cost_usd(
        self,
        *,
        input_tokens: int,
        output_tokens: int,
        cache_read_tokens: int = 0,
        cache_write_tokens: int = 0,
    ) -> float:
        """The cost of one request in US dollars; 0 when nothing is charged per token."""
        if self.price is None:
            return 0.0
        return self.price.cost_usd(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cache_read_tokens=cache_read_tokens,
            cache_write_tokens=cache_write_tokens,
        )
