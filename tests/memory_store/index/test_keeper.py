"""An index that stays level with the ledger and answers whatever happens to Chroma."""

import json
import shutil
from pathlib import Path

import anyio
import pytest
from index_rows import EMBEDDER, WAIT_S, exact_order, found, remember, until, vectors
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
    some = vectors(300)
    ids = await remember(ledger, some)
    wanted = vectors(1, seed=9)[0]

    async with open_keeper() as keeper:
        await until(keeper, "ready")
        near = await keeper.nearest(wanted, 5, patience_s=WAIT_S)

    order = exact_order(some, wanted, 5)
    assert [one.task_id for one in near] == [ids[place] for place in order]
    assert [one.similarity for one in near] == pytest.approx([float(some[place] @ wanted) for place in order], abs=1e-5)


class _Blind(ExactIndex):
    """Does not find one of its vectors, as Chroma's graph now and then among near-duplicates."""

    async def nearest(self, vector, count):
        blind_to = min(await self.ids(), default=None)
        return [match for match in await super().nearest(vector, count + 1) if match.id != blind_to][:count]


class _BlindStorage:
    """Implements `IndexStorage`."""

    filling_threshold = 1_000

    async def open(self) -> Opened:
        return Opened(_Blind(), 0)

    async def note(self, row: int) -> None:
        """Nothing is kept."""

    async def aclose(self) -> None:
        """Nothing is open."""


async def test_the_same_text_is_found_even_where_the_graph_misses_it(ledger, open_keeper):
    some = vectors(90)
    ids = await remember(ledger, some)

    async with open_keeper(storage=_BlindStorage()) as keeper:
        await until(keeper, "ready")

        assert await found(keeper, some) == ids


class _Crowded(ExactIndex):
    """Finds nothing while it holds no more than `blind_up_to`, as Chroma's graph misses many near-duplicates."""

    def __init__(self, blind_up_to: int) -> None:
        super().__init__()
        self._blind_up_to = blind_up_to

    async def nearest(self, vector, count):
        return () if len(self) <= self._blind_up_to else await super().nearest(vector, count)


class _CrowdedStorage:
    """Implements `IndexStorage`. What it opens is kept until it is renewed, as Chroma's folder is."""

    filling_threshold = 1_000

    def __init__(self, blind_up_to: int) -> None:
        self._blind_up_to = blind_up_to
        self._index = _Crowded(blind_up_to)
        self.calls: list[str] = []

    async def open(self) -> Opened:
        self.calls.append("open")
        return Opened(self._index, 0)

    async def renew(self) -> Opened:
        self.calls.append("renew")
        self._index = _Crowded(self._blind_up_to)
        return Opened(self._index, 0)

    async def note(self, row: int) -> None:
        """Nothing is kept."""

    async def aclose(self) -> None:
        self.calls.append("close")


SAID = (
    "memory: ready (tasks are searched exactly, since a new Chroma index of 90 did not find 50 of 50 that it was asked"
    " for; it is tried again at 180)"
)


async def test_an_index_that_misses_too_much_is_given_up_for_exact_search(ledger, root: Path, open_keeper):
    some, storage = vectors(90), _CrowdedStorage(blind_up_to=100)
    ids = await remember(ledger, some)

    async with open_keeper(storage=storage, folder=root, retry_after_s=0.0) as keeper:
        await until(keeper, "ready")

        assert keeper.state.as_text() == SAID
        assert await found(keeper, some) == ids
    assert storage.calls == ["open", "close", "close"]


async def test_one_that_came_to_miss_too_much_is_built_anew_once(ledger, root: Path, open_keeper):
    some, storage = vectors(90), _CrowdedStorage(blind_up_to=100)
    ids = await remember(ledger, some)
    await (await storage.open()).index.add([entry_of(embeddings.encode(vector)) for vector in some], some)

    async with open_keeper(storage=storage, folder=root, retry_after_s=0.0) as keeper:
        await until(keeper, "ready")

        assert keeper.state.as_text() == SAID
        assert await found(keeper, some) == ids
    assert storage.calls == ["open", "open", "renew", "close", "close"]


