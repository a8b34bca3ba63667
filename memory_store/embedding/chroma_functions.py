"""Chroma's own embedding functions, by the name that Chroma gives them: `chroma:NAME`.

They read their keys from the environment and may download a model: only what the user named runs. All
but a few send the texts to a vendor, past this program's own gate, so a text that may not leave is
never given to those.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, cast

import anyio
import anyio.to_thread

from .calibration import probe_texts, similar_from
from .embedder import EmbedderUnavailable
from .vectors import unit_rows

if TYPE_CHECKING:
    from ..index.vector_index import Vectors

_RUN_HERE = frozenset({"default", "onnx_mini_lm_l6_v2", "sentence_transformer", "text2vec", "instructor", "open_clip"})
"""Those that compute on this machine (chromadb 1.5.9)."""
_SHOWN_OF_AN_ERROR = 200

EmbeddingFunction = Callable[[list[str]], Sequence[Any]]
"""What Chroma calls so: a list of texts in, a vector for each out, of whatever number type."""


class ChromaFunctionEmbedder:
    """Implements `Embedder`."""

    def __init__(self, name: str, make: Callable[[str], EmbeddingFunction] | None = None) -> None:
        """make: gives the function of a name, in a worker thread. None: Chroma's own."""
        self.id = f"chroma:{name}"
        self._name = name
        self._make = make or _function_named
        self._function: EmbeddingFunction | None = None
        self._dimensions: int | None = None
        self._similar_from: float | None = None
        self._preparing = anyio.Lock()

    async def prepare(self) -> None:
        """See `Embedder`. Imports chromadb, which takes a second, and may download what the function needs."""
        async with self._preparing:
            if self._similar_from is not None:
                return
            vectors = await self.embed(probe_texts(), local_only=self._name in _RUN_HERE)
            self._dimensions = int(vectors.shape[1])
            self._similar_from = await anyio.to_thread.run_sync(similar_from, vectors)

    @property
    def leaves(self) -> bool:
        """See `Embedder`."""
        return self._name not in _RUN_HERE

    @property
    def dimensions(self) -> int:
        """See `Embedder`."""
        return self._dimensions if self._dimensions is not None else self._unprepared()

    @property
    def similar_from(self) -> float:
        """See `Embedder`."""
        return self._similar_from if self._similar_from is not None else self._unprepared()

    async def embed(self, texts: Sequence[str], *, local_only: bool = False) -> "Vectors":
        """See `Embedder`."""
        if local_only and self._name not in _RUN_HERE:
            raise EmbedderUnavailable(
                f"{self.id} sends texts to a vendor, and this one may not leave the machine."
                " Set CHARGEHAND_EMBEDDER=lexical, or use an Ollama on this machine"
            )
        # Abandoned, not awaited, when cancelled: a download takes minutes.
        return await anyio.to_thread.run_sync(self._embed, list(texts), abandon_on_cancel=True)

    async def aclose(self) -> None:
        """See `Embedder`. The functions have nothing that could be closed."""

    def _embed(self, texts: list[str]) -> "Vectors":
        # Each function has errors of its own (httpx, the vendors' SDKs, ValueError for a missing package),
        # so any error is the same to us: there are no vectors, and here is what it said.
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

    def _unprepared(self) -> NoReturn:
        raise EmbedderUnavailable(f"{self.id} has not been asked yet")


def _function_named(name: str) -> EmbeddingFunction:
    from chromadb.utils import embedding_functions

    # Cast, because chromadb leaves the type of its documents open.
    known = cast(
        Mapping[str, Callable[[], EmbeddingFunction]],
        embedding_functions.known_embedding_functions,  # pyright: ignore[reportUnknownMemberType] - see above
    )
    if name not in known:
        raise EmbedderUnavailable(
            f"Chroma has no embedding function {name!r}; it has {', '.join(sorted(known))}. Correct CHARGEHAND_EMBEDDER"
        )
    return known[name]()
