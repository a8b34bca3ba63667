"""The vectors in the ledger, in the order they came."""

import numpy as np
import pytest
from ledger_rows import task

from chargehand.memory_store import embeddings

pytestmark = pytest.mark.anyio

E = "made-up-4"


def _vectors(*rows: tuple[float, ...]):
    return np.array(rows, dtype=np.float32)


async def _store(ledger, *ids: str, embedder: str = E, value: float = 1.0) -> None:
    for id_ in ids:
        if await ledger.task(id_) is None:
            await ledger.begin_task(task(id_))
    await embeddings.store(ledger, embedder, ids, _vectors(*[(value, 0, 0, float(n)) for n, _ in enumerate(ids)]))


async def test_rows_come_in_the_order_they_were_written(ledger):
    await _store(ledger, "b", "a")
    await _store(ledger, "c")

    rows = await embeddings.rows_after(ledger, E, 0, 10)
    later = await embeddings.rows_after(ledger, E, rows.rows[1], 10)

    assert (rows.task_ids, later.task_ids) == (("b", "a", "c"), ("c",))
    assert embeddings.decode(rows.blobs).tolist() == [[1, 0, 0, 0], [1, 0, 0, 1], [1, 0, 0, 0]]


async def test_the_same_vector_again_keeps_its_row_and_another_gets_a_new_one(ledger):
    await _store(ledger, "a", "b")
    before = await embeddings.rows_after(ledger, E, 0, 10)

    await _store(ledger, "a", "b")
    same = await embeddings.rows_after(ledger, E, 0, 10)
    await _store(ledger, "a", value=2.0)
    changed = await embeddings.rows_after(ledger, E, before.rows[-1], 10)

    assert same == before
    assert (changed.task_ids, await embeddings.count(ledger, E)) == (("a",), 2)


async def test_a_task_that_the_ledger_does_not_know_is_left_out(ledger):
    await embeddings.store(ledger, E, ["stranger"], _vectors((1, 0, 0, 0)))

    assert await embeddings.count(ledger, E) == 0


async def test_embedders_are_kept_apart(ledger):
    await _store(ledger, "a")
    await _store(ledger, "a", "b", embedder="other-4")

    assert (await embeddings.count(ledger, E), await embeddings.count(ledger, "other-4")) == (1, 2)
    assert await embeddings.known(ledger, E, ["a", "b"]) == {"a"}
    assert list(await embeddings.blobs_of(ledger, E, ["a", "b"])) == ["a"]


async def test_what_went_is_told_once(ledger):
    await _store(ledger, "a", "b")
    start = await embeddings.last_removal(ledger)
    await ledger.write(lambda db: db.execute("DELETE FROM embeddings WHERE task_id = 'a'"))

    row, gone = await embeddings.removed_after(ledger, start)

    assert gone == ["a"]
    assert await embeddings.removed_after(ledger, row) == (row, [])


async def test_the_newest_tasks_are_bounded_by_when_they_began(ledger, clock):
    for id_ in ("a", "b", "c"):
        await _store(ledger, id_)
        clock.advance(seconds=1)
    began = (await embeddings.rows_after(ledger, E, 0, 10)).begun_at

    assert await embeddings.begun_since(ledger, E, 2) == began[1]
    assert await embeddings.begun_since(ledger, E, 3) == float("-inf")


async def test_more_ids_than_sqlite_takes_at_once_are_looked_up(ledger):
    await _store(ledger, "a")

    assert await embeddings.known(ledger, E, [*(f"x{n}" for n in range(2000)), "a"]) == {"a"}
