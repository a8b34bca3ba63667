"""The schema of a model profile: every fact we hold of one model, units in the names."""

import datetime as dt
from typing import Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .in_use import InUse
from .measured import Measured
from .price import Price
from .vocabulary import Capability, ProviderName, Role, TaskType

PROFILE_ID_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"


class Facts(BaseModel):
    """A frozen group of facts; a field that the schema does not know is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Parameters(Facts):
    total_billion: float = Field(gt=0)
    """Parameters in all, in billions."""
    active_billion: float | None = Field(default=None, gt=0)
    """Parameters used for one token, in billions. None: all of them (a dense model)."""


class MemoryNeed(Facts):
    weights_gb: float = Field(gt=0)
    """Gigabytes that the weights take at this quantization."""
    quantization: str
    """The quantization the figure is for, as Ollama writes it: Q4, Q8_0."""
    with_overhead_gb: float | None = Field(default=None, gt=0)
    """Gigabytes with context and runtime beside the weights. None: not known."""


class Speed(Facts):
    slowest_tokens_per_second: float = Field(gt=0)
    """Output tokens per second at the slow end of what was measured."""
    fastest_tokens_per_second: float | None = Field(default=None, gt=0)
    """The same at the fast end. None: the slow end is a floor ("1000 and more")."""
    measured_on: str
    """The hardware or service that it was measured on."""
    source: str
    seen: dt.date

    @property
    def typical_tokens_per_second(self) -> float:
        """The middle of the range, or its floor where there is no upper end."""
        if self.fastest_tokens_per_second is None:
            return self.slowest_tokens_per_second
        return (self.slowest_tokens_per_second + self.fastest_tokens_per_second) / 2


class ThinkingRules(Facts):
    """How a model's thinking is steered on the wire, and when it is worth its tokens."""

    always_on: bool = False
    """True: the vendor refuses to turn it off."""
    turned_off_by: str | None = None
    """The vendor's word that turns thinking off (`thinking.type`, or `reasoning_effort`).
    None: it is turned off by a plain false (Ollama), or not at all: see `ModelProfile.thinks_always`."""
    efforts: tuple[str, ...] = ()
    """The vendor's words for how hard to think, least first. Empty: on or off only."""
    on_from_complexity: float = Field(default=5.0, ge=1, le=10)
    """Complexity (1 to 10) from which thinking is turned on. Repairs always think."""
    sent_back: bool = False
    """True: a repair may send the previous turn's thinking back to the model."""


class PrimaryUse(Facts):
    name: Literal["validation", "director"]
    how: tuple[str, ...]
    """How the model is to be used in this place, a line each."""
    visible_output_tokens_at_most: int = Field(gt=0)
    """The most tokens its visible answer may have; thinking is not counted."""


class Benchmark(Facts):
    name: str
    percent: float = Field(ge=0, le=100)
    """Score out of 100."""
    source: str
    seen: dt.date


class ReferenceFigures(Facts):
    """What the reference document states where the true figure is another."""

    input_usd_per_million_tokens: float | None = Field(default=None, ge=0)
    output_usd_per_million_tokens: float | None = Field(default=None, ge=0)


class Lifecycle(Facts):
    status: Literal["active", "deprecated", "retired"]
    """active: offered. deprecated: answers until `retires_on`. retired: refused by its vendor."""
    released: dt.date | None = None
    retires_on: dt.date | None = None
    """The day it stops, or stopped, answering. None: none announced."""
    successor: str | None = None
    """Id of the profile that takes its place. None: none yet, or still active."""
    note: str | None = None
    """What became of it, in a sentence."""
    on_probation: bool = False
    """True: new, and nobody has evaluated it here. It can be named, evaluated and tried, and plays no role."""
    source: str
    seen: dt.date


