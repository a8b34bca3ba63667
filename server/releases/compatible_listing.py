"""`GET /models` of an OpenAI-compatible server.

Format: https://platform.openai.com/docs/api-reference/models/list. The context window: `max_model_len` in vLLM
(`entrypoints/openai/protocol.py`), `meta.n_ctx_train` in llama.cpp (`tools/server`), `context_length` in OpenRouter
(seen 2026-11-25).
"""

import datetime as dt

from ...profiles.model import Endpoint
from ...profiles.releases.listing import ListedModel, Listing
from ..providers.egress import Gate
from ..providers.openai_wire import ServedModels
from ..providers.vendor import Vendor
from .fetching import Reader


async def read_compatible(
    vendor: Vendor, gate: Gate, api_key: str | None, today: dt.date, endpoint: Endpoint
) -> Listing:
    """All models of the server. endpoint: as its profiles name it. Raises ListingUnavailable."""
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    async with Reader(vendor, gate, headers) as reader:
        response = await reader.get("/models", ServedModels)
    return Listing(
        provider="openai_compatible",
        source=f"{vendor.name} models",
        seen=today,
        endpoint=endpoint,
        models=tuple(ListedModel(id=model.id, context_tokens=model.full_window) for model in response.data),
        is_remote=not vendor.is_local,
    )
