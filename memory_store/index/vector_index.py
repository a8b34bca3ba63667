"""What an index of vectors does, whoever does it."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors: TypeAlias = npt.NDArray[np.float32]
    """A row for each, of unit length."""
    Vector: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Neighbour:
    task_id: str
    similarity: float
    """Cosine, -1 to 1."""


@dataclass(frozen=True)
class Match:
    id: str
    similarity: float
    """Cosine, -1 to 1."""


class VectorIndex(Protocol):
    """Raises IndexFailure from every call that cannot be done."""

    async def add(self, ids: Sequence[str], vectors: "Vectors") -> None:
        """Put vectors in; one with a known id takes the place of the old."""
        ...

    async def remove(self, ids: Sequence[str]) -> None:
        """Take vectors out; unknown ids are ignored."""
        ...

    async def nearest(self, vector: "Vector", count: int) -> Sequence[Match]:
        """Up to `count` of those most similar, best first."""
        ...

    async def ids(self) -> frozenset[str]:
        """The ids of all that is in."""
        ...

    async def size(self) -> int: ...

    async def clear(self) -> None: ...

    async def aclose(self) -> None: ...


class Filling(Protocol):
    """Takes many vectors in. Raises IndexFailure."""

    async def add(self, ids: Sequence[str], vectors: "Vectors") -> None: ...


@dataclass(frozen=True)
class Opened:
    """An index that stands open."""

    index: VectorIndex
    caught_up: int | None
    """Vectors of the ledger's rows up to this one are in. None: nobody knows, so compare."""


class Shelf(Protocol):
    """Where the index of one embedder is kept."""

    async def open(self) -> Opened:
        """The index that is there, opened anew, or an empty one.

        Raises IndexDamaged when it must be thrown away, IndexUnavailable when that would not help.
        """
        ...

    async def renew(self) -> Opened:
        """An empty index; the old one is gone."""
        ...

    @property
    def apart_from(self) -> int:
        """More vectors than this are worth `filling`."""
        ...

    def filling(self, index: VectorIndex) -> AbstractAsyncContextManager[Filling]:
        """For very many vectors, without slowing this process down.

        The index that stands open is not to be used from here on: open it again afterwards.
        """
        ...

    async def note(self, row: int) -> None:
        """Remember that the vectors of all rows up to this one are in."""
        ...

    async def aclose(self) -> None: ...
