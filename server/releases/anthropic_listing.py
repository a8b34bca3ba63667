"""Anthropic's `GET /v1/models`.

Fields, paging and query parameters: `types/model_info.py`, `types/model_capabilities.py`, `types/model_list_params.py`
and `pagination.py` of anthropic 2.13.0, and https://platform.claude.com/docs/en/api/models/list (seen 2026-11-25).
"""

import datetime as dt
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from ...profiles.releases.listing import MODELS_AT_MOST, ListedModel, ListedThinking, Listing
from ...profiles.vocabulary import Capability
from ..providers.egress import Gate
from ..providers.vendor import Vendor
from .fetching import InvalidListing, Reader

SOURCE = "Anthropic models.list"
API_VERSION = "2026-10-21"
"""`ANTHROPIC_API_VERSION` of anthropic 2.13.0."""
_PER_PAGE = 100
_MAX_PAGES = 20
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_EARLIEST_YEAR = 2015
"""An earlier `created_at` means that the vendor does not know the date."""


class _ResponsePart(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Support(_ResponsePart):
    supported: bool


_NO = _Support(supported=False)


class _Types(_ResponsePart):
    disabled: _Support = _NO
    between_tools: _Support = _NO


class _Thinking(_Support):
    types: _Types = _Types()


class _Effort(_Support):
    low: _Support | None = None
    medium: _Support | None = None
    high: _Support | None = None
    xhigh: _Support | None = None
    max: _Support | None = None

    @property
    def words(self) -> tuple[str, ...]:
        levels: dict[str, _Support | None] = {word: getattr(self, word) for word in _EFFORTS}
        return tuple(word for word, level in levels.items() if level is not None and level.supported)


class _Capabilities(_ResponsePart):
    thinking: _Thinking | None = None
    effort: _Effort | None = None
    image_input: _Support = _NO
    structured_outputs: _Support = _NO


class _Model(_ResponsePart):
    id: Annotated[str, Field(max_length=200)]
    type: Literal["model"]
    display_name: Annotated[str, Field(max_length=200)]
    created_at: AwareDatetime
    lifecycle: Literal["active", "deprecated", "retired"]
    line: str | None = None
    retires_at: AwareDatetime | None = None
    max_input_tokens: int | None = None
    max_tokens: int | None = None
    capabilities: _Capabilities | None = None


class _Page(_ResponsePart):
    data: Annotated[list[_Model], Field(max_length=MODELS_AT_MOST)]
    has_more: bool
    last_id: str | None = None


async def read_anthropic(vendor: Vendor, gate: Gate, api_key: str, today: dt.date) -> Listing:
    """All models, including retired ones. Raises ListingUnavailable."""
    headers = {"authorization": f"Bearer {api_key}", "anthropic-version": API_VERSION}
    models: list[_Model] = []
    async with Reader(vendor, gate, headers) as reader:
        after: dict[str, str | list[str]] = {}
        for _ in range(_MAX_PAGES):
            wanted = {"limit": str(_PER_PAGE), "lifecycle[]": ["active", "deprecated", "retired"], **after}
            page = await reader.get("/v1/models", _Page, wanted)
            models += page.data
            if not page.has_more:
                break
            if page.last_id is None or not page.data or page.last_id != page.data[-1].id:
                raise InvalidListing(
                    f"{vendor.name}: a page of the listing does not say where the next one is; nothing from it is used."
                )
            after = {"after_id": page.last_id}
        else:
            raise InvalidListing(
                f"{vendor.name}: the listing has more than {_MAX_PAGES} pages; nothing from it is used."
            )
    listed = tuple(_listed(model) for model in models)
    return Listing(provider="anthropic", source=SOURCE, seen=today, models=listed)


def _listed(model: _Model) -> ListedModel:
    can = model.capabilities
    thinking = can.thinking if can else None
    return ListedModel(
        id=model.id,
        name=model.display_name,
        lifecycle=model.lifecycle,
        line=model.line,
        released=model.created_at.date() if model.created_at.year >= _EARLIEST_YEAR else None,
        retires_on=_utc_day(model.retires_at),
        context_tokens=model.max_input_tokens,
        max_output_tokens=model.max_tokens,
        capabilities=_capabilities(can) if can else (),
        can_think=thinking.supported if thinking else None,
        thinking=_thinking(thinking, can.effort) if can and thinking and thinking.supported else None,
    )


def _capabilities(can: _Capabilities) -> tuple[Capability, ...]:
    named: dict[Capability, _Support] = {"vision": can.image_input, "structured_output": can.structured_outputs}
    return tuple(name for name, support in named.items() if support.supported)


def _thinking(thinking: _Thinking, effort: _Effort | None) -> ListedThinking:
    off = {"disabled": thinking.types.disabled, "between_tools": thinking.types.between_tools}
    words = [word for word, support in off.items() if support.supported]
    return ListedThinking(
        always_on=not words,
        turned_off_by=words[0] if words else None,
        efforts=effort.words if effort and effort.supported else (),
    )


def _utc_day(moment: dt.datetime | None) -> dt.date | None:
    """The UTC day of a retirement: the model is not used from that day on."""
    if moment is None:
        return None
    try:
        return moment.astimezone(dt.UTC).date()
    except OverflowError:  # at the limits of `datetime`; validation rejects such a day later
        return moment.date()