class ModelProfile(Facts):
    """All facts of one model. One YAML file each; the file is named after `id`."""

    id: str = Field(pattern=PROFILE_ID_PATTERN)
    """The name that decisions, receipts and users call it by."""
    name: str
    """Its name for people."""
    label: str | None = None
    """What it is recommended as, in a few words."""
    provider: ProviderName
    api_model: str = Field(min_length=1, max_length=200)
    """The model id on the vendor's wire."""
    base_url: str | None = Field(default=None, pattern=r"^https?://[^\s@]+$")
    """Where an OpenAI-compatible server answers, as `http://127.0.0.1:8000/v1`. None: the vendor's own."""
    api_key_env: str | None = Field(default=None, pattern=r"^[A-Z_][A-Z0-9_]{0,63}$")
    """The variable that holds the server's key, never the key. None: the vendor's own, or none is needed."""
    line: str | None = None
    """The vendor's line it belongs to (haiku, sonnet, opus): names the newest of it."""
    architecture: Literal["moe", "dense"] | None = None
    """Mixture of experts or dense. None: not published."""
    parameters: Parameters | None = None
    memory: MemoryNeed | None = None
    """What it needs on your machine. None: it runs elsewhere, or is not known."""
    speed: Speed | None = None
    context_tokens: int | None = Field(default=None, gt=0)
    """Prompt and answer together, in tokens. None: not known, and never a reason to refuse it."""
    max_output_tokens: int | None = Field(default=None, gt=0)
    """The most output tokens one request may ask for, thinking included. None: not known."""
    price: Price | None = None
    """What the vendor charges. None: nothing per token (a model on your own machine)."""
    thinking: ThinkingRules | None = None
    """None: it has no thinking mode, and sending one is an error."""
    capabilities: tuple[Capability, ...] = ()
    strengths: tuple[str, ...] = ()
    weaknesses: tuple[str, ...] = ()
    best_for: tuple[str, ...] = ()
    suits: tuple[TaskType, ...] = ()
    """Task types that `best_for` speaks of: they draw such tasks to this model."""
    avoids: tuple[TaskType, ...] = ()
    """Task types that `weaknesses` speaks of: they push such tasks away from it."""
    setup_command: str | None = None
    """The command that makes it available here. None: a key is all it takes."""
    complexity_at_most: float | None = Field(default=None, ge=1, le=10)
    """The hardest task (complexity 1 to 10) it is meant for. None: no such line is drawn."""
    primary_use: PrimaryUse | None = None
    benchmarks: tuple[Benchmark, ...] = ()
    special_features: dict[str, str] = Field(default_factory=dict)
    """What sets it apart, by name."""
    roles: dict[Role, int] = Field(default_factory=dict[Role, int])
    """The roles it can play, each with its place in the order of preference: 1 is asked first; null takes
    away a role that a file below gave."""
    roles_taken_away: tuple[Role, ...] = ()
    """The roles that null took away: it does not come into them as somebody's successor either."""
    in_reference: bool = False
    """True: one of the reference document's seven; policy `reference` prefers it in its roles."""
    measured: Measured | None = None
    """What evaluations on this machine found. None: not evaluated."""
    in_use: InUse | None = None
    """What came of its work here. None: too little is known of it."""
    reference: ReferenceFigures | None = None
    """The reference's own figures where the true ones differ."""
    lifecycle: Lifecycle

    @model_validator(mode="before")
    @classmethod
    def _null_takes_a_role_away(cls, facts: object) -> object:
        """So that a user's file can take a role from a profile that ships with it."""
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
    def _deprecated_models_have_a_date(self) -> Self:
        if self.lifecycle.status == "deprecated" and self.lifecycle.retires_on is None:
            raise ValueError("lifecycle.status is deprecated, so lifecycle.retires_on must give the day it stops")
        return self

    @property
    def thinks_always(self) -> bool:
        """Whether no request can turn its thinking off: `reasoning_effort` has no word for it but the profile's."""
        rules = self.thinking
        if rules is None:
            return False
        is_by_effort = self.provider in ("cerebras", "openai_compatible")
        return rules.always_on or (is_by_effort and bool(rules.efforts) and rules.turned_off_by is None)

    def is_offered_on(self, day: dt.date) -> bool:
        """Whether the vendor still answers for it: active, or deprecated with its last day ahead."""
        if self.lifecycle.status == "deprecated":
            return self.lifecycle.retires_on is None or day < self.lifecycle.retires_on
        return self.lifecycle.status == "active"

    def plays_roles_on(self, day: dt.date) -> bool:
        """Whether it may be asked without being named."""
        return self.is_offered_on(day) and not self.lifecycle.on_probation

    def priced_on(self, day: dt.date) -> "ModelProfile":
        """The profile with the price that is charged on a day."""
        price = self.price and self.price.on(day)
        return self if price is self.price else self.model_copy(update={"price": price})

    def at_share(self, share: float) -> "ModelProfile":
        """The profile at a share of its price, as vendors grant it for requests that may wait."""
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
        """What one request costs in US dollars; 0 where nothing is charged per token."""
        if self.price is None:
            return 0.0
        return self.price.cost_usd(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cache_read_tokens=cache_read_tokens,
            cache_write_tokens=cache_write_tokens,
        )
