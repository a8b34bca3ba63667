"""Chroma with an exact index of recent changes on top, which move into Chroma in the background.

Adding a vector to Chroma holds Python's global interpreter lock for 8 to 30 ms, adding 500 for half a second or
more (chromadb 1.5.9, 50,000 vectors, measured 2026-11-25), which blocks all answers. So queries never write to
Chroma, and changes move in small batches with pauses.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import anyio

from .exact import ExactIndex
from .vector_index import Match, VectorIndex

if TYPE_CHECKING:
    from .vector_index import Vector, Vectors

STALL_S = 0.025
"""Target time per batch, so that answers hardly wait; 32 vectors at least, since four cost as much."""
_LEAST, _MOST = 32, 500
_SETTLE_FROM = 64


class LayeredIndex:
    """Implements `VectorIndex`; changes stay in the upper layer until `settle`."""

    def __init__(self, base: VectorIndex) -> None:
        self.base = base
        self._fresh = ExactIndex()
        self._gone: set[str] = set()

    @property
    def pending(self) -> int:
        """Number of changes in the layer."""
        return len(self._fresh) + len(self._gone)

    @property
    def is_due(self) -> bool:
        """Whether to call `settle`: at once for removals, in batches for additions, where many cost as much as one."""
        return bool(self._gone) or len(self._fresh) >= _SETTLE_FROM

    async def add(self, ids: Sequence[str], vectors: "Vectors") -> None:
        await self._fresh.add(ids, vectors)
        self._gone.difference_update(ids)

    async def remove(self, ids: Sequence[str]) -> None:
        await self._fresh.remove(ids)
        self._gone.update(ids)

    async def nearest(self, vector: "Vector", count: int) -> Sequence[Match]:
        """See `VectorIndex`."""
        if count < 1:
            return ()
        # Snapshot before awaiting: entries that move down meanwhile are in the layer's results, maybe in both.
        gone = frozenset(self._gone)
        found = {match.id: match for match in await self._fresh.nearest(vector, count)}
        for match in await self.base.nearest(vector, count + len(gone)):
            if match.id not in gone:
                found.setdefault(match.id, match)
        return sorted(found.values(), key=lambda match: -match.similarity)[:count]

    async def ids(self) -> frozenset[str]:
        return (await self.base.ids() - self._gone) | await self._fresh.ids()

    async def settle(self) -> None:
        """Move all changes into Chroma, in batches small enough not to delay answers.

        Queries continue meanwhile. Raises IndexFailure; changes not yet moved stay in the layer.
        """
        pace = WorkPacer()
        while self.pending:
            await pace.take(self._settle_some)

    async def _settle_some(self, most: int) -> int:
        if self._gone:
            going = sorted(self._gone)[:most]
            await self.base.remove(going)
            self._gone.difference_update(going)
            return len(going)
        ids, vectors = self._fresh.some(most)
        await self.base.add(ids, vectors)
        # Entries removed meanwhile are in `_gone` by now, so the base drops them too.
        await self._fresh.remove(ids)
        return len(ids)


class WorkPacer:
    """Adapts the batch size to take at most STALL_S, and pauses for as long after each batch."""

    def __init__(self) -> None:
        self._most = 32

    async def take(self, work: Callable[[int], Awaitable[int]]) -> None:
        """work: takes a limit, processes at most that many, and returns how many."""
        begun = time.monotonic()
        done = await work(self._most)
        took_s = time.monotonic() - begun
        if done == self._most:
            self._most = max(_LEAST, min(_MOST, 2 * self._most, int(self._most * STALL_S / max(took_s, 1e-6))))
        elif took_s > STALL_S:
            self._most = max(_LEAST, done // 2)
        await anyio.sleep(took_s)
