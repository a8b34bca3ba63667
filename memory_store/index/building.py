"""Brings an index level with the ledger before it answers: checks what it holds, adds what it lacks."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from .chroma_library import index_form
from .contents import Contents
from .errors import IndexDamaged, IndexFailed, NotFindable
from .exact_choice import ExactChoice
from .layered import LayeredIndex
from .self_check import check_findable
from .vector_index import IndexStorage, Opened, VectorIndex

if TYPE_CHECKING:
    from ..ledger import Ledger
    from .vector_index import Vectors

BATCH = 500
"""Rows of the ledger read and added together."""


class IndexBuilder:
    """Builds the indexes of one embedder. `held`, everywhere, are the entries in an index; it is kept up to date."""

    def __init__(
        self,
        ledger: "Ledger",
        embedder: str,
        storage: IndexStorage,
        contents: Contents,
        on_progress: Callable[[int, int], None],
    ) -> None:
        """embedder: its id. on_progress: called with the numbers of vectors in the index and in all, if many lack."""
        self._ledger = ledger
        self._embedder = embedder
        self._storage = storage
        self._contents = contents
        self._on_progress = on_progress

    async def examine(self, opened: Opened) -> set[str]:
        """The entries in an opened index, without those that are no longer in the ledger, which are removed.

        Raises IndexDamaged when it lacks vectors that it should have, or does not find its own.
        """
        index = opened.index
        try:
            held = set(await index.ids())
            if opened.caught_up is not None and (lost := self._contents.expected_at(opened.caught_up) - held):
                raise IndexDamaged(f"{len(lost)} vectors are missing from it")
            foreign = held - self._contents.register.entries
            await index.remove(sorted(foreign))
            held -= foreign
            await self._check_findable(index, held)
        except IndexFailed as failure:
            raise IndexDamaged(f"Chroma cannot read it ({failure})") from failure
        return held

    async def complete(self, index: VectorIndex, held: set[str]) -> VectorIndex:
        """Add all entries not in `held`; the index, which may have been reopened."""
        if len(self._contents.register.entries - held) <= self._storage.filling_threshold:
            layered = LayeredIndex(index)

            async def add(ids: Sequence[str], vectors: "Vectors") -> None:
                await layered.add(ids, vectors)
                await layered.settle()

            await self._fill_with(add, held)
            return index
        async with self._storage.filling(index) as filling:
            await self._fill_with(filling.add, held)
        return (await self._storage.open()).index

    async def why_exact(self, index: VectorIndex, held: set[str]) -> ExactChoice | None:
        """The choice of exact search if a newly built index misses too much. None: it does not."""
        try:
            await self._check_findable(index, held)
        except NotFindable as missed:
            return ExactChoice(self._embedder, index_form(), len(held), missed.misses, missed.looked_for)
        return None

    async def sync_layer(self, layered: LayeredIndex, held: set[str]) -> None:
        """Add changes that arrived meanwhile to the layer; the last step, while queries wait."""
        while True:
            change = await self._contents.next_change(BATCH)
            self._contents.apply(change)
            async for batch in self._contents.missing(held, BATCH):
                await layered.add(batch.added, batch.vectors)
                held.update(batch.added)
            await layered.remove(sorted(held - self._contents.register.entries))
            held &= self._contents.register.entries
            if not change.is_more:
                return

    async def _fill_with(self, add: "Callable[[Sequence[str], Vectors], Awaitable[None]]", held: set[str]) -> None:
        """Add missing entries in batches and record progress after each, so that a killed process can resume."""
        async for batch in self._contents.missing(held, BATCH):
            total = len(self._contents.register.entries)
            if total - len(held) > len(batch.added):
                self._on_progress(len(held), total)
            await add(batch.added, batch.vectors)
            held.update(batch.added)
            await self._storage.note(batch.row)

    async def _check_findable(self, index: VectorIndex, held: set[str]) -> None:
        await check_findable(index, self._ledger, self._embedder, self._contents.register, held)
