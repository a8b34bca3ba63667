"""The contents of the index while the ledger changes during a read."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from index_rows import EMBEDDER, add_tasks, vectors

from chargehand.memory_store.care.pruning import Selection, forget
from chargehand.memory_store.index.contents import Contents
from chargehand.memory_store.ledger import Ledger

pytestmark = pytest.mark.anyio


class _InterruptedLedger:
    """A ledger that runs `interruption` just before its removals are read."""

    def __init__(self, ledger: Ledger, interruption: Callable[[], Awaitable[Any]]) -> None:
        self._ledger = ledger
        self._happens = interruption

    async def rows(self, sql: str, parameters: Any = ()) -> Any:
        if "removed_embeddings WHERE row" in sql:
            await self._happens()
        return await self._ledger.rows(sql, parameters)


async def test_a_task_forgotten_between_reading_rows_and_removals_is_not_indexed(ledger: Ledger):
    kept, forgotten = await add_tasks(ledger, vectors(2))
    interrupted: Any = _InterruptedLedger(ledger, lambda: forget(ledger, Selection(task_ids=(forgotten,))))
    contents = Contents(interrupted, EMBEDDER, capacity=10)

    await contents.load(None)

    assert kept in contents.register
    assert forgotten not in contents.register
