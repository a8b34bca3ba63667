"""The index keeper: it follows the ledger and answers queries whatever happens to Chroma."""

import json
import shutil
from pathlib import Path

import anyio
import pytest
from index_rows import EMBEDDER, WAIT_S, add_tasks, exact_order, nearest_ids, vectors, wait_for_phase
from ledger_rows import task

from chargehand.memory_store import embeddings
from chargehand.memory_store.index.chroma_library import index_form
from chargehand.memory_store.index.chroma_slot import ChromaSlot
from chargehand.memory_store.index.exact import ExactIndex
from chargehand.memory_store.index.exact_choice import ExactChoice, choices_in
from chargehand.memory_store.index.register import ALIKE_AT_MOST, entry_of
from chargehand.memory_store.index.state import IndexState
from chargehand.memory_store.index.vector_index import Opened
from chargehand.memory_store.ledger import Ledger

pytestmark = pytest.mark.anyio


async def test_the_nearest_tasks_are_those_of_an_exact_search(ledger, open_keeper):
    unit_vectors = vectors(300)
    ids = await add_tasks(ledger, unit_vectors)
    query = vectors(1, seed=9)[0]

    async with open_keeper() as keeper:
        await wait_for_phase(keeper, "ready")
        near = await keeper.nearest(query, 5, patience_s=WAIT_S)

    order = exact_order(unit_vectors, query, 5)
    assert [neighbour.task_id for neighbour in near] == [ids[position] for position in order]
    assert [neighbour.similarity for neighbour in near] == pytest.approx(
        [float(unit_vectors[position] @ query) for position in order], abs=1e-5
    )


class _BlindIndex(ExactIndex):
    """Misses one of its vectors, as Chroma's graph sometimes does among near-duplicates."""

    async def nearest(self, vector, count):
        blind_to = min(await self.ids(), default=None)
        return [match for match in await super().nearest(vector, count + 1) if match.id != blind_to][:count]


class _BlindStorage:
    """Implements `IndexStorage`."""

    filling_threshold = 1_000

    async def open(self) -> Opened:
        return Opened(_BlindIndex(), 0)

    async def note(self, row: int) -> None:
        """Nothing is kept."""

    async def aclose(self) -> None:
        """Nothing is open."""


async def test_a_task_with_the_same_vector_is_found_although_the_graph_misses_it(ledger, open_keeper):
    unit_vectors = vectors(90)
    ids = await add_tasks(ledger, unit_vectors)

    async with open_keeper(storage=_BlindStorage()) as keeper:
        await wait_for_phase(keeper, "ready")

        assert await nearest_ids(keeper, unit_vectors) == ids


class _CrowdedIndex(ExactIndex):
    """Finds nothing while it holds at most `blind_up_to` vectors, like Chroma's graph with many near-duplicates."""

    def __init__(self, blind_up_to: int) -> None:
        super().__init__()
        self._blind_up_to = blind_up_to

    async def nearest(self, vector, count):
        return () if len(self) <= self._blind_up_to else await super().nearest(vector, count)


class _CrowdedStorage:
    """Implements `IndexStorage`. Its index is kept until it is renewed, like Chroma's folder."""

    filling_threshold = 1_000

    def __init__(self, blind_up_to: int) -> None:
        self._blind_up_to = blind_up_to
        self._index = _CrowdedIndex(blind_up_to)
        self.calls: list[str] = []

    async def open(self) -> Opened:
        self.calls.append("open")
        return Opened(self._index, 0)

    async def renew(self) -> Opened:
        self.calls.append("renew")
        self._index = _CrowdedIndex(self._blind_up_to)
        return Opened(self._index, 0)

    async def note(self, row: int) -> None:
        """Nothing is kept."""

    async def aclose(self) -> None:
        self.calls.append("close")


EXACT_SEARCH_STATE = (
    "memory: ready (tasks are searched exactly, since a new Chroma index of 90 did not find 50 of 50 that it was asked"
    " for; it is tried again at 180)"
)


