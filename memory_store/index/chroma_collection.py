"""A Chroma collection as an index, embedded or on a server."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from .vector_index import Match
from .worker import Worker

if TYPE_CHECKING:
    from chromadb import Collection

    from .vector_index import Vector, Vectors

CALL_LIMIT_S = 60.0
"""A call that takes longer is considered stuck."""

_BATCH = 500
_IDS_BATCH = 10_000

_T = TypeVar("_T")


class ChromaCollection:
    """Stores only ids and vectors; Chroma never gets or embeds texts."""

    def __init__(
        self, worker: Worker, collection: "Collection", reading: AbstractContextManager[None] | None = None
    ) -> None:
        """reading: entered around each read."""
        self._worker = worker
        self._collection = collection
        self._reading = reading or nullcontext()

    async def add(self, ids: Sequence[str], vectors: "Vectors") -> None:
        for start in range(0, len(ids), _BATCH):
            part = slice(start, start + _BATCH)
            # Chroma annotates arrays as lists of arrays, hence Any.
            some: Any = vectors[part]
            await self._worker.run(
                lambda part=part, some=some: self._collection.upsert(ids=list(ids[part]), embeddings=some),
                limit_s=CALL_LIMIT_S,
            )

    async def remove(self, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), _BATCH):
            some = list(ids[start : start + _BATCH])
            await self._worker.run(lambda some=some: self._collection.delete(ids=some), limit_s=CALL_LIMIT_S)

    async def nearest(self, vector: "Vector", count: int) -> Sequence[Match]:
        if count < 1:
            return ()
        query: Any = vector.reshape(1, -1)

        def ask() -> list[Match]:
            found = self._collection.query(query_embeddings=query, n_results=count, include=["distances"])
            distances = found["distances"] or [[]]
            return [Match(id_, 1.0 - far) for id_, far in zip(found["ids"][0], distances[0], strict=True)]

        return await self._read(ask)

    async def ids(self) -> frozenset[str]:
        def ask() -> frozenset[str]:
            found: set[str] = set()
            while True:
                some = self._collection.get(limit=_IDS_BATCH, offset=len(found), include=[])["ids"]
                found.update(some)
                if len(some) < _IDS_BATCH:
                    return frozenset(found)

        return await self._read(ask)

    async def _read(self, ask: Callable[[], _T]) -> _T:
        def marked() -> _T:
            with self._reading:
                return ask()

        return await self._worker.run(marked, limit_s=CALL_LIMIT_S)
