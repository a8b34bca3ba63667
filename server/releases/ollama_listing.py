"""Ollama's `GET /api/tags` and, for each model that nobody has described yet, `POST /api/show`."""

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
_DESCRIBED_AT_MOST = 50
"""New models of which more is asked than the name; who has more is told."""
_SIZE = re.compile(r"(\d{1,5}(?:\.\d{1,3})?)\s*([KMBT])")
_BILLIONS = {"K": 1e-6, "M": 1e-3, "B": 1.0, "T": 1e3}


async def read_ollama(vendor: Vendor, gate: Gate, known: AbstractSet[str], today: dt.date) -> Listing:
    """All that is installed and writes text. Raises NotRead.

    known: wire ids, with their tags, that have a profile: of these nothing more is asked than that they are there.
    """
    models: list[ListedModel] = []
    asked = 0
    async with Reader(vendor, gate) as reader:
        said = await reader.get("/api/tags", Tags)
        # Refused before a word of it goes into a request.
        Listing(provider="ollama", source=SOURCE, seen=today, models=tuple(ListedModel(id=m.name) for m in said.models))
        for tag in said.models:
            if full_name(tag.name) in known:
                models.append(ListedModel(id=tag.name))
            elif asked < _DESCRIBED_AT_MOST:
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
            # What runs elsewhere takes no memory here; its entry is a few hundred bytes.
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
    """`30.5B`, as `parameter_size` has it. None: it does not say."""
    found = _SIZE.fullmatch(size.strip())
    count = float(found[1]) * _BILLIONS[found[2]] if found else 0.0
    return count or None
