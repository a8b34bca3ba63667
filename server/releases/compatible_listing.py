"""`GET /models` of an OpenAI-compatible server.

Form: https://platform.openai.com/docs/api-reference/models/list; the window's place: `max_model_len` at vLLM
(`entrypoints/openai/protocol.py`), `meta.n_ctx_train` at llama.cpp (`tools/server`), `context_length` at OpenRouter
(seen 2026-11-25).
"""

import datetime as dt
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ...profiles.releases.listing import MODELS_AT_MOST, ListedModel, Listing
from ..providers.egress import Gate
from ..providers.vendor import Vendor
from .fetching import Reader


class _Said(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Meta(_Said):
    n_ctx_train: int | None = None


class _Model(_Said):
    id: Annotated[str, Field(max_length=200)]
    max_model_len: int | None = None
    context_length: int | None = None
    meta: _Meta | None = None

    @property
    def context_tokens(self) -> int | None:
        return self.max_model_len or self.context_length or (self.meta.n_ctx_train if self.meta else None)


class _Models(_Said):
    data: Annotated[list[_Model], Field(max_length=MODELS_AT_MOST)]


async def read_compatible(vendor: Vendor, gate: Gate, api_key: str | None, today: dt.date, base_url: str) -> Listing:
    """All that the server offers. base_url: as its profiles write it. Raises NotRead."""
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    async with Reader(vendor, gate, headers) as reader:
        said = await reader.get("/models", _Models)
    return Listing(
        provider="openai_compatible",
        source=f"{vendor.name} models",
        seen=today,
        base_url=base_url,
        models=tuple(ListedModel(id=model.id, context_tokens=model.context_tokens) for model in said.data),
        leaves=not vendor.is_local,
    )