async def test_a_new_index_that_misses_too_many_vectors_is_replaced_by_exact_search(ledger, root: Path, open_keeper):
    unit_vectors, storage = vectors(90), _CrowdedStorage(blind_up_to=100)
    ids = await add_tasks(ledger, unit_vectors)

    async with open_keeper(storage=storage, folder=root, retry_after_s=0.0) as keeper:
        await wait_for_phase(keeper, "ready")

        assert keeper.state.as_text() == EXACT_SEARCH_STATE
        assert await nearest_ids(keeper, unit_vectors) == ids
    assert storage.calls == ["open", "close", "close"]


async def test_an_existing_index_that_misses_too_many_vectors_is_rebuilt_once_then_replaced(
    ledger, root: Path, open_keeper
):
    unit_vectors, storage = vectors(90), _CrowdedStorage(blind_up_to=100)
    ids = await add_tasks(ledger, unit_vectors)
    await (await storage.open()).index.add(
        [entry_of(embeddings.encode(vector)) for vector in unit_vectors], unit_vectors
    )

    async with open_keeper(storage=storage, folder=root, retry_after_s=0.0) as keeper:
        await wait_for_phase(keeper, "ready")

        assert keeper.state.as_text() == EXACT_SEARCH_STATE
        assert await nearest_ids(keeper, unit_vectors) == ids
    assert storage.calls == ["open", "open", "renew", "close", "close"]


async def test_the_choice_of_exact_search_holds_for_other_and_later_keepers(ledger, root: Path, open_keeper):
    unit_vectors, other_storage, later_storage = vectors(90), _CrowdedStorage(100), _CrowdedStorage(100)
    ids = await add_tasks(ledger, unit_vectors)

    async with open_keeper(storage=_CrowdedStorage(100), folder=root) as first:
        await wait_for_phase(first, "ready")
        async with open_keeper(storage=other_storage, folder=root, exact_up_to=10) as other:
            await wait_for_phase(other, "ready")
            state_text = other.state.as_text()
            found_by_other = await nearest_ids(other, unit_vectors)
    async with open_keeper(storage=later_storage, folder=root, load_after_s=3600) as later:
        await wait_for_phase(later, "ready")

        assert await nearest_ids(later, unit_vectors) == found_by_other == ids
    assert state_text == EXACT_SEARCH_STATE
    assert other_storage.calls == later_storage.calls == ["close"]


async def test_chroma_is_tried_again_once_there_are_twice_as_many_tasks(ledger, root: Path, open_keeper):
    unit_vectors, storage = vectors(180), _CrowdedStorage(blind_up_to=100)
    await add_tasks(ledger, unit_vectors[:90])

    async with open_keeper(storage=storage, folder=root) as keeper:
        await wait_for_phase(keeper, "ready")
        await add_tasks(ledger, unit_vectors[90:179], prefix="a")
        await nearest_ids(keeper, unit_vectors[:1])
        state_text = keeper.state.as_text()
        (last,) = await add_tasks(ledger, unit_vectors[179:], prefix="b")
        assert await nearest_ids(keeper, unit_vectors[179:]) == [last]
        with anyio.fail_after(WAIT_S):
            while keeper.state != IndexState("ready", 180, 180):  # noqa: ASYNC110 - there is only a state
                await anyio.sleep(0.01)

        assert await nearest_ids(keeper, unit_vectors[179:]) == [last]
    assert state_text == EXACT_SEARCH_STATE
    assert choices_in(root) == []


async def test_an_unreadable_choice_of_exact_search_is_made_again(ledger, root: Path, open_keeper):
    await add_tasks(ledger, vectors(90))
    for _ in range(2):
        async with open_keeper(storage=_CrowdedStorage(100), folder=root) as keeper:
            await wait_for_phase(keeper, "ready")
        (choice,) = choices_in(root)
        (file,) = [file async for file in anyio.Path(root).iterdir()]
        await file.write_text('{"embedder": "made')

        assert choices_in(root) == []
    assert choice == ExactChoice(EMBEDDER, index_form(), 90, 50, 50)


async def test_an_empty_ledger_has_no_neighbours(open_keeper):
    async with open_keeper() as keeper:
        await wait_for_phase(keeper, "ready")

        assert await keeper.nearest(vectors(1)[0], 5, patience_s=WAIT_S) == ()


