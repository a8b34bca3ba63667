"""The memory that tools use: it remembers, recalls, embeds missed tasks later, and never fails a task."""

import dataclasses
from dataclasses import dataclass, field

import anyio
import pytest
from ledger_rows import CHECK, SETTLEMENT, attempt, finish, task

from chargehand.memory_store import embeddings
from chargehand.memory_store.embedding.embedder import EmbedderUnavailable
from chargehand.memory_store.embedding.lexical import LexicalEmbedder, embed
from chargehand.memory_store.index.chroma_slot import ChromaSlot
from chargehand.memory_store.index.exact import ExactIndex
from chargehand.memory_store.index.keeper import IndexKeeper
from chargehand.memory_store.index.state import IndexState
from chargehand.memory_store.index.vector_index import Neighbour
from chargehand.memory_store.ledger import Ledger
from chargehand.memory_store.memory import Embedded, Memory
from chargehand.profiles.routing_rules import Prior

pytestmark = pytest.mark.anyio

PRIOR = Prior(tasks=2, success=0.6)
THINGS = ("dates", "prices", "names", "colours", "ranges", "weights", "coordinates", "versions")
TEXTS = [f"Write a function that parses {thing} from a line of text" for thing in THINGS]
REWORDED = "Could you implement a function parsing amounts out of text lines?"


class LedgerIndex:
    """An index without a file: it reads all vectors of its embedder from the ledger for each query."""

    def __init__(self, ledger: Ledger, embedder: str) -> None:
        self.ledger, self.embedder = ledger, embedder
        self.state = IndexState("ready")
        self.is_busy = False

    def start(self, group) -> None:
        pass

    async def aclose(self) -> None:
        pass

    async def nearest(self, vector, count, *, patience_s):
        if self.is_busy or self.state.phase in ("warming", "unavailable"):
            return None
        index = ExactIndex()
        rows = await embeddings.rows_after(self.ledger, self.embedder, 0, 10_000)
        if len(rows):
            await index.add(rows.task_ids, embeddings.decode(rows.blobs))
        return [Neighbour(match.id, match.similarity) for match in await index.nearest(vector, count)]


@dataclass
class UnreliableEmbedder:
    """The lexical embedder under another id; tests make it unavailable, slow, or refuse private texts."""

    name: str = "fickle-1"
    is_unavailable: bool = False
    is_remote: bool = False
    """True: it sends texts off the machine."""
    unblock: anyio.Event | None = None
    batch_limit: int | None = None
    """The number of batches it embeds before it becomes unavailable. None: unlimited."""
    asked: list[list[str]] = field(default_factory=list)
    similar_from: float = 0.5

    async def prepare(self) -> None:
        self._check()

    @property
    def id(self) -> str:
        return self.name

    async def embed(self, texts, *, local_only=False):
        self._check()
        if self.unblock is not None:
            await self.unblock.wait()
        if local_only and self.is_remote:
            raise EmbedderUnavailable("it may not leave the machine. Use another")
        if self.batch_limit is not None and len(self.asked) >= self.batch_limit:
            raise EmbedderUnavailable("it went away. Start it")
        self.asked.append(list(texts))
        return embed(texts)

    async def aclose(self) -> None:
        pass

    def _check(self) -> None:
        if self.is_unavailable:
            raise EmbedderUnavailable("nobody answers. Start it")


@pytest.fixture
def make_memory(ledger):
    """Makes a memory over the ledger; returns it with the list of indexes it opens."""

    def make(embedder=None, *, patience_s=30.0):
        indexes = []

        def open_index(name):
            indexes.append(LedgerIndex(ledger, name))
            return indexes[-1]

        memory = Memory(ledger, embedder or LexicalEmbedder(), open_index, prior=PRIOR, gate=0.8, patience_s=patience_s)
        return memory, indexes

    return make


