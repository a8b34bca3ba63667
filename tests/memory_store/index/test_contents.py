"""What belongs into the index, whatever happens to the ledger while it is read."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from index_rows import EMBEDDER, remember, vectors

from chargehand.memory_store.care.pruning import Selection, forget
from chargehand.memory_store.index.contents import Contents
from chargehand.memory_store.ledger import Ledger

pytestmark = pytest.mark.anyio


class _Watched:
    """A ledger in which something happens just before its removals are read."""

    def __init__(self, ledger: Ledger, happens: Callable[[], Awaitable[Any]]) -> None:
        self._ledger = ledger
        self._happens = happens

    async def rows(self, sql: str, parameters: Any = ()) -> Any:
        if "removed_embeddings WHERE row" in sql:
            await self._happens()
        return await self._ledger.rows(sql, parameters)


async def test_a_task_forgotten_between_the_reading_of_rows_and_of_removals_is_not_held(ledger: Ledger):
    kept, forgotten = await remember(ledger, vectors(2))
    watched: Any = _Watched(ledger, lambda: forget(ledger, Selection(task_ids=(forgotten,))))
    contents = Contents(watched, EMBEDDER, capacity=10)

    await contents.load(None)

    assert kept in contents.register
    assert forgotten not in contents.register