async def test_other_processes_and_later_ones_do_not_try_it_again(ledger, root: Path, open_keeper):
    some, other_storage, later_storage = vectors(90), _CrowdedStorage(100), _CrowdedStorage(100)
    ids = await remember(ledger, some)

    async with open_keeper(storage=_CrowdedStorage(100), folder=root) as first:
        await until(first, "ready")
        async with open_keeper(storage=other_storage, folder=root, exact_up_to=10) as other:
            await until(other, "ready")
            told = other.state.as_text()
            of_another = await found(other, some)
    async with open_keeper(storage=later_storage, folder=root, load_after_s=3600) as later:
        await until(later, "ready")

        assert await found(later, some) == of_another == ids
    assert told == SAID
    assert other_storage.calls == later_storage.calls == ["close"]


async def test_it_is_tried_again_once_there_are_twice_as_many(ledger, root: Path, open_keeper):
    some, storage = vectors(180), _CrowdedStorage(blind_up_to=100)
    await remember(ledger, some[:90])

    async with open_keeper(storage=storage, folder=root) as keeper:
        await until(keeper, "ready")
        await remember(ledger, some[90:179], prefix="a")
        await found(keeper, some[:1])
        told = keeper.state.as_text()
        (last,) = await remember(ledger, some[179:], prefix="b")
        assert await found(keeper, some[179:]) == [last]
        with anyio.fail_after(WAIT_S):
            while keeper.state != IndexState("ready", 180, 180):  # noqa: ASYNC110 - there is only a state
                await anyio.sleep(0.01)

        assert await found(keeper, some[179:]) == [last]
    assert told == SAID
    assert choices_in(root) == []


async def test_a_choice_that_cannot_be_read_is_made_anew(ledger, root: Path, open_keeper):
    await remember(ledger, vectors(90))
    for _ in range(2):
        async with open_keeper(storage=_CrowdedStorage(100), folder=root) as keeper:
            await until(keeper, "ready")
        (choice,) = choices_in(root)
        (file,) = [file async for file in anyio.Path(root).iterdir()]
        await file.write_text('{"embedder": "made')

        assert choices_in(root) == []
    assert choice == ExactChoice(EMBEDDER, index_form(), 90, 50, 50)


async def test_an_empty_ledger_has_no_neighbours(open_keeper):
    async with open_keeper() as keeper:
        await until(keeper, "ready")

        assert await keeper.nearest(vectors(1)[0], 5, patience_s=WAIT_S) == ()


async def test_chroma_is_opened_for_the_first_task_that_is_remembered(ledger, open_keeper):
    storage = _CrowdedStorage(blind_up_to=0)
    async with open_keeper(storage=storage) as keeper:
        await until(keeper, "ready")
        assert await keeper.nearest(vectors(1)[0], 5, patience_s=WAIT_S) == ()
        opened_for_nothing = list(storage.calls)

        ids = await remember(ledger, vectors(1))
        assert await found(keeper, vectors(1)) == ids
        with anyio.fail_after(WAIT_S):
            while keeper.state != IndexState("ready", 1, 1):  # noqa: ASYNC110 - there is only a state
                await anyio.sleep(0.01)
        opened = list(storage.calls)

    assert opened_for_nothing == []
    assert opened == ["open"]


async def test_it_answers_before_chroma_is_loaded(ledger, open_keeper):
    some = vectors(200)
    ids = await remember(ledger, some)

    async with open_keeper(load_after_s=3600) as keeper:
        near = await keeper.nearest(some[7], 1, patience_s=WAIT_S)
        phase = keeper.state.phase

    assert [one.task_id for one in near] == [ids[7]]
    assert phase == "warming"


async def test_more_than_can_be_searched_exactly_waits_for_chroma(ledger, open_keeper):
    some = vectors(30)
    ids = await remember(ledger, some)

    async with open_keeper(exact_up_to=10, load_after_s=3600) as keeper:
        too_soon = await keeper.nearest(some[0], 1, patience_s=0.01)
    async with open_keeper(exact_up_to=10) as keeper:
        in_time = await found(keeper, some)

    assert too_soon is None
    assert in_time == ids


