"""Ollama's `GET /api/tags` and, for each model that nobody has described yet, `POST /api/show`.

Shapes: `docs/openapi.yaml` and `api/types.go` of ollama/ollama (seen 2026-11-24).
"""

import datetime as dt
import re
from collections.abc import Set as AbstractSet
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ...profiles.releases.listing import MODELS_AT_MOST, ListedModel, ListedWeights, Listing
from ...profiles.vocabulary import Capability
from ..providers.egress import Gate
from ..providers.ollama_models import full_name, is_named_as_remote
from ..providers.vendor import Vendor
from .fetching import Reader

SOURCE = "Ollama show"
_DESCRIBED_AT_MOST = 50
"""New models of which more is asked than the name; who has more is told."""
_DIGEST_LENGTH = 12
_SIZE = re.compile(r"(\d{1,5}(?:\.\d{1,3})?)\s*([KMBT])")
_BILLIONS = {"K": 1e-6, "M": 1e-3, "B": 1.0, "T": 1e3}

Short = Annotated[str, Field(max_length=200)]


class _Said(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=())


class _Details(_Said):
    family: Short = ""
    parameter_size: Short = ""
    quantization_level: Short = ""


class _Remotable(_Said):
    remote_host: Short = ""
    remote_model: Short = ""

    @property
    def is_remote(self) -> bool:
        return bool(self.remote_host or self.remote_model)


class _Tag(_Remotable):
    name: Short
    digest: Short = ""
    size: Annotated[int, Field(ge=0, le=10**15)] = 0
    """Bytes on disk."""
    details: _Details = _Details()


class _Tags(_Said):
    models: Annotated[list[_Tag], Field(max_length=MODELS_AT_MOST)]


class _Shown(_Remotable):
    capabilities: Annotated[list[Short], Field(max_length=50)] = []
    model_info: Annotated[dict[str, object], Field(max_length=2_000)] = {}
    """Keys are prefixed with the architecture: `qwen3.context_length`."""

    @property
    def context_tokens(self) -> int | None:
        stated = self.model_info.get(f"{self.model_info.get('general.architecture')}.context_length")
        return stated if isinstance(stated, int) and not isinstance(stated, bool) else None


async def read_ollama(vendor: Vendor, gate: Gate, known: AbstractSet[str], today: dt.date) -> Listing:
    """All that is installed and writes text. Raises NotRead.

    known: wire ids, with their tags, that have a profile: of these nothing more is asked than that they are there.
    """
    models: list[ListedModel] = []
    asked = 0
    async with Reader(vendor, gate) as reader:
        said = await reader.get("/api/tags", _Tags)
        # Refused before a word of it goes into a request.
        Listing(provider="ollama", source=SOURCE, seen=today, models=tuple(ListedModel(id=m.name) for m in said.models))
        for tag in said.models:
            if full_name(tag.name) in known:
                models.append(ListedModel(id=tag.name))
            elif asked < _DESCRIBED_AT_MOST:
                asked += 1
                shown = await reader.post("/api/show", {"model": tag.name}, _Shown)
                if "completion" in shown.capabilities:
                    models.append(_listed(tag, shown))
    return Listing(provider="ollama", source=SOURCE, seen=today, models=tuple(models))


def _listed(tag: _Tag, shown: _Shown) -> ListedModel:
    digest = tag.digest.removeprefix("sha256:")[:_DIGEST_LENGTH]
    is_remote = tag.is_remote or shown.is_remote or is_named_as_remote(tag.name)
    return ListedModel(
        id=tag.name,
        context_tokens=shown.context_tokens,
        capabilities=_capabilities(shown),
        can_think="thinking" in shown.capabilities,
        weights=ListedWeights(
            build=f"{digest} {tag.details.quantization_level}".strip(),
            quantization=tag.details.quantization_level or None,
            # What runs elsewhere takes no memory here; its entry is a few hundred bytes.
            size_gb=None if is_remote or not tag.size else max(0.001, round(tag.size / 1e9, 3)),
            total_billion=_billions(tag.details.parameter_size),
            family=tag.details.family or None,
            is_remote=is_remote,
        ),
    )


def _capabilities(shown: _Shown) -> tuple[Capability, ...]:
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