async def delegate(ledger: Ledger, task_id: str, text: str, *tries: tuple[str, bool], **fields) -> None:
    await ledger.begin_task(task(task_id, text=text, **fields))
    for model, passed in tries:
        attempt_id = await ledger.reserve(attempt(task_id, model=model), daily_cap_usd=None)
        await ledger.settle(attempt_id, SETTLEMENT)
        outcome = "passed" if passed else "failed"
        await ledger.record_check(dataclasses.replace(CHECK, task_id=task_id, attempt_id=attempt_id, outcome=outcome))
    await ledger.finish_task(task_id, finish(model=tries[-1][0] if tries else None))


async def test_a_reworded_task_is_matched_to_the_model_that_did_best_on_similar_tasks(make_memory, ledger):
    memory, _ = make_memory()
    for number, text in enumerate(TEXTS):
        await delegate(ledger, f"t{number}", text, ("local", False), ("economy", True))
        await memory.remember(f"t{number}", text)

    same = await memory.retrieve_similar(TEXTS[0])
    reworded = await memory.retrieve_similar(REWORDED)
    unrelated = await memory.retrieve_similar("Encrypt the backup archive before it is uploaded to S3")

    assert (same.best_model, reworded.best_model, unrelated.best_model) == ("economy", "economy", None)
    assert min(same.best_model_confidence, reworded.best_model_confidence) > 0.8
    assert (same.similar_tasks, unrelated.similar_tasks, unrelated.evidence) == (len(TEXTS), 0, 0)
    assert same.note is None


async def test_tasks_remembered_by_another_process_are_recalled(home, clock, ledger, make_memory):
    memory, _ = make_memory()
    other_ledger = await Ledger.open(home, clock)
    other = Memory(
        other_ledger,
        LexicalEmbedder(),
        lambda name: LedgerIndex(other_ledger, name),
        prior=PRIOR,
        gate=0.8,
    )
    await memory.retrieve_similar(TEXTS[0])

    await delegate(other_ledger, "theirs", TEXTS[0], ("local", True))
    await other.remember("theirs", TEXTS[0])
    await other_ledger.aclose()

    assert (await memory.retrieve_similar(TEXTS[0])).similar_tasks == 1


async def test_excluded_tasks_are_not_recalled(make_memory, ledger):
    memory, _ = make_memory()
    await delegate(ledger, "mine", TEXTS[0])
    await memory.remember("mine", TEXTS[0])

    assert (await memory.retrieve_similar(TEXTS[0], except_for=("mine",))).similar_tasks == 0


async def test_remember_stores_the_embedding_of_the_full_text_immediately(make_memory, ledger):
    memory, _ = make_memory()
    await delegate(ledger, "t", "sha256:0")

    await memory.remember("t", TEXTS[0])

    stored = await embeddings.blobs_of(ledger, LexicalEmbedder.id, ["t"])
    assert stored["t"] == embeddings.encode(embed([TEXTS[0]])[0])


async def test_recalling_and_remembering_a_task_embeds_its_text_only_once(make_memory, ledger):
    embedder = UnreliableEmbedder()
    memory, _ = make_memory(embedder)
    await delegate(ledger, "t", TEXTS[0])

    await memory.retrieve_similar(TEXTS[0])
    await memory.remember("t", TEXTS[0])

    assert embedder.asked == [[TEXTS[0]]]


async def test_an_unavailable_embedder_is_noted_and_its_tasks_are_embedded_later(make_memory, ledger):
    embedder = UnreliableEmbedder(is_unavailable=True)
    memory, _ = make_memory(embedder)
    await delegate(ledger, "t", TEXTS[0], ("local", True))

    await memory.remember("t", TEXTS[0])
    unavailable = await memory.retrieve_similar(TEXTS[0])
    embedder.is_unavailable = False
    embedded = await memory.embed_missing()

    assert unavailable.note == "memory: unavailable (nobody answers. Start it)"
    assert (unavailable.best_model, unavailable.beliefs) == (None, {})
    assert embedded == Embedded(done=1, left=0, why_left=None)
    assert (await memory.retrieve_similar(TEXTS[0])).similar_tasks == 1


