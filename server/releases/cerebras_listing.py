"""Cerebras's `GET /v1/models?format=huggingface`: the models served now, with prices but without lifecycle.

Fields: `types/model_list_response.py` of cerebras-cloud-sdk 1.91.0 (seen 2026-11-25).
"""

import datetime as dt
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ...profiles.price import Price
from ...profiles.releases.listing import MODELS_AT_MOST, ListedModel, Listing
from ...profiles.vocabulary import Capability
from ..providers.egress import Gate
from ..providers.vendor import Vendor
from .fetching import Reader

SOURCE = "Cerebras models.list"
_EARLIEST_CREATED = dt.datetime(2015, 1, 1, tzinfo=dt.UTC).timestamp()

Usd = Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)]


class _ResponsePart(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Pricing(_ResponsePart):
    input: Usd
    """US dollars per million tokens, as is `output`."""
    output: Usd


class _Capabilities(_ResponsePart):
    function_calling: bool | None = None
    structured_outputs: bool | None = None
    vision: bool | None = None


class _Model(_ResponsePart):
    id: Annotated[str, Field(max_length=200)]
    context_length: int
    created: Annotated[int, Field(ge=0, lt=4_102_444_800)]
    """Seconds since 1970."""
    pricing: _Pricing
    capabilities: _Capabilities | None = None


class _Models(_ResponsePart):
    data: Annotated[list[_Model], Field(max_length=MODELS_AT_MOST)]


async def read_cerebras(vendor: Vendor, gate: Gate, api_key: str, today: dt.date) -> Listing:
    """All models served now. Raises ListingUnavailable."""
    async with Reader(vendor, gate, {"authorization": f"Bearer {api_key}"}) as reader:
        response = await reader.get("/v1/models", _Models, {"format": "huggingface"})
    listed = tuple(_listed(model, today) for model in response.data)
    return Listing(provider="cerebras", source=SOURCE, seen=today, models=listed)


def _listed(model: _Model, today: dt.date) -> ListedModel:
    created = dt.datetime.fromtimestamp(model.created, dt.UTC).date() if model.created >= _EARLIEST_CREATED else None
    return ListedModel(
        id=model.id,
        released=created,
        context_tokens=model.context_length,
        capabilities=_capabilities(model.capabilities) if model.capabilities else (),
        price=Price(
            input_usd_per_million_tokens=model.pricing.input,
            output_usd_per_million_tokens=model.pricing.output,
            source=SOURCE,
            seen=today,
        ),
    )


def _capabilities(can: _Capabilities) -> tuple[Capability, ...]:
    named: dict[Capability, bool | None] = {
        "tools": can.function_calling,
        "vision": can.vision,
        "structured_output": can.structured_outputs,
    }
    return tuple(name for name, is_supported in named.items() if is_supported)
