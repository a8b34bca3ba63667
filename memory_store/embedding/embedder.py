"""The embedder interface: turns texts of tasks into vectors whose cosine measures their similarity."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..index.vector_index import Vectors


class EmbedderUnavailable(Exception):
    """The embedder cannot be used now; the message gives cause and remedy."""


class Embedder(Protocol):
    """Turns texts into vectors. Vectors of embedders with different ids are never compared."""

    async def prepare(self) -> None:
        """Determine `id` and `similar_from`, once. Raises EmbedderUnavailable.

        After a failure the next call tries again.
        """
        ...

    @property
    def is_remote(self) -> bool:
        """Whether the texts are sent to another machine. Known before `prepare`."""
        ...

    @property
    def id(self) -> str:
        """Differs whenever a text could get a different vector. Raises EmbedderUnavailable before `prepare`."""
        ...

    @property
    def similar_from(self) -> float:
        """The minimum cosine of texts about the same kind of work. Raises EmbedderUnavailable before `prepare`."""
        ...

    async def embed(self, texts: Sequence[str], *, local_only: bool = False) -> "Vectors":
        """The texts' vectors, in order, each of unit length.

        local_only: the texts must not leave the machine. Raises EmbedderUnavailable, also if they would.
        """
        ...

    async def aclose(self) -> None:
        """Release its resources."""
        ...
