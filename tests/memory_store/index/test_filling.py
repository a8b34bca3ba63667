"""Many vectors go into Chroma from a process of its own, and nobody waits for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from index_rows import EMBEDDER, WAIT_S, found, remember, until, vectors

from chargehand.memory_store.index.chroma_slot import ChromaSlot
from chargehand.memory_store.index.errors import IndexFailed
from chargehand.memory_store.index.filling import Filler, open_filler
from chargehand.memory_store.index.slots import take_slot

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def filler_in(root: Path) -> AsyncIterator[Filler]:
    """The process that fills a new index, as the slot starts it."""
    storage = ChromaSlot(root, EMBEDDER)
    try:
        opened = await storage.open()
        async with storage.filling(opened.index) as filling:
            assert isinstance(filling, Filler)
            yield filling
    finally:
        await storage.aclose()


async def test_what_another_process_put_in_is_found_here(ledger, root: Path, open_keeper):
    some = vectors(1_300)
    ids = await remember(ledger, some)

    for _ in range(2):
        async with open_keeper(storage=ChromaSlot(root, EMBEDDER, filling_threshold=100)) as keeper:
            assert await found(keeper, some[:3]) == ids[:3]
            await until(keeper, "ready")
            assert await found(keeper, some[::20]) == ids[::20]
            assert keeper.state.total == len(some)


async def test_a_process_that_dies_is_told_by_its_exit_code(root: Path):
    async with filler_in(root) as filler:
        await filler.add(["a", "b"], vectors(2))
        filler.process.kill()
        await filler.process.wait()

        with pytest.raises(IndexFailed, match="ended with -9"):
            await filler.add(["c"], vectors(1))


async def test_what_chroma_refuses_is_told_in_its_words(root: Path):
    async with filler_in(root) as filler:
        await filler.add(["a"], vectors(1))

        with pytest.raises(IndexFailed, match="dimension"):
            await filler.add(["b"], vectors(1, dimensions=8))


async def test_it_ends_when_whoever_started_it_is_gone(root: Path):
    async with filler_in(root) as filler:
        assert filler.process.stdin is not None
        await filler.process.stdin.aclose()

        with anyio.fail_after(WAIT_S):
            assert await filler.process.wait() == 0


async def test_the_slot_stays_taken_as_long_as_it_runs(root: Path):
    slot = take_slot(root)
    storage = ChromaSlot(root, EMBEDDER)  # in slot 1: there must be a collection to fill
    await storage.open()
    assert storage.folder is not None
    (folder,) = storage.folder.glob("g-*")
    await storage.aclose()

    async with open_filler(folder, "tasks", inherited=slot.descriptors):
        slot.release()
        other = take_slot(root)
        other.release()
    free = take_slot(root)
    free.release()

    assert (other.number, free.number) == (1, 0)


async def test_killed_while_it_fills_the_index_comes_back_by_itself(ledger, root: Path, open_keeper, monkeypatch):
    some = vectors(1_300)
    ids = await remember(ledger, some)
    add, killed = Filler.add, []

    async def add_and_kill_once(self, *what) -> None:
        await add(self, *what)
        if not killed:
            killed.append(self.process.pid)
            self.process.kill()

    monkeypatch.setattr(Filler, "add", add_and_kill_once)

    async with open_keeper(storage=ChromaSlot(root, EMBEDDER, filling_threshold=100), retry_after_s=0.01) as keeper:
        assert await found(keeper, some[:3]) == ids[:3]
        await until(keeper, "ready")
        assert await found(keeper, some[::20]) == ids[::20]

    assert len(killed) == 1
