"""Chroma's embedding functions, by their names in Chroma: `chroma:NAME`.

They read keys from the environment and may download a model, so only the one named by the user runs. All
but a few send texts to a vendor, bypassing this program's egress control, so these never get local-only
texts.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.to_thread

from .calibration import probe_texts, similar_from
from .embedder import EmbedderUnavailable
from .vectors import unit_rows

if TYPE_CHECKING:
    from ..index.vector_index import Vectors

_RUN_HERE = frozenset({"default", "onnx_mini_lm_l6_v2", "sentence_transformer", "text2vec", "instructor", "open_clip"})
"""Functions that run on this machine (chromadb 1.5.9)."""
_SHOWN_OF_AN_ERROR = 200

EmbeddingFunction = Callable[[list[str]], Sequence[Any]]
"""Chroma's interface: takes a list of texts, returns a vector for each, of any number type."""


class ChromaFunctionEmbedder:
    """Implements `Embedder`."""

    def __init__(self, name: str, make: Callable[[str], EmbeddingFunction] | None = None) -> None:
        """make: creates the function with a name, in a worker thread. None: Chroma's own."""
        self.id = f"chroma:{name}"
        self._name = name
        self._make = make or _function_named
        self._function: EmbeddingFunction | None = None
        self._similar_from: float | None = None
        self._preparing = anyio.Lock()

    async def prepare(self) -> None:
        """See `Embedder`. Imports chromadb, which takes a second, and may download a model."""
        async with self._preparing:
            if self._similar_from is not None:
                return
            vectors = await self.embed(probe_texts(), local_only=self._name in _RUN_HERE)
            self._similar_from = await anyio.to_thread.run_sync(similar_from, vectors)

    @property
    def is_remote(self) -> bool:
        """See `Embedder`."""
        return self._name not in _RUN_HERE

    @property
    def similar_from(self) -> float:
        """See `Embedder`."""
        if self._similar_from is None:
            raise EmbedderUnavailable(f"{self.id} has not been asked yet")
        return self._similar_from

    async def embed(self, texts: Sequence[str], *, local_only: bool = False) -> "Vectors":
        """See `Embedder`."""
        if local_only and self._name not in _RUN_HERE:
            raise EmbedderUnavailable(
                f"{self.id} sends texts to a vendor, and this one may not leave the machine."
                " Set CHARGEHAND_EMBEDDER=lexical, or use an Ollama on this machine"
            )
        # Abandoned on cancellation, since a download can take minutes.
        return await anyio.to_thread.run_sync(self._embed, list(texts), abandon_on_cancel=True)

    async def aclose(self) -> None:
        """See `Embedder`. There is nothing to close."""

    def _embed(self, texts: list[str]) -> "Vectors":
        # Each function has its own errors (httpx, the vendors' SDKs, ValueError for a missing package),
        # so all are translated alike.
        try:
            if self._function is None:
                self._function = self._make(self._name)
            return unit_rows(self._function(texts))
        except EmbedderUnavailable:
            raise
        except Exception as error:
            said = " ".join(f"{type(error).__name__}: {error}".split())[:_SHOWN_OF_AN_ERROR]
            raise EmbedderUnavailable(
                f"Chroma's embedding function {self._name} fails ({said}). Give it the package, key or model it asks"
                " for, or set CHARGEHAND_EMBEDDER=lexical"
            ) from error


def _function_named(name: str) -> EmbeddingFunction:
    from chromadb.utils import embedding_functions

    # Cast, because chromadb does not fully type this mapping.
    known = cast(
        Mapping[str, Callable[[], EmbeddingFunction]],
        embedding_functions.known_embedding_functions,  # pyright: ignore[reportUnknownMemberType] - see above
    )
    if name not in known:
        raise EmbedderUnavailable(
            f"Chroma has no embedding function {name!r}; it has {', '.join(sorted(known))}. Correct CHARGEHAND_EMBEDDER"
        )
    return known[name]()
