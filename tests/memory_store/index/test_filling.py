"""Filling: many vectors are added to Chroma by a separate process, while queries are answered."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from index_rows import EMBEDDER, WAIT_S, add_tasks, nearest_ids, vectors, wait_for_phase

from chargehand.memory_store.index.chroma_slot import ChromaSlot
from chargehand.memory_store.index.errors import IndexFailed
from chargehand.memory_store.index.filling import Filler, open_filler
from chargehand.memory_store.index.slots import take_slot

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def filler_in(root: Path) -> AsyncIterator[Filler]:
    """The filling process of a new index, as the slot starts it."""
    storage = ChromaSlot(root, EMBEDDER)
    try:
        opened = await storage.open()
        async with storage.filling(opened.index) as filling:
            assert isinstance(filling, Filler)
            yield filling
    finally:
        await storage.aclose()


async def test_vectors_added_by_the_filling_process_are_found(ledger, root: Path, open_keeper):
    unit_vectors = vectors(1_300)
    ids = await add_tasks(ledger, unit_vectors)

    for _ in range(2):
        async with open_keeper(storage=ChromaSlot(root, EMBEDDER, filling_threshold=100)) as keeper:
            assert await nearest_ids(keeper, unit_vectors[:3]) == ids[:3]
            await wait_for_phase(keeper, "ready")
            assert await nearest_ids(keeper, unit_vectors[::20]) == ids[::20]
            assert keeper.state.total == len(unit_vectors)


async def test_a_killed_filling_process_is_reported_with_its_exit_code(root: Path):
    async with filler_in(root) as filler:
        await filler.add(["a", "b"], vectors(2))
        filler.process.kill()
        await filler.process.wait()

        with pytest.raises(IndexFailed, match="ended with -9"):
            await filler.add(["c"], vectors(1))


async def test_an_error_of_chroma_is_reported_with_its_message(root: Path):
    async with filler_in(root) as filler:
        await filler.add(["a"], vectors(1))

        with pytest.raises(IndexFailed, match="dimension"):
            await filler.add(["b"], vectors(1, dimensions=8))


async def test_the_filling_process_ends_when_its_standard_input_closes(root: Path):
    async with filler_in(root) as filler:
        assert filler.process.stdin is not None
        await filler.process.stdin.aclose()

        with anyio.fail_after(WAIT_S):
            assert await filler.process.wait() == 0


async def test_the_slot_stays_locked_while_the_filling_process_runs(root: Path):
    slot = take_slot(root)
    storage = ChromaSlot(root, EMBEDDER)  # takes slot 1, to create a collection to fill
    await storage.open()
    assert storage.folder is not None
    (folder,) = storage.folder.glob("g-*")
    await storage.aclose()

    async with open_filler(folder, "tasks", inherited=slot.descriptors):
        slot.release()
        second = take_slot(root)
        second.release()
    third = take_slot(root)
    third.release()

    assert (second.number, third.number) == (1, 0)


async def test_the_index_recovers_after_its_filling_process_is_killed(ledger, root: Path, open_keeper, monkeypatch):
    unit_vectors = vectors(1_300)
    ids = await add_tasks(ledger, unit_vectors)
    add, killed_pids = Filler.add, []

    async def add_and_kill_once(self, *arguments) -> None:
        await add(self, *arguments)
        if not killed_pids:
            killed_pids.append(self.process.pid)
            self.process.kill()

    monkeypatch.setattr(Filler, "add", add_and_kill_once)

    async with open_keeper(storage=ChromaSlot(root, EMBEDDER, filling_threshold=100), retry_after_s=0.01) as keeper:
        assert await nearest_ids(keeper, unit_vectors[:3]) == ids[:3]
        await wait_for_phase(keeper, "ready")
        assert await nearest_ids(keeper, unit_vectors[::20]) == ids[::20]

    assert len(killed_pids) == 1
