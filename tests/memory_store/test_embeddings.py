"""The embeddings in the ledger, in the order they were written."""

import numpy as np
import pytest
from ledger_rows import task

from chargehand.memory_store import embeddings

pytestmark = pytest.mark.anyio

EMBEDDER = "made-up-4"


def _vectors(*rows: tuple[float, ...]):
    return np.array(rows, dtype=np.float32)


async def _store(ledger, *ids: str, embedder: str = EMBEDDER, value: float = 1.0) -> None:
    for id_ in ids:
        if await ledger.task(id_) is None:
            await ledger.begin_task(task(id_))
    await embeddings.store(ledger, embedder, ids, _vectors(*[(value, 0, 0, float(n)) for n, _ in enumerate(ids)]))


async def test_embeddings_are_read_in_the_order_they_were_written(ledger):
    await _store(ledger, "b", "a")
    await _store(ledger, "c")

    rows = await embeddings.rows_after(ledger, EMBEDDER, 0, 10)
    later = await embeddings.rows_after(ledger, EMBEDDER, rows.rows[1], 10)

    assert (rows.task_ids, later.task_ids) == (("b", "a", "c"), ("c",))
    assert embeddings.decode(rows.blobs).tolist() == [[1, 0, 0, 0], [1, 0, 0, 1], [1, 0, 0, 0]]


async def test_storing_the_same_vector_keeps_its_row_and_a_changed_one_gets_a_new_row(ledger):
    await _store(ledger, "a", "b")
    before = await embeddings.rows_after(ledger, EMBEDDER, 0, 10)

    await _store(ledger, "a", "b")
    same = await embeddings.rows_after(ledger, EMBEDDER, 0, 10)
    await _store(ledger, "a", value=2.0)
    changed = await embeddings.rows_after(ledger, EMBEDDER, before.rows[-1], 10)

    assert same == before
    assert (changed.task_ids, await embeddings.count(ledger, EMBEDDER)) == (("a",), 2)


async def test_embeddings_of_unknown_tasks_are_not_stored(ledger):
    await embeddings.store(ledger, EMBEDDER, ["stranger"], _vectors((1, 0, 0, 0)))

    assert await embeddings.count(ledger, EMBEDDER) == 0


async def test_embeddings_of_different_embedders_are_kept_apart(ledger):
    await _store(ledger, "a")
    await _store(ledger, "a", "b", embedder="other-4")

    assert (await embeddings.count(ledger, EMBEDDER), await embeddings.count(ledger, "other-4")) == (1, 2)
    assert await embeddings.known(ledger, EMBEDDER, ["a", "b"]) == {"a"}
    assert list(await embeddings.blobs_of(ledger, EMBEDDER, ["a", "b"])) == ["a"]


async def test_removed_embeddings_are_reported_once(ledger):
    await _store(ledger, "a", "b")
    start = await embeddings.last_removal(ledger)
    await ledger.write(lambda db: db.execute("DELETE FROM embeddings WHERE task_id = 'a'"))

    row, removed = await embeddings.removed_after(ledger, start)

    assert removed == ["a"]
    assert await embeddings.removed_after(ledger, row) == (row, [])


async def test_begun_since_gives_the_start_of_the_oldest_of_the_newest_tasks(ledger, clock):
    for id_ in ("a", "b", "c"):
        await _store(ledger, id_)
        clock.advance(seconds=1)
    began = (await embeddings.rows_after(ledger, EMBEDDER, 0, 10)).begun_at

    assert await embeddings.begun_since(ledger, EMBEDDER, 2) == began[1]
    assert await embeddings.begun_since(ledger, EMBEDDER, 3) == float("-inf")


async def test_known_looks_up_2001_ids_at_once(ledger):
    await _store(ledger, "a")

    assert await embeddings.known(ledger, EMBEDDER, [*(f"x{n}" for n in range(2000)), "a"]) == {"a"}
