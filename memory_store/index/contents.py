"""The expected contents of the index, read from the ledger and updated as it changes."""

import math
from collections.abc import AsyncGenerator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio.to_thread

from .. import embeddings
from .register import Register, entry_of

if TYPE_CHECKING:
    from ..embeddings import EmbeddingRows
    from ..ledger import Ledger
    from .vector_index import Vector, VectorIndex, Vectors

_BATCH = 2000
_FLOAT_BYTES = 4
_SLACK = 1.02
"""The capacity may be exceeded by this factor before the oldest are evicted, so that eviction is batched."""


@dataclass(frozen=True)
class Entered:
    """A task with the id (`entry`) of its vector."""

    task_id: str
    entry: str
    row: int
    begun_at: float
    blob: bytes


@dataclass(frozen=True)
class LedgerUpdate:
    """Changes in the ledger since the last read."""

    entered: Sequence[Entered]
    gone: Sequence[str]
    """Tasks that no longer have a vector."""
    row: int
    removal_row: int
    is_more: bool
    """Whether there are more changes than the limit."""

    @property
    def added(self) -> list[str]:
        return [one.entry for one in _distinct(self.entered)]

    @property
    def vectors(self) -> "Vectors":
        return embeddings.decode([one.blob for one in _distinct(self.entered)])


@dataclass(frozen=True)
class Batch:
    added: Sequence[str]
    vectors: "Vectors"
    row: int
    """With this batch, the index holds all vectors up to this row."""


class Contents:
    """The newest tasks and the entries of their vectors, as read from the ledger so far."""

    def __init__(self, ledger: "Ledger", embedder: str, capacity: int) -> None:
        self._ledger = ledger
        self._embedder = embedder
        self._capacity = capacity
        self._since = -math.inf
        self._bytes = 0
        self._removal_row = 0
        self.register = Register()
        self.row = 0
        """The last row read from the ledger."""

    async def load(self, exact: "VectorIndex | None") -> None:
        """Read everything again; vectors are also added to `exact` if given."""
        await anyio.to_thread.run_sync(_import_numpy)
        self.register, self.row, self._bytes = Register(), 0, 0
        self._removal_row = await embeddings.last_removal(self._ledger)
        self._since = await embeddings.begun_since(self._ledger, self._embedder, self._capacity)
        while True:
            change = await self.next_change(_BATCH)
            if exact is not None and change.entered:
                await exact.add(change.added, change.vectors)
            removed = self.apply(change)
            if exact is not None:
                await exact.remove(removed)
            if not change.is_more:
                return

    async def next_change(self, limit: int) -> LedgerUpdate:
        """The next changes, of at most `limit` rows, after those last applied."""
        rows = await embeddings.rows_after(self._ledger, self._embedder, self.row, limit + 1)
        row = rows.rows[:limit][-1] if rows.rows else self.row
        entered = [one for one in self._entered(rows) if one.row <= row]
        removal_row, suspects = await embeddings.removed_after(self._ledger, self._removal_row)
        gone: Sequence[str] = ()
        if suspects:
            still = await embeddings.known(self._ledger, self._embedder, suspects)
            # A task removed after its row was read above is both entered and gone.
            entering = {one.task_id for one in entered}
            gone = [t for t in suspects if t not in still and (t in self.register or t in entering)]
        is_more = len(rows) > limit or len(gone) > limit
        return LedgerUpdate(entered, gone, row, removal_row, is_more)

    def apply(self, change: LedgerUpdate) -> list[str]:
        """Apply a change and return the entries that no longer belong to any task."""
        emptied: set[str | None] = set()
        for one in change.entered:
            emptied.add(self.register.put(one.task_id, one.entry, row=one.row, begun_at=one.begun_at))
        emptied.update(self.register.drop(task_id) for task_id in change.gone)
        if len(self.register) > self._capacity * _SLACK:
            oldest = self.register.oldest(len(self.register) - self._capacity)
            emptied.update(self.register.drop(task_id) for task_id in oldest)
        self.row = max(self.row, change.row)
        self._removal_row = change.removal_row
        return sorted(entry for entry in emptied if entry is not None and entry not in self.register.entries)

    def fits(self, vector: "Vector") -> bool:
        """Whether a vector has the same dimensions."""
        return self._bytes == len(vector) * _FLOAT_BYTES

    def expected_at(self, row: int) -> AbstractSet[str]:
        """The entries that an index must hold after processing all rows up to this one."""
        return {entry for entry in self.register.entries if self.register.first_row(entry) <= row}

    async def missing(self, held: AbstractSet[str], limit: int) -> AsyncGenerator[Batch]:
        """Batches of the entries not in `held`, in row order; `held` may grow meanwhile."""
        missing = self.register.entries - held
        if not missing:
            return
        after = min(self.register.first_row(entry) for entry in missing) - 1
        while after < self.row:
            rows = await embeddings.rows_after(self._ledger, self._embedder, after, limit)
            if not len(rows):
                return
            after = rows.rows[-1]
            entries = self.register.entries
            wanted = [one for one in _distinct(self._entered(rows)) if one.entry in entries and one.entry not in held]
            if wanted:
                yield Batch([one.entry for one in wanted], embeddings.decode([one.blob for one in wanted]), after)

    def _entered(self, rows: "EmbeddingRows") -> list[Entered]:
        """The rows that belong in the index: recent enough, with a non-zero vector of the right size."""
        if not self._bytes and rows.blobs:
            self._bytes = len(rows.blobs[0])
        return [
            Entered(task_id, entry_of(blob), row, begun_at, blob)
            for row, task_id, begun_at, blob in zip(rows.rows, rows.task_ids, rows.begun_at, rows.blobs, strict=True)
            if begun_at >= self._since and len(blob) == self._bytes and any(blob)
        ]


def _distinct(entered: Sequence[Entered]) -> list[Entered]:
    return list({one.entry: one for one in entered}.values())


def _import_numpy() -> None:
    import numpy as np

    np.zeros(1)
