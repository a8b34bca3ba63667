"""Which tasks stand behind each vector of the index.

Identical vectors go into the index once. The graph that Chroma searches cuts groups of identical
vectors off: with four texts of 500 tasks each among 10,000, 10 to 31% of all vectors were not found
any more (chromadb 1.5.9, measured 2026-11-24), and one repeated text would crowd out all others.
"""

import hashlib
import heapq
import itertools
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

ALIKE_AT_MOST = 16
"""Of tasks with an identical vector, the newest this many are given."""


def entry_of(vector: bytes) -> str:
    """The id under which a vector stands in the index."""
    return hashlib.blake2b(vector, digest_size=16).hexdigest()


class Register:
    """The newest tasks and their entries, in the order of the ledger's rows."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}
        self._tasks: dict[str, dict[str, None]] = {}

    def put(self, task_id: str, entry: str, *, row: int, begun_at: float) -> str | None:
        """Enter a task behind all others; gives the entry that it was the last of, if that is another."""
        left = self.drop(task_id)
        self._places[task_id] = _Place(entry, row, begun_at)
        self._tasks.setdefault(entry, {})[task_id] = None
        return left if left != entry else None

    def drop(self, task_id: str) -> str | None:
        """Take a task out; gives its entry when no other task stands behind it now."""
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
        """The tasks that began first."""
        return heapq.nsmallest(count, self._places, key=lambda task_id: self._places[task_id].begun_at)

    def tasks(self, entry: str) -> Sequence[str]:
        """The newest tasks of an entry, newest first; empty for an unknown one."""
        return list(itertools.islice(reversed(self._tasks.get(entry, {})), ALIKE_AT_MOST))

    @property
    def entries(self) -> AbstractSet[str]:
        return self._tasks.keys()

    def first_row(self, entry: str) -> int:
        """The first row that an entry stands for."""
        return self._places[next(iter(self._tasks[entry]))].row

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._places

    def __len__(self) -> int:
        return len(self._places)


class _Place(NamedTuple):
    entry: str
    row: int
    begun_at: float
