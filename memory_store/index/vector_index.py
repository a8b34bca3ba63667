"""Interfaces of vector indexes and of their storage."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors: TypeAlias = npt.NDArray[np.float32]
    """One vector of unit length per row."""
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
    """An index of vectors by id. All methods may raise IndexFailure."""

    async def add(self, ids: Sequence[str], vectors: "Vectors") -> None:
        """Add vectors; one with a known id replaces the old one."""
        ...

    async def remove(self, ids: Sequence[str]) -> None:
        """Remove vectors; unknown ids are ignored."""
        ...

    async def nearest(self, vector: "Vector", count: int) -> Sequence[Match]:
        """Up to `count` most similar vectors, best first."""
        ...

    async def ids(self) -> frozenset[str]:
        """All ids in the index."""
        ...


class Filling(Protocol):
    """Accepts many vectors. Raises IndexFailure."""

    async def add(self, ids: Sequence[str], vectors: "Vectors") -> None: ...


@dataclass(frozen=True)
class Opened:
    """An open index."""

    index: VectorIndex
    caught_up: int | None
    """The index holds all vectors of the ledger up to this row. None: not known, so compare."""


class IndexStorage(Protocol):
    """The storage of one embedder's index."""

    async def open(self) -> Opened:
        """Open, or reopen, the existing index, or create an empty one.

        Raises IndexDamaged when it must be discarded, IndexUnavailable when that would not help.
        """
        ...

    async def renew(self) -> Opened:
        """Delete the index and create an empty one."""
        ...

    @property
    def filling_threshold(self) -> int:
        """Use `filling` to add more vectors than this."""
        ...

    def filling(self, index: VectorIndex) -> AbstractAsyncContextManager[Filling]:
        """Add very many vectors without slowing down this process.

        The open index must not be used any more; open it again afterwards.
        """
        ...

    async def note(self, row: int) -> None:
        """Record that the index holds all vectors up to this row."""
        ...

    async def aclose(self) -> None: ...
