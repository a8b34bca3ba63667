"""Maps each vector in the index to its tasks.

Identical vectors are indexed once. Groups of identical vectors become isolated in Chroma's graph: with four
texts of 500 tasks each among 10,000, 10 to 31% of all vectors were no longer found (chromadb 1.5.9, measured
2026-11-24), and one repeated text would crowd out all others.
"""

import hashlib
import heapq
import itertools
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

ALIKE_AT_MOST = 16
"""Limit on tasks returned per vector, newest first."""


def entry_of(vector: bytes) -> str:
    """The id of a vector in the index."""
    return hashlib.blake2b(vector, digest_size=16).hexdigest()


class Register:
    """The indexed tasks and their entries, in the order of the ledger's rows."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}
        self._tasks: dict[str, dict[str, None]] = {}

    def put(self, task_id: str, entry: str, *, row: int, begun_at: float) -> str | None:
        """Add or move a task to the end; its previous entry if that is now unused, else None."""
        left = self.drop(task_id)
        self._places[task_id] = _Place(entry, row, begun_at)
        self._tasks.setdefault(entry, {})[task_id] = None
        return left if left != entry else None

    def drop(self, task_id: str) -> str | None:
        """Remove a task; its entry if that is now unused, else None."""
        place = self._places.pop(task_id, None)
        if place is None:
            return None
        tasks = self._tasks[place.entry]
        del tasks[task_id]
        if tasks:
            return None
        del self._tasks[place.entry]
        return place.entry

    def oldest(self, count: int) -> Sequence[str]:
        """The tasks with the earliest start."""
        return heapq.nsmallest(count, self._places, key=lambda task_id: self._places[task_id].begun_at)

    def tasks(self, entry: str) -> Sequence[str]:
        """The newest tasks of an entry, newest first; empty for an unknown one."""
        return list(itertools.islice(reversed(self._tasks.get(entry, {})), ALIKE_AT_MOST))

    @property
    def entries(self) -> AbstractSet[str]:
        return self._tasks.keys()

    def first_row(self, entry: str) -> int:
        """The row of an entry's first task."""
        return self._places[next(iter(self._tasks[entry]))].row

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._places

    def __len__(self) -> int:
        return len(self._places)


class _Place(NamedTuple):
    entry: str
    row: int
    begun_at: float