async def test_chroma_is_opened_only_once_there_is_a_task(ledger, open_keeper):
    storage = _CrowdedStorage(blind_up_to=0)
    async with open_keeper(storage=storage) as keeper:
        await wait_for_phase(keeper, "ready")
        assert await keeper.nearest(vectors(1)[0], 5, patience_s=WAIT_S) == ()
        opened_for_nothing = list(storage.calls)

        ids = await add_tasks(ledger, vectors(1))
        assert await nearest_ids(keeper, vectors(1)) == ids
        with anyio.fail_after(WAIT_S):
            while keeper.state != IndexState("ready", 1, 1):  # noqa: ASYNC110 - there is only a state
                await anyio.sleep(0.01)
        opened = list(storage.calls)

    assert opened_for_nothing == []
    assert opened == ["open"]


async def test_queries_are_answered_before_chroma_is_loaded(ledger, open_keeper):
    unit_vectors = vectors(200)
    ids = await add_tasks(ledger, unit_vectors)

    async with open_keeper(load_after_s=3600) as keeper:
        near = await keeper.nearest(unit_vectors[7], 1, patience_s=WAIT_S)
        phase = keeper.state.phase

    assert [neighbour.task_id for neighbour in near] == [ids[7]]
    assert phase == "warming"


async def test_more_tasks_than_can_be_searched_exactly_wait_for_chroma(ledger, open_keeper):
    unit_vectors = vectors(30)
    ids = await add_tasks(ledger, unit_vectors)

    async with open_keeper(exact_up_to=10, load_after_s=3600) as keeper:
        before = await keeper.nearest(unit_vectors[0], 1, patience_s=0.01)
    async with open_keeper(exact_up_to=10) as keeper:
        after = await nearest_ids(keeper, unit_vectors)

    assert before is None
    assert after == ids


async def test_a_keeper_that_was_not_started_is_absent_and_returns_none(ledger, root: Path):
    from chargehand.memory_store.index.keeper import IndexKeeper

    keeper = IndexKeeper(ledger, EMBEDDER, ChromaSlot(root, EMBEDDER))

    assert await keeper.nearest(vectors(1)[0], 1, patience_s=WAIT_S) is None
    assert keeper.state == IndexState("absent")


async def test_tasks_written_later_are_found_by_the_next_query(ledger, home, clock, open_keeper):
    unit_vectors = vectors(20)
    await add_tasks(ledger, unit_vectors[:10], prefix="a")
    other = await Ledger.open(home, clock)

    async with open_keeper() as keeper:
        await wait_for_phase(keeper, "ready")
        for number in range(10, 20):
            (written,) = await add_tasks(other, unit_vectors[number : number + 1], prefix=f"later{number}-")
            assert await nearest_ids(keeper, unit_vectors[number : number + 1]) == [written]
        assert keeper.state.phase == "ready"
    await other.aclose()


async def test_many_tasks_added_at_once_are_all_found(ledger, open_keeper):
    unit_vectors = vectors(1300)
    await add_tasks(ledger, unit_vectors[:10], prefix="a")

    async with open_keeper() as keeper:
        await wait_for_phase(keeper, "ready")
        ids = await add_tasks(ledger, unit_vectors[10:], prefix="b")
        immediately = await nearest_ids(keeper, unit_vectors[-3:])
        await wait_for_phase(keeper, "ready")

        assert immediately == ids[-3:]
        assert await nearest_ids(keeper, unit_vectors[10::50]) == ids[::50]


async def test_a_forgotten_task_is_no_longer_found(ledger, open_keeper):
    unit_vectors = vectors(40)
    ids = await add_tasks(ledger, unit_vectors)

    async with open_keeper() as keeper:
        await wait_for_phase(keeper, "ready")
        await ledger.write(lambda db: db.execute("DELETE FROM embeddings WHERE task_id = 't3'"))
        near = await keeper.nearest(unit_vectors[3], 40, patience_s=WAIT_S)

    assert {neighbour.task_id for neighbour in near} == set(ids) - {"t3"}