async def test_a_slow_embedder_does_not_block_recall_beyond_its_patience(make_memory):
    memory, _ = make_memory(UnreliableEmbedder(unblock=anyio.Event()), patience_s=0.01)

    with anyio.fail_after(60):
        recollection = await memory.retrieve_similar(TEXTS[0])

    assert recollection.note == "memory: warming"


@pytest.mark.parametrize(
    ("state", "note"),
    [
        (IndexState("warming"), "memory: warming"),
        (IndexState("unavailable", reason="the folder cannot be written to"), "memory: unavailable (the folder"),
    ],
)
async def test_an_index_that_is_not_ready_is_noted_and_nothing_is_recalled(make_memory, state, note):
    memory, indexes = make_memory()
    await memory.retrieve_similar(TEXTS[0])
    indexes[0].state = state

    recollection = await memory.retrieve_similar(TEXTS[0])

    assert recollection.note is not None
    assert recollection.note.startswith(note)
    assert recollection.similar_tasks == 0


async def test_an_index_too_busy_to_answer_in_time_is_noted_as_busy(make_memory):
    memory, indexes = make_memory(patience_s=0.5)
    await memory.retrieve_similar(TEXTS[0])
    indexes[0].is_busy = True

    recollection = await memory.retrieve_similar(TEXTS[0])

    assert recollection.note == "memory: busy (no answer within 0.5 s, so nothing was recalled)"
    assert recollection.similar_tasks == 0


async def test_recall_from_an_index_under_rebuild_notes_its_progress(make_memory, ledger):
    memory, indexes = make_memory()
    await delegate(ledger, "t", TEXTS[0], ("local", True))
    await memory.remember("t", TEXTS[0])
    await memory.retrieve_similar(TEXTS[0])
    indexes[0].state = IndexState("rebuilding", 120, 900)

    recollection = await memory.retrieve_similar(TEXTS[0])

    assert (recollection.similar_tasks, recollection.note) == (1, "memory: rebuilding, 120 of 900")


async def test_recall_from_a_corrupt_ledger_raises_no_error(make_memory, ledger, home):
    memory, _ = make_memory()
    await memory.retrieve_similar(TEXTS[0])
    for file in home.glob("ledger.sqlite3*"):
        file.write_bytes(b"overwritten" * 1000)

    recollection = await memory.retrieve_similar(TEXTS[0])

    assert recollection.note is None or recollection.note.startswith("memory: unavailable (the ledger")


async def test_changing_the_embedder_re_embeds_all_stored_texts_and_reports_progress(make_memory, ledger):
    first, _ = make_memory()
    for number in range(150):
        await ledger.begin_task(task(f"t{number}", text=f"Task number {number}"))
        await first.remember(f"t{number}", f"Task number {number}")
    second, _ = make_memory(UnreliableEmbedder("other-1"))
    reported = []

    missing = await second.missing()
    embedded = await second.embed_missing(lambda done, total: reported.append((done, total)))

    assert missing == 150
    assert embedded == Embedded(done=150, left=0, why_left=None)
    assert reported == [(64, 150), (128, 150), (150, 150)]
    assert await embeddings.count(ledger, LexicalEmbedder.id) == await embeddings.count(ledger, "other-1") == 150


async def test_interrupted_re_embedding_resumes_where_it_stopped(make_memory, ledger):
    for number in range(150):
        await ledger.begin_task(task(f"t{number}", text=f"Task number {number}"))
    embedder = UnreliableEmbedder(batch_limit=1)
    memory, _ = make_memory(embedder)

    interrupted = await memory.embed_missing()
    embedder.batch_limit = None
    resumed = await memory.embed_missing()

    assert (interrupted.done, interrupted.left) == (64, 86)
    assert interrupted.why_left == "it went away. Start it"
    assert resumed == Embedded(done=86, left=0, why_left=None)
    assert len({text for batch in embedder.asked for text in batch}) == sum(map(len, embedder.asked)) == 150


