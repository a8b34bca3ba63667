"""Chroma with a thin layer over it: what is newer than Chroma is searched exactly, and moves down in the background.

A vector put into Chroma holds Python's interpreter lock for 8 to 30 ms, 500 for half a second and more
(chromadb 1.5.9, 50,000 vectors, measured 2026-11-25), and every answer waits with it. So no answer puts
anything in, and what is moved is moved in small pieces, with pauses.
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
"""What one piece should take, so that an answer hardly waits for it; never fewer than 32 vectors: four cost as much."""
_LEAST, _MOST = 32, 500
_SETTLE_FROM = 64


class LayeredIndex:
    """Implements `VectorIndex`; changes stay in the layer until `settle`."""

    def __init__(self, base: VectorIndex) -> None:
        self.base = base
        self._fresh = ExactIndex()
        self._gone: set[str] = set()

    @property
    def pending(self) -> int:
        """How many changes the layer holds."""
        return len(self._fresh) + len(self._gone)

    @property
    def is_due(self) -> bool:
        """Whether to settle: at once when something was forgotten; of what is new, many cost as much as one."""
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
        # Looked at before the wait: what moves down meanwhile is in the one, and may be in the other too.
        gone = frozenset(self._gone)
        found = {match.id: match for match in await self._fresh.nearest(vector, count)}
        for match in await self.base.nearest(vector, count + len(gone)):
            if match.id not in gone:
                found.setdefault(match.id, match)
        return sorted(found.values(), key=lambda match: -match.similarity)[:count]

    async def ids(self) -> frozenset[str]:
        return (await self.base.ids() - self._gone) | await self._fresh.ids()

    async def size(self) -> int:
        return len(await self.ids())

    async def clear(self) -> None:
        await self.remove(sorted(await self.ids()))

    async def aclose(self) -> None:
        await self._fresh.aclose()
        await self.base.aclose()

    async def settle(self) -> None:
        """Move down all that the layer holds, as many at once as an answer can wait for.

        Answers are given meanwhile. Raises IndexFailure; what was not moved then stays in the layer.
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
        # One that was taken out meanwhile is among the gone by now, and is taken out below as well.
        await self._fresh.remove(ids)
        return len(ids)


class WorkPacer:
    """Finds the size of a piece of work that takes no longer than STALL_S, and leaves as much time between two."""

    def __init__(self) -> None:
        self._most = 32

    async def take(self, work: Callable[[int], Awaitable[int]]) -> None:
        """work: does at most so many, and says how many it did."""
        begun = time.monotonic()
        done = await work(self._most)
        took_s = time.monotonic() - begun
        if done == self._most:
            self._most = max(_LEAST, min(_MOST, 2 * self._most, int(self._most * STALL_S / max(took_s, 1e-6))))
        elif took_s > STALL_S:
            self._most = max(_LEAST, done // 2)
        await anyio.sleep(took_s)
