"""Embeds with a model on the user's own Ollama, through `/api/embed`.

The embedder's id includes the digest of the weights: a tag that was pulled again is a different embedder, and its
vectors are not compared with the old ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import anyio
import anyio.to_thread
from pydantic import BaseModel, ConfigDict, ValidationError

from ...memory_store.embedding.calibration import probe_texts, similar_from
from ...memory_store.embedding.embedder import EmbedderUnavailable
from ...memory_store.embedding.vectors import unit_rows
from ...tools.provider import Unreachable
from .deadline import CONNECT_TIMEOUT_S
from .egress import client_options, not_local
from .ollama import ollama_at
from .ollama_models import InstalledModel, OllamaModels
from .ollama_wire import is_named_as_remote
from .vendor_settings import VendorSettings

if TYPE_CHECKING:
    import httpx

    from ...memory_store.index.vector_index import Vectors

_ANSWER_TIMEOUT_S = 60.0
"""Long enough for a cold load; a caller that cannot wait that long cancels."""
_KEEP_LOADED = "10m"
_LONGEST_TEXT = 24_000
"""Characters. Embedding models have small windows, and the server truncates longer texts anyway."""
_OR_LEXICAL = "or set CHARGEHAND_EMBEDDER=lexical"


class OllamaEmbedder:
    """Implements `Embedder`."""

    def __init__(self, model: str, settings: VendorSettings) -> None:
        """Raises InvalidAddress."""
        self._model = model
        self._vendor = ollama_at(settings)
        self._gate = settings.common_gate
        self._models = OllamaModels(self._vendor, self._gate, settings.clock)
        self._client: httpx.AsyncClient | None = None
        self._known: _Prepared | None = None
        self._preparing = anyio.Lock()

    async def prepare(self) -> None:
        """See `Embedder`. Makes the server load the model and embed a dozen short built-in sentences."""
        async with self._preparing:
            if self._known is not None:
                return
            if self._gate.blocks(self._vendor.host):
                self._refuse(self._vendor.host)
            installed = await self._installed()
            vectors = await self._embed(probe_texts())
            threshold = await anyio.to_thread.run_sync(similar_from, vectors)
            self._known = _Prepared(digest=_digest(installed), similar_from=threshold)

    @property
    def is_remote(self) -> bool:
        """See `Embedder`."""
        return not self._vendor.is_local or is_named_as_remote(self._model)

    @property
    def id(self) -> str:
        """See `Embedder`: `ollama:MODEL@DIGEST`."""
        return f"ollama:{self._model}@{self._prepared.digest}"

    @property
    def similar_from(self) -> float:
        """See `Embedder`."""
        return self._prepared.similar_from

    async def embed(self, texts: Sequence[str], *, local_only: bool = False) -> "Vectors":
        """See `Embedder`. Of a text longer than the model's window, only the beginning counts."""
        prepared = self._prepared
        if local_only and not self._vendor.is_local:
            self._refuse(self._vendor.host)
        installed = await self._installed()
        if local_only and installed.is_remote:
            self._refuse("the machine that runs this Ollama cloud model")
        if _digest(installed) != prepared.digest:
            raise EmbedderUnavailable(
                f"{self._model} was pulled anew, so it is another embedder. Restart your MCP host: remembered tasks are"
                " then embedded again"
            )
        return await self._embed(texts)

    async def aclose(self) -> None:
        """See `Embedder`."""
        await self._models.aclose()
        if self._client is not None:
            await self._client.aclose()

    @property
    def _prepared(self) -> "_Prepared":
        if self._known is None:
            raise EmbedderUnavailable(f"ollama:{self._model} has not been asked yet")
        return self._known

    async def _installed(self) -> InstalledModel:
        try:
            installed = await self._models.named(self._model)
        except Unreachable as error:
            raise EmbedderUnavailable(str(error).rstrip(".")) from error
        if installed is None:
            self._models.forget()  # it may be pulled at any moment
            raise EmbedderUnavailable(
                f"{self._model} is not installed in Ollama. Run: ollama pull {self._model}, {_OR_LEXICAL}"
            )
        return installed

    async def _embed(self, texts: Sequence[str]) -> "Vectors":
        import httpx

        client = await self._open()
        body = {
            "model": self._model,
            "input": [text[:_LONGEST_TEXT] or " " for text in texts],
            "truncate": True,
            "keep_alive": _KEEP_LOADED,
        }
        try:
            response = await client.post("/api/embed", json=body)
            response.raise_for_status()
            answer = _Answer.model_validate_json(response.content)
            if len(answer.embeddings) != len(texts):
                raise ValueError("another number of vectors than of texts")
            return await anyio.to_thread.run_sync(unit_rows, answer.embeddings)
        except httpx.HTTPStatusError as error:
            raise EmbedderUnavailable(
                f"Ollama answers {error.response.status_code} when {self._model} is to embed. Check with"
                f" `ollama show {self._model}` that it is an embedding model, {_OR_LEXICAL}"
            ) from error
        except httpx.HTTPError as error:
            raise EmbedderUnavailable(
                f"Ollama does not answer at {self._vendor.url}. Start it with `ollama serve`, {_OR_LEXICAL}"
            ) from error
        except (ValidationError, ValueError) as error:
            raise EmbedderUnavailable(
                f"what Ollama gives for {self._model} are not vectors. Choose an embedding model, {_OR_LEXICAL}"
            ) from error

    async def _open(self) -> "httpx.AsyncClient":
        if self._client is None:
            self._client = await anyio.to_thread.run_sync(self._connect)
        return self._client

    def _connect(self) -> "httpx.AsyncClient":
        import httpx

        return httpx.AsyncClient(
            base_url=self._vendor.url,
            timeout=httpx.Timeout(_ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            **client_options(self._vendor, self._gate),
        )

    def _refuse(self, host: str) -> NoReturn:
        raise EmbedderUnavailable(f"{not_local(host).rstrip('.')}, {_OR_LEXICAL}")


@dataclass(frozen=True)
class _Prepared:
    """The results of `prepare`."""

    digest: str
    similar_from: float


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    embeddings: list[list[float]]


def _digest(installed: InstalledModel) -> str:
    return installed.build.partition(" ")[0]