async def test_tasks_forgotten_while_no_keeper_ran_are_not_found(ledger, open_keeper):
    unit_vectors = vectors(40)
    ids = await add_tasks(ledger, unit_vectors)
    async with open_keeper() as keeper:
        await wait_for_phase(keeper, "ready")
    await ledger.write(lambda db: db.execute("DELETE FROM embeddings WHERE task_id < 't2'"))

    async with open_keeper() as keeper:
        await wait_for_phase(keeper, "ready")
        near = await keeper.nearest(unit_vectors[3], 40, patience_s=WAIT_S)

    assert {neighbour.task_id for neighbour in near} == {id_ for id_ in ids if id_ >= "t2"}


async def test_a_changed_vector_replaces_the_old_one(ledger, open_keeper):
    unit_vectors = vectors(40)
    ids = await add_tasks(ledger, unit_vectors[:30])

    async with open_keeper() as keeper:
        await wait_for_phase(keeper, "ready")
        await embeddings.store(ledger, EMBEDDER, ids[:1], unit_vectors[30:31])
        near = await keeper.nearest(unit_vectors[30], 30, patience_s=WAIT_S)
        old = await keeper.nearest(unit_vectors[0], 1, patience_s=WAIT_S)

    assert near[0].task_id == ids[0]
    assert sorted(neighbour.task_id for neighbour in near) == sorted(ids)
    assert old[0].similarity < 0.99


async def test_a_vector_repeated_a_thousand_times_hides_no_other_task(ledger, open_keeper):
    unit_vectors = vectors(1300)
    unit_vectors[:1000] = unit_vectors[0]
    ids = await add_tasks(ledger, unit_vectors)

    async with open_keeper() as keeper:
        await wait_for_phase(keeper, "ready")
        nearest_tasks = await keeper.nearest(unit_vectors[0], 50, patience_s=WAIT_S)

        assert await nearest_ids(keeper, unit_vectors[1000:]) == ids[1000:]
    assert [neighbour.task_id for neighbour in nearest_tasks[:ALIKE_AT_MOST]] == ids[999 : 999 - ALIKE_AT_MOST : -1]
    assert {neighbour.task_id for neighbour in nearest_tasks[ALIKE_AT_MOST:]} <= set(ids[1000:])


async def test_the_index_holds_only_the_newest_tasks(ledger, open_keeper):
    unit_vectors = vectors(150)
    ids = await add_tasks(ledger, unit_vectors[:120])

    async with open_keeper(capacity=100) as keeper:
        await wait_for_phase(keeper, "ready")
        before = await keeper.nearest(unit_vectors[0], 200, patience_s=WAIT_S)
        late = await add_tasks(ledger, unit_vectors[120:], prefix="u")
        await ledger.write(lambda db: db.execute("UPDATE tasks SET begun_at = begun_at + 1000 WHERE id GLOB 'u*'"))
        await keeper.nearest(unit_vectors[0], 1, patience_s=WAIT_S)
    async with open_keeper(capacity=100) as keeper:
        await wait_for_phase(keeper, "ready")
        after = await keeper.nearest(unit_vectors[0], 200, patience_s=WAIT_S)

    assert {neighbour.task_id for neighbour in before} == set(ids[20:])
    assert {neighbour.task_id for neighbour in after} == {*ids[50:], *late}


async def test_a_new_task_is_found_after_an_import_of_many_that_are_too_old_for_the_index(ledger, open_keeper):
    unit_vectors = vectors(700)
    await add_tasks(ledger, unit_vectors[:20])

    async with open_keeper(capacity=10) as keeper:
        await wait_for_phase(keeper, "ready")
        await add_tasks(ledger, unit_vectors[20:699], prefix="old")
        await ledger.write(lambda db: db.execute("UPDATE tasks SET begun_at = -1 WHERE id GLOB 'old*'"))
        (new,) = await add_tasks(ledger, unit_vectors[699:], prefix="new")
        await ledger.write(lambda db: db.execute("UPDATE tasks SET begun_at = 1000 WHERE id GLOB 'new*'"))

        assert await nearest_ids(keeper, unit_vectors[699:]) == [new]
        assert await nearest_ids(keeper, unit_vectors[20:21]) == [None]