async def test_a_keeper_that_was_not_started_says_so(ledger, root: Path):
    from chargehand.memory_store.index.keeper import IndexKeeper

    keeper = IndexKeeper(ledger, EMBEDDER, ChromaSlot(root, EMBEDDER))

    assert await keeper.nearest(vectors(1)[0], 1, patience_s=WAIT_S) is None
    assert keeper.state == IndexState("absent")


async def test_what_is_written_later_is_found_in_the_next_call(ledger, home, clock, open_keeper):
    some = vectors(20)
    await remember(ledger, some[:10], prefix="a")
    other = await Ledger.open(home, clock)

    async with open_keeper() as keeper:
        await until(keeper, "ready")
        for number in range(10, 20):
            (written,) = await remember(other, some[number : number + 1], prefix=f"later{number}-")
            assert await found(keeper, some[number : number + 1]) == [written]
        assert keeper.state.phase == "ready"
    await other.aclose()


async def test_many_new_rows_at_once_are_all_found(ledger, open_keeper):
    some = vectors(1300)
    await remember(ledger, some[:10], prefix="a")

    async with open_keeper() as keeper:
        await until(keeper, "ready")
        ids = await remember(ledger, some[10:], prefix="b")
        at_once = await found(keeper, some[-3:])
        await until(keeper, "ready")

        assert at_once == ids[-3:]
        assert await found(keeper, some[10::50]) == ids[::50]


async def test_a_forgotten_task_is_not_found_any_more(ledger, open_keeper):
    some = vectors(40)
    ids = await remember(ledger, some)

    async with open_keeper() as keeper:
        await until(keeper, "ready")
        await ledger.write(lambda db: db.execute("DELETE FROM embeddings WHERE task_id = 't3'"))
        near = await keeper.nearest(some[3], 40, patience_s=WAIT_S)

    assert {one.task_id for one in near} == set(ids) - {"t3"}


async def test_what_was_forgotten_while_nobody_looked_is_gone_too(ledger, open_keeper):
    some = vectors(40)
    ids = await remember(ledger, some)
    async with open_keeper() as keeper:
        await until(keeper, "ready")
    await ledger.write(lambda db: db.execute("DELETE FROM embeddings WHERE task_id < 't2'"))

    async with open_keeper() as keeper:
        await until(keeper, "ready")
        near = await keeper.nearest(some[3], 40, patience_s=WAIT_S)

    assert {one.task_id for one in near} == {id_ for id_ in ids if id_ >= "t2"}


async def test_a_changed_vector_takes_the_place_of_the_old(ledger, open_keeper):
    some = vectors(40)
    ids = await remember(ledger, some[:30])

    async with open_keeper() as keeper:
        await until(keeper, "ready")
        await embeddings.store(ledger, EMBEDDER, ids[:1], some[30:31])
        near = await keeper.nearest(some[30], 30, patience_s=WAIT_S)
        old = await keeper.nearest(some[0], 1, patience_s=WAIT_S)

    assert near[0].task_id == ids[0]
    assert sorted(one.task_id for one in near) == sorted(ids)
    assert old[0].similarity < 0.99


async def test_one_text_repeated_a_thousand_times_hides_nothing(ledger, open_keeper):
    some = vectors(1300)
    some[:1000] = some[0]
    ids = await remember(ledger, some)

    async with open_keeper() as keeper:
        await until(keeper, "ready")
        alike = await keeper.nearest(some[0], 50, patience_s=WAIT_S)

        assert await found(keeper, some[1000:]) == ids[1000:]
    assert [one.task_id for one in alike[:ALIKE_AT_MOST]] == ids[999 : 999 - ALIKE_AT_MOST : -1]
    assert {one.task_id for one in alike[ALIKE_AT_MOST:]} <= set(ids[1000:])