async def test_recall_during_re_embedding_notes_its_progress(make_memory, ledger):
    for number in range(70):
        await ledger.begin_task(task(f"t{number}", text=f"Task number {number}"))
    embedder = UnreliableEmbedder()
    memory, _ = make_memory(embedder)
    await memory.retrieve_similar("Task number 1")
    embedder.unblock = anyio.Event()

    async with anyio.create_task_group() as group:
        group.start_soon(memory.embed_missing)
        await anyio.wait_all_tasks_blocked()
        while memory._progress is None:
            await anyio.lowlevel.checkpoint()
        recollection = await memory.retrieve_similar("Task number 1")
        embedder.unblock.set()

    assert recollection.note == "memory: rebuilding, 0 of 70"


async def test_local_only_texts_are_not_sent_to_a_remote_embedder(make_memory, ledger):
    embedder = UnreliableEmbedder(is_remote=True)
    memory, _ = make_memory(embedder)
    await ledger.begin_task(task("private", text="Our secret plan", local_only=True))
    await ledger.begin_task(task("open", text="Sort a list"))

    await memory.remember("private", "Our secret plan", local_only=True)
    recollection = await memory.retrieve_similar("Our secret plan", local_only=True)
    embedded = await memory.embed_missing()

    assert embedder.asked == [["Sort a list"]]
    assert recollection.note == "memory: unavailable (it may not leave the machine. Use another)"
    assert (embedded.done, embedded.left) == (1, 1)


async def test_missing_embeddings_are_added_in_the_background_once_the_embedder_is_back(make_memory, ledger):
    embedder = UnreliableEmbedder(is_unavailable=True)
    memory, _ = make_memory(embedder)
    await ledger.begin_task(task("t", text=TEXTS[0]))

    async with anyio.create_task_group() as group:
        group.start_soon(memory.keep_up)
        await anyio.wait_all_tasks_blocked()
        embedder.is_unavailable = False
        # A recall that finds the embedder unavailable wakes the background task.
        await memory.retrieve_similar(TEXTS[0])
        memory._retry.set()
        with anyio.fail_after(60):
            while not await embeddings.count(ledger, embedder.id):
                await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()

    assert await memory.missing() == 0


async def test_a_reworded_task_is_recalled_both_before_and_after_chroma_has_loaded(ledger, home):
    def open_index(name):
        return IndexKeeper(ledger, name, ChromaSlot(home / "index", name))

    memory = Memory(ledger, LexicalEmbedder(), open_index, prior=PRIOR, gate=0.8, patience_s=10)
    for number, text in enumerate(TEXTS):
        await delegate(ledger, f"t{number}", text, ("local", False), ("economy", True))
        await memory.remember(f"t{number}", text)

    async with anyio.create_task_group() as group:
        group.start_soon(memory.keep_up)
        before = await memory.retrieve_similar(REWORDED)
        with anyio.fail_after(60):
            while (after := await memory.retrieve_similar(REWORDED)).note is not None:
                await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    await memory.aclose()

    assert (before.best_model, before.similar_tasks) == ("economy", len(TEXTS))
    assert (after.best_model, after.similar_tasks) == ("economy", len(TEXTS))
    assert after.best_model_confidence == pytest.approx(before.best_model_confidence, abs=1e-3)


async def test_recall_waits_only_briefly_for_an_index_that_is_not_started(ledger, home):
    def open_index(name):
        return IndexKeeper(ledger, name, ChromaSlot(home / "index", name))

    memory = Memory(ledger, LexicalEmbedder(), open_index, prior=PRIOR, gate=0.8, patience_s=0.05)
    await memory.retrieve_similar(TEXTS[0])

    with anyio.fail_after(60):
        recollection = await memory.retrieve_similar(TEXTS[0])
    await memory.aclose()

    assert recollection.note == "memory: warming"
