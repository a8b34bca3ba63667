"""Ollama's `GET /api/tags` and, for each model without a profile, `POST /api/show`."""

import datetime as dt
import re
from collections.abc import Set as AbstractSet

from ...profiles.releases.listing import ListedModel, ListedWeights, Listing
from ...profiles.vocabulary import Capability
from ..providers.egress import Gate
from ..providers.ollama_wire import Listed, Shown, Tags, full_name, is_remote
from ..providers.vendor import Vendor
from .fetching import Reader

SOURCE = "Ollama show"
_MAX_DESCRIBED = 50
"""New models whose details are requested; any further ones are left out of the listing."""
_SIZE = re.compile(r"(\d{1,5}(?:\.\d{1,3})?)\s*([KMBT])")
_BILLIONS = {"K": 1e-6, "M": 1e-3, "B": 1.0, "T": 1e3}


async def read_ollama(vendor: Vendor, gate: Gate, known: AbstractSet[str], today: dt.date) -> Listing:
    """The installed text models. Raises ListingUnavailable.

    known: wire ids, with tags, that have a profile; for these no details are requested.
    """
    models: list[ListedModel] = []
    asked = 0
    async with Reader(vendor, gate) as reader:
        tags = await reader.get("/api/tags", Tags)
        # Validates the names before any of them is put into a request.
        Listing(provider="ollama", source=SOURCE, seen=today, models=tuple(ListedModel(id=m.name) for m in tags.models))
        for tag in tags.models:
            if full_name(tag.name) in known:
                models.append(ListedModel(id=tag.name))
            elif asked < _MAX_DESCRIBED:
                asked += 1
                shown = await reader.post("/api/show", {"model": tag.name}, Shown)
                if "completion" in shown.capabilities:
                    models.append(_listed(tag, shown))
    return Listing(provider="ollama", source=SOURCE, seen=today, models=tuple(models))


def _listed(tag: Listed, shown: Shown) -> ListedModel:
    remote = is_remote(tag, shown)
    return ListedModel(
        id=tag.name,
        context_tokens=shown.context_tokens,
        capabilities=_capabilities(shown),
        can_think="thinking" in shown.capabilities,
        weights=ListedWeights(
            build=tag.build,
            quantization=tag.details.quantization_level or None,
            # A remote model takes no memory here; its local entry is a few hundred bytes.
            size_gb=None if remote or not tag.size else max(0.001, round(tag.size / 1e9, 3)),
            total_billion=_billions(tag.details.parameter_size),
            family=tag.details.family or None,
            is_remote=remote,
        ),
    )


def _capabilities(shown: Shown) -> tuple[Capability, ...]:
    # Ollama constrains any model's output to a schema by itself (https://docs.ollama.com/capabilities/structured-outputs).
    named: list[Capability] = ["structured_output"]
    if "tools" in shown.capabilities:
        named.append("tools")
    if "vision" in shown.capabilities:
        named.append("vision")
    return tuple(named)


def _billions(size: str) -> float | None:
    """Billions of parameters from a `parameter_size` such as `30.5B`. None: not stated."""
    found = _SIZE.fullmatch(size.strip())
    count = float(found[1]) * _BILLIONS[found[2]] if found else 0.0
    return count or None
