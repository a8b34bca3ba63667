"""The validated form of a vendor's model listing: plain values with hard limits; all else is rejected."""

import datetime as dt
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ..model import Endpoint
from ..price import Price
from ..vocabulary import Capability, ProviderName

MODELS_AT_MOST = 1_000
"""More than any vendor offers; an aggregator's list is about half as long (openrouter.ai, seen 2026-11-23)."""

_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9._:@+-]*"
_PLAIN_ID = re.compile(_SEGMENT)
_ID_WITH_NAMESPACE = re.compile(rf"{_SEGMENT}(/{_SEGMENT}){{0,3}}")
# Their ids may start with a registry and a namespace: hf.co/unsloth/gemma-4:Q4_K_M, org/My-Model.
_HAVE_NAMESPACES: tuple[ProviderName, ...] = ("ollama", "openai_compatible")


def _plain_text(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds characters that cannot be printed")
    return text


def _a_day_of_this_age(day: dt.date) -> dt.date:
    if not dt.date(2015, 1, 1) <= day <= dt.date(2100, 1, 1):
        raise ValueError("is not a plausible date for a model")
    return day


Text = Annotated[str, Field(max_length=200), AfterValidator(_plain_text)]
Day = Annotated[dt.date, AfterValidator(_a_day_of_this_age)]
Tokens = Annotated[int, Field(gt=0, le=100_000_000)]


class _ListingPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ListedThinking(_ListingPart):
    """How a listed model's thinking is controlled, in its vendor's terms."""

    turned_off_by: Text | None = None
    """The vendor's value that turns thinking off. None: `false` does, or nothing."""
    always_on: bool = False
    efforts: Annotated[tuple[Text, ...], Field(max_length=10)] = ()
    """The vendor's effort levels, lowest first."""


class ListedWeights(_ListingPart):
    """Weights on the user's disk."""

    build: Text
    """Digest and quantization, as recorded with attempts."""
    quantization: Text | None = None
    size_gb: Annotated[float, Field(gt=0, le=10_000)] | None = None
    """Gigabytes on disk; memory use is about the same."""
    total_billion: Annotated[float, Field(gt=0, le=100_000)] | None = None
    """Parameters, in billions."""
    family: Text | None = None
    is_remote: bool = False
    """True: the server forwards requests to another machine."""


class ListedModel(_ListingPart):
    """One model of a listing. None: the listing does not say."""

    id: Annotated[str, Field(min_length=1, max_length=200)]
    """The id in the vendor's API."""
    name: Text | None = None
    lifecycle: Literal["active", "deprecated", "retired"] | None = None
    line: Text | None = None
    released: Day | None = None
    retires_on: Day | None = None
    context_tokens: Tokens | None = None
    max_output_tokens: Tokens | None = None
    capabilities: tuple[Capability, ...] = ()
    """Stated capabilities; others may exist unstated."""
    can_think: bool | None = None
    thinking: ListedThinking | None = None
    price: Price | None = None
    weights: ListedWeights | None = None


class Listing(_ListingPart):
    """The models offered by a vendor or by one server."""

    provider: ProviderName
    source: Text
    """The origin, for display: `Anthropic models.list`."""
    seen: Day
    endpoint: Endpoint | None = None
    """The server queried, for providers with several."""
    models: Annotated[tuple[ListedModel, ...], Field(max_length=MODELS_AT_MOST)]
    is_remote: bool = False
    """Whether requests to the user's own server leave this machine."""

    @model_validator(mode="after")
    def _ids_are_plain_and_unlike(self) -> Self:
        form = _ID_WITH_NAMESPACE if self.provider in _HAVE_NAMESPACES else _PLAIN_ID
        seen = set[str]()
        for model in self.models:
            # An id becomes a profile name, which appears in file names, logs and commands.
            if not form.fullmatch(model.id) or ".." in model.id:
                raise ValueError(f"{model.id[:60]!r} is not a model id")
            if model.id.lower() in seen:
                raise ValueError(f"{model.id[:60]!r} is listed twice")
            seen.add(model.id.lower())
        return self

    def find(self, api_model: str) -> ListedModel | None:
        """The model with this wire id; an undated id also matches a dated one."""
        for model in self.models:
            if model.id.lower() == api_model.lower():
                return model
        dated = re.compile(rf"{re.escape(api_model)}-20\d{{6}}", re.IGNORECASE)
        return next((model for model in self.models if dated.fullmatch(model.id)), None)
