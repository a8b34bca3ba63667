"""Ollama's `GET /api/tags` and, for each model without a profile, `POST /api/show`."""

import datetime as dt
from collections.abc import Sequence

from ...profiles.model import ModelProfile
from ...profiles.releases.listing import ListedModel, ListedWeights, Listing
from ...profiles.vocabulary import Capability
from ..providers.egress import Gate
from ..providers.ollama_names import installed_name
from ..providers.ollama_wire import Listed, Shown, Tags, full_name, is_remote
from ..providers.vendor import Vendor
from .fetching import Reader

SOURCE = "Ollama show"
_MAX_DESCRIBED = 50
"""New models whose details are requested; any further ones are left out of the listing."""


async def read_ollama(vendor: Vendor, gate: Gate, profiles: Sequence[ModelProfile], today: dt.date) -> Listing:
    """The installed text models. Raises ListingUnavailable.

    profiles: of the models in Ollama. No details are requested of a model that has one, and another build that is asked
    in its place is left out.
    """
    models: list[ListedModel] = []
    asked = 0
    async with Reader(vendor, gate) as reader:
        tags = await reader.get("/api/tags", Tags)
        # Validates the names before any of them is put into a request.
        Listing(provider="ollama", source=SOURCE, seen=today, models=tuple(ListedModel(id=m.name) for m in tags.models))
        own = {full_name(profile.api_model) for profile in profiles}
        in_place_of_others = {installed_name(profile, tags.models, own) for profile in profiles} - own
        for tag in tags.models:
            if full_name(tag.name) in own:
                models.append(ListedModel(id=tag.name))
            elif full_name(tag.name) in in_place_of_others:
                continue
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
            total_billion=tag.total_billion,
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
