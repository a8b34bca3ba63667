"""What an embedder is: it turns the texts of tasks into vectors whose cosine says how alike they are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..index.vector_index import Vectors


class EmbedderUnavailable(Exception):
    """There are no vectors now. The message says why, and what the user can do."""


class Embedder(Protocol):
    """Gives each text a vector. Vectors of embedders with different ids are never compared."""

    async def prepare(self) -> None:
        """Find out what `id`, `dimensions` and `similar_from` say. Does its work once; raises EmbedderUnavailable.

        A failure is not remembered: the next call tries again.
        """
        ...

    @property
    def leaves(self) -> bool:
        """Whether the texts are sent to another machine. Known before `prepare`."""
        ...

    @property
    def id(self) -> str:
        """Changes whenever the same text would get another vector. Raises EmbedderUnavailable before `prepare`."""
        ...

    @property
    def dimensions(self) -> int:
        """Raises EmbedderUnavailable before `prepare`."""
        ...

    @property
    def similar_from(self) -> float:
        """The cosine from which texts ask for the same kind of work. Raises EmbedderUnavailable before `prepare`."""
        ...

    async def embed(self, texts: Sequence[str], *, local_only: bool = False) -> "Vectors":
        """The vectors of the texts, in their order, each of unit length.

        local_only: the texts may not leave the machine. Raises EmbedderUnavailable, also where they would.
        """
        ...

    async def aclose(self) -> None:
        """Close what it holds open."""
        ...
