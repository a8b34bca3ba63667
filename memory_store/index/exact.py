"""Brute-force search in memory: exact, no files, nothing to build; slow only for many vectors."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .vector_index import Match

if TYPE_CHECKING:
    from .vector_index import Vector, Vectors

_INITIAL_CAPACITY = 1024


class ExactIndex:
    """Vectors in one array. No call awaits anything, so calls never interleave."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._place: dict[str, int] = {}
        self._block: Vectors | None = None

    def __len__(self) -> int:
        return len(self._ids)

    def some(self, most: int) -> tuple[Sequence[str], "Vectors"]:
        """Ids and vectors of up to `most` entries. Raises ValueError if none was ever added."""
        if self._block is None:
            raise ValueError("an index that never held anything has no vectors")
        some = self._ids[:most]
        return some, self._block[: len(some)].copy()

    async def add(self, ids: Sequence[str], vectors: "Vectors") -> None:
        for id_, vector in zip(ids, vectors, strict=True):
            place = self._place.get(id_)
            if place is None:
                place = self._place[id_] = len(self._ids)
                self._ids.append(id_)
            self._ensure_capacity(place + 1, len(vector))[place] = vector

    async def remove(self, ids: Sequence[str]) -> None:
        for id_ in ids:
            place = self._place.pop(id_, None)
            if place is None or self._block is None:
                continue
            # The last entry fills the gap.
            last = self._ids.pop()
            if last != id_:
                self._ids[place] = last
                self._place[last] = place
                self._block[place] = self._block[len(self._ids)]

    async def nearest(self, vector: "Vector", count: int) -> Sequence[Match]:
        if self._block is None or not self._ids or count < 1:
            return ()
        import numpy as np

        similarities = self._block[: len(self._ids)] @ vector
        count = min(count, len(self._ids))
        best = np.argpartition(similarities, -count)[-count:]
        ordered: list[int] = best[np.argsort(-similarities[best], kind="stable")].tolist()
        return [Match(self._ids[place], float(similarities[place])) for place in ordered]

    async def ids(self) -> frozenset[str]:
        return frozenset(self._ids)

    def _ensure_capacity(self, rows: int, dimensions: int) -> "Vectors":
        import numpy as np

        if self._block is None:
            self._block = np.empty((max(_INITIAL_CAPACITY, rows), dimensions), dtype=np.float32)
        elif rows > len(self._block):
            grown = np.empty((2 * rows, dimensions), dtype=np.float32)
            grown[: len(self._block)] = self._block
            self._block = grown
        return self._block
