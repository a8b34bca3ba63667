"""Ollama's response formats for models.

`docs/openapi.yaml` and `api/types.go` of ollama/ollama (seen 2026-11-24).
"""

import datetime as dt
import re

from pydantic import BaseModel, ConfigDict, Field, field_validator

_DIGEST_LENGTH = 12
"""The number of digest characters that `ollama list` shows."""
_SIZE = re.compile(r"(\d{1,5}(?:\.\d{1,3})?)\s*([KMBT])")
_BILLIONS = {"K": 1e-6, "M": 1e-3, "B": 1.0, "T": 1e3}


class _ResponsePart(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=())


class _Details(_ResponsePart):
    family: str = ""
    parameter_size: str = ""
    """With a unit: `30.5B`."""
    quantization_level: str = ""


class _MaybeRemote(_ResponsePart):
    remote_host: str = ""
    remote_model: str = ""

    @property
    def names_a_remote(self) -> bool:
        return bool(self.remote_host or self.remote_model)


class Listed(_MaybeRemote):
    name: str
    digest: str = ""
    size: int = Field(default=0, ge=0)
    """Bytes on disk."""
    details: _Details = _Details()

    @property
    def build(self) -> str:
        """Digest and quantization of the weights."""
        digest = self.digest.removeprefix("sha256:")[:_DIGEST_LENGTH]
        return f"{digest} {self.details.quantization_level}".strip()

    @property
    def total_billion(self) -> float | None:
        """Parameters in billions. None: not stated."""
        found = _SIZE.fullmatch(self.details.parameter_size.strip())
        return (float(found[1]) * _BILLIONS[found[2]] or None) if found else None


class Tags(_ResponsePart):
    models: list[Listed]
    """The first entry of each name."""

    @field_validator("models")
    @classmethod
    def _once_each(cls, models: list[Listed]) -> list[Listed]:
        # Since 0.40 a name can have a row per runner (`server/model_list.go` at v0.40.0-rc0, 2026-09-25).
        return list({model.name: model for model in reversed(models)}.values())[::-1]


class _Loaded(_ResponsePart):
    name: str
    context_length: int | None = None
    size: int = 0
    size_vram: int = 0
    expires_at: dt.datetime | None = None


class Running(_ResponsePart):
    models: list[_Loaded] = Field(default_factory=list[_Loaded])


class Shown(_MaybeRemote):
    capabilities: list[str] = Field(default_factory=list[str])
    model_info: dict[str, object] = Field(default_factory=dict[str, object])
    """Keys are prefixed with the architecture: `qwen3.context_length`."""

    @property
    def context_tokens(self) -> int | None:
        key = f"{self.model_info.get('general.architecture')}.context_length"
        stated = self.model_info.get(key)
        return stated if isinstance(stated, int) and not isinstance(stated, bool) and stated > 0 else None


def full_name(name: str) -> str:
    """An Ollama model name with its tag."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def is_named_as_remote(name: str) -> bool:
    """Whether the name marks a model that runs on Ollama's machines."""
    return full_name(name).endswith(("-cloud", ":cloud"))


def is_remote(listed: Listed, shown: Shown) -> bool:
    """Whether the server forwards requests to a remote host."""
    return is_named_as_remote(listed.name) or listed.names_a_remote or shown.names_a_remote