async def test_vectors_of_another_embedder_are_never_found(ledger, open_keeper):
    unit_vectors = vectors(20)
    own_ids = await add_tasks(ledger, unit_vectors[:10], prefix="ours")
    await add_tasks(ledger, unit_vectors[10:], prefix="theirs", embedder="another-32")

    async with open_keeper() as keeper:
        await wait_for_phase(keeper, "ready")
        near = await keeper.nearest(unit_vectors[15], 20, patience_s=WAIT_S)
        other_dimensions = await keeper.nearest(vectors(1, dimensions=8)[0], 20, patience_s=WAIT_S)

    assert {neighbour.task_id for neighbour in near} == set(own_ids)
    assert other_dimensions == ()


async def test_the_next_keeper_reuses_the_existing_index(ledger, root: Path, open_keeper):
    unit_vectors = vectors(100)
    ids = await add_tasks(ledger, unit_vectors)
    async with open_keeper() as keeper:
        await wait_for_phase(keeper, "ready")
    (chroma_folder,) = (root / "0").glob("g-*")

    async with open_keeper() as keeper:
        await wait_for_phase(keeper, "ready")
        assert await nearest_ids(keeper, unit_vectors) == ids

    assert list((root / "0").glob("g-*")) == [chroma_folder]


async def test_the_record_names_the_last_indexed_row_the_embedder_and_chromas_version(ledger, root: Path, open_keeper):
    await add_tasks(ledger, vectors(30))

    async with open_keeper() as keeper:
        await wait_for_phase(keeper, "ready")
        record = json.loads((root / "0" / "slot.json").read_text())

    (last,) = await ledger.rows("SELECT MAX(row) FROM embeddings")
    assert (record["embedder"], record["caught_up"], record["chroma"]) == (EMBEDDER, last[0], "1.5.9")


@pytest.mark.parametrize("name", ["Ünïcödé ✓ ordner", "with  spaces", "quote'd & odd"])
async def test_the_data_folder_may_have_any_name(tmp_path: Path, clock, open_keeper, name: str):
    ledger = await Ledger.open(tmp_path / name, clock)
    unit_vectors = vectors(20)
    ids = await add_tasks(ledger, unit_vectors)

    for _ in range(2):
        async with open_keeper(on_ledger=ledger, storage=ChromaSlot(tmp_path / name / "index", EMBEDDER)) as keeper:
            await wait_for_phase(keeper, "ready")
            assert await nearest_ids(keeper, unit_vectors) == ids
    await ledger.aclose()


async def test_concurrent_queries_are_all_answered(ledger, open_keeper):
    unit_vectors = vectors(50)
    ids = await add_tasks(ledger, unit_vectors)
    answers: dict[int, list[str | None]] = {}

    async def query_keeper(keeper, number: int) -> None:
        answers[number] = await nearest_ids(keeper, unit_vectors[number : number + 1])

    async with open_keeper() as keeper, anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(query_keeper, keeper, number)

    assert [answers[number] for number in range(50)] == [[id_] for id_ in ids]


async def test_a_task_is_found_after_the_index_was_deleted_while_in_use(ledger, root: Path, open_keeper):
    unit_vectors = vectors(60)
    await add_tasks(ledger, unit_vectors[:50])

    async with open_keeper() as keeper:
        await wait_for_phase(keeper, "ready")
        # All at once: while it is deleted file by file, the index may still add one.
        shutil.rmtree(shutil.move(root, root.with_name("deleted")), ignore_errors=True)
        await ledger.begin_task(task("late"))
        await embeddings.store(ledger, EMBEDDER, ["late"], unit_vectors[55:56])

        assert await nearest_ids(keeper, unit_vectors[55:56]) == ["late"]


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (IndexState("rebuilding", 120, 900), "memory: rebuilding, 120 of 900"),
        (IndexState("warming"), "memory: warming"),
        (IndexState("unavailable", reason="start it"), "memory: unavailable (start it)"),
    ],
)
def test_the_state_of_the_index_as_text(state: IndexState, text: str):
    assert state.as_text() == text