async def test_it_holds_the_newest_tasks_only(ledger, open_keeper):
    some = vectors(150)
    ids = await remember(ledger, some[:120])

    async with open_keeper(capacity=100) as keeper:
        await until(keeper, "ready")
        before = await keeper.nearest(some[0], 200, patience_s=WAIT_S)
        late = await remember(ledger, some[120:], prefix="u")
        await ledger.write(lambda db: db.execute("UPDATE tasks SET begun_at = begun_at + 1000 WHERE id GLOB 'u*'"))
        await keeper.nearest(some[0], 1, patience_s=WAIT_S)
    async with open_keeper(capacity=100) as keeper:
        await until(keeper, "ready")
        after = await keeper.nearest(some[0], 200, patience_s=WAIT_S)

    assert {one.task_id for one in before} == set(ids[20:])
    assert {one.task_id for one in after} == {*ids[50:], *late}


async def test_vectors_of_another_embedder_are_never_found(ledger, open_keeper):
    some = vectors(20)
    ours = await remember(ledger, some[:10], prefix="ours")
    await remember(ledger, some[10:], prefix="theirs", embedder="another-32")

    async with open_keeper() as keeper:
        await until(keeper, "ready")
        near = await keeper.nearest(some[15], 20, patience_s=WAIT_S)
        unlike = await keeper.nearest(vectors(1, dimensions=8)[0], 20, patience_s=WAIT_S)

    assert {one.task_id for one in near} == set(ours)
    assert unlike == ()


async def test_the_next_process_opens_what_this_one_left(ledger, root: Path, open_keeper):
    some = vectors(100)
    ids = await remember(ledger, some)
    async with open_keeper() as keeper:
        await until(keeper, "ready")
    (chroma_folder,) = (root / "0").glob("g-*")

    async with open_keeper() as keeper:
        await until(keeper, "ready")
        assert await found(keeper, some) == ids

    assert list((root / "0").glob("g-*")) == [chroma_folder]


async def test_the_record_is_written_after_the_vectors(ledger, root: Path, open_keeper):
    await remember(ledger, vectors(30))

    async with open_keeper() as keeper:
        await until(keeper, "ready")
        record = json.loads((root / "0" / "slot.json").read_text())

    (last,) = await ledger.rows("SELECT MAX(row) FROM embeddings")
    assert (record["embedder"], record["caught_up"], record["chroma"]) == (EMBEDDER, last[0], "1.5.9")


@pytest.mark.parametrize("name", ["Ünïcödé ✓ ordner", "with  spaces", "quote'd & odd"])
async def test_the_data_folder_may_have_any_name(tmp_path: Path, clock, open_keeper, name: str):
    ledger = await Ledger.open(tmp_path / name, clock)
    some = vectors(20)
    ids = await remember(ledger, some)

    for _ in range(2):
        async with open_keeper(over=ledger, storage=ChromaSlot(tmp_path / name / "index", EMBEDDER)) as keeper:
            await until(keeper, "ready")
            assert await found(keeper, some) == ids
    await ledger.aclose()


async def test_many_calls_at_once_are_all_answered(ledger, open_keeper):
    some = vectors(50)
    ids = await remember(ledger, some)
    answers: dict[int, list[str | None]] = {}

    async def ask(keeper, number: int) -> None:
        answers[number] = await found(keeper, some[number : number + 1])

    async with open_keeper() as keeper, anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(ask, keeper, number)

    assert [answers[number] for number in range(50)] == [[id_] for id_ in ids]


async def test_an_index_deleted_while_in_use_is_built_anew(ledger, root: Path, open_keeper):
    some = vectors(60)
    await remember(ledger, some[:50])

    async with open_keeper() as keeper:
        await until(keeper, "ready")
        shutil.rmtree(root)
        await ledger.begin_task(task("late"))
        await embeddings.store(ledger, EMBEDDER, ["late"], some[55:56])

        assert await found(keeper, some[55:56]) == ["late"]


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (IndexState("rebuilding", 120, 900), "memory: rebuilding, 120 of 900"),
        (IndexState("warming"), "memory: warming"),
        (IndexState("unavailable", reason="start it"), "memory: unavailable (start it)"),
    ],
)
def test_a_state_is_one_line(state: IndexState, text: str):
    assert state.as_text() == text
