"""What the tools hold: it remembers, recalls, catches up with what it missed, and never fails a task."""

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
    """A kept index without a file: it reads all vectors of its embedder before each answer."""

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
class Fickle:
    """The lexical embedder under another name, which is away, slow or shy of private texts when told so."""

    name: str = "fickle-1"
    away: bool = False
    is_remote: bool = False
    """True: it sends texts elsewhere."""
    stuck: anyio.Event | None = None
    at_most: int | None = None
    """How many batches it embeds before it goes away. None: any number."""
    asked: list[list[str]] = field(default_factory=list)
    dimensions: int = 256
    similar_from: float = 0.5

    async def prepare(self) -> None:
        self._check()

    @property
    def id(self) -> str:
        return self.name

    async def embed(self, texts, *, local_only=False):
        self._check()
        if self.stuck is not None:
            await self.stuck.wait()
        if local_only and self.is_remote:
            raise EmbedderUnavailable("it may not leave the machine. Use another")
        if self.at_most is not None and len(self.asked) >= self.at_most:
            raise EmbedderUnavailable("it went away. Start it")
        self.asked.append(list(texts))
        return embed(texts)

    async def aclose(self) -> None:
        pass

    def _check(self) -> None:
        if self.away:
            raise EmbedderUnavailable("nobody answers. Start it")


@pytest.fixture
def remembering(ledger, clock):
    """A memory over the ledger, and what its index is."""

    def make(embedder=None, *, patience_s=30.0):
        indexes = []

        def open_index(name):
            indexes.append(LedgerIndex(ledger, name))
            return indexes[-1]

        memory = Memory(
            ledger, embedder or LexicalEmbedder(), open_index, prior=PRIOR, gate=0.8, clock=clock, patience_s=patience_s
        )
        return memory, indexes

    return make


async def delegated(ledger: Ledger, task_id: str, text: str, *tries: tuple[str, bool], **fields) -> None:
    await ledger.begin_task(task(task_id, text=text, **fields))
    for model, passed in tries:
        attempt_id = await ledger.reserve(attempt(task_id, model=model), daily_cap_usd=None)
        await ledger.settle(attempt_id, SETTLEMENT)
        outcome = "passed" if passed else "failed"
        await ledger.record_check(dataclasses.replace(CHECK, task_id=task_id, attempt_id=attempt_id, outcome=outcome))
    await ledger.finish_task(task_id, finish(model=tries[-1][0] if tries else None))


async def test_similar_tasks_send_a_reworded_one_to_the_model_that_did_best(remembering, ledger):
    memory, _ = remembering()
    for number, text in enumerate(TEXTS):
        await delegated(ledger, f"t{number}", text, ("local", False), ("economy", True))
        await memory.remember(f"t{number}", text)

    same = await memory.retrieve_similar(TEXTS[0])
    reworded = await memory.retrieve_similar(REWORDED)
    unrelated = await memory.retrieve_similar("Encrypt the backup archive before it is uploaded to S3")

    assert (same.best_model, reworded.best_model, unrelated.best_model) == ("economy", "economy", None)
    assert min(same.best_model_confidence, reworded.best_model_confidence) > 0.8
    assert (same.similar_tasks, unrelated.similar_tasks, unrelated.evidence) == (len(TEXTS), 0, 0)
    assert same.note is None


async def test_what_another_process_remembered_counts(home, clock, ledger, remembering):
    memory, _ = remembering()
    other_ledger = await Ledger.open(home, clock)
    other = Memory(
        other_ledger,
        LexicalEmbedder(),
        lambda name: LedgerIndex(other_ledger, name),
        prior=PRIOR,
        gate=0.8,
        clock=clock,
    )
    await memory.retrieve_similar(TEXTS[0])

    await delegated(other_ledger, "theirs", TEXTS[0], ("local", True))
    await other.remember("theirs", TEXTS[0])
    await other_ledger.aclose()

    assert (await memory.retrieve_similar(TEXTS[0])).similar_tasks == 1


async def test_the_task_that_is_asked_about_does_not_count(remembering, ledger):
    memory, _ = remembering()
    await delegated(ledger, "mine", TEXTS[0])
    await memory.remember("mine", TEXTS[0])

    assert (await memory.retrieve_similar(TEXTS[0], except_for=("mine",))).similar_tasks == 0


async def test_the_vector_is_of_the_whole_text_and_on_disk_at_once(remembering, ledger):
    memory, _ = remembering()
    await delegated(ledger, "t", "sha256:0")

    await memory.remember("t", TEXTS[0])

    stored = await embeddings.blobs_of(ledger, LexicalEmbedder.id, ["t"])
    assert stored["t"] == embeddings.encode(embed([TEXTS[0]])[0])


async def test_a_task_is_embedded_once_for_looking_up_and_remembering(remembering, ledger):
    embedder = Fickle()
    memory, _ = remembering(embedder)
    await delegated(ledger, "t", TEXTS[0])

    await memory.retrieve_similar(TEXTS[0])
    await memory.remember("t", TEXTS[0])

    assert embedder.asked == [[TEXTS[0]]]


async def test_without_its_embedder_it_says_why_and_remembers_later(remembering, ledger):
    embedder = Fickle(away=True)
    memory, _ = remembering(embedder)
    await delegated(ledger, "t", TEXTS[0], ("local", True))

    await memory.remember("t", TEXTS[0])
    without = await memory.retrieve_similar(TEXTS[0])
    embedder.away = False
    embedded = await memory.embed_missing()

    assert without.note == "memory: unavailable (nobody answers. Start it)"
    assert (without.best_model, without.beliefs) == (None, {})
    assert embedded == Embedded(done=1, left=0, why_left=None)
    assert (await memory.retrieve_similar(TEXTS[0])).similar_tasks == 1


async def test_a_slow_embedder_does_not_hold_up_an_answer(remembering):
    memory, _ = remembering(Fickle(stuck=anyio.Event()), patience_s=0.01)

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
async def test_an_index_that_is_not_ready_is_said_and_nothing_is_recalled(remembering, state, note):
    memory, indexes = remembering()
    await memory.retrieve_similar(TEXTS[0])
    indexes[0].state = state

    recollection = await memory.retrieve_similar(TEXTS[0])

    assert recollection.note is not None
    assert recollection.note.startswith(note)
    assert recollection.similar_tasks == 0


async def test_an_index_too_busy_to_answer_in_time_is_not_called_ready(remembering):
    memory, indexes = remembering(patience_s=0.5)
    await memory.retrieve_similar(TEXTS[0])
    indexes[0].is_busy = True

    recollection = await memory.retrieve_similar(TEXTS[0])

    assert recollection.note == "memory: busy (no answer within 0.5 s, so nothing was recalled)"
    assert recollection.similar_tasks == 0


async def test_an_index_that_answers_while_it_is_rebuilt_says_so(remembering, ledger):
    memory, indexes = remembering()
    await delegated(ledger, "t", TEXTS[0], ("local", True))
    await memory.remember("t", TEXTS[0])
    await memory.retrieve_similar(TEXTS[0])
    indexes[0].state = IndexState("rebuilding", 120, 900)

    recollection = await memory.retrieve_similar(TEXTS[0])

    assert (recollection.similar_tasks, recollection.note) == (1, "memory: rebuilding, 120 of 900")


async def test_a_ledger_that_cannot_be_read_is_a_note_and_not_an_error(remembering, ledger, home):
    memory, _ = remembering()
    await memory.retrieve_similar(TEXTS[0])
    for file in home.glob("ledger.sqlite3*"):
        file.write_bytes(b"overwritten" * 1000)

    recollection = await memory.retrieve_similar(TEXTS[0])

    assert recollection.note is None or recollection.note.startswith("memory: unavailable (the ledger")


async def test_another_embedder_embeds_all_again_from_the_stored_text_and_tells_how_far_it_is(remembering, ledger):
    first, _ = remembering()
    for number in range(150):
        await ledger.begin_task(task(f"t{number}", text=f"Task number {number}"))
        await first.remember(f"t{number}", f"Task number {number}")
    second, _ = remembering(Fickle("other-1"))
    told = []

    missing = await second.missing()
    embedded = await second.embed_missing(lambda done, total: told.append((done, total)))

    assert missing == 150
    assert embedded == Embedded(done=150, left=0, why_left=None)
    assert told == [(64, 150), (128, 150), (150, 150)]
    assert await embeddings.count(ledger, LexicalEmbedder.id) == await embeddings.count(ledger, "other-1") == 150


async def test_embedding_again_goes_on_where_it_was_interrupted(remembering, ledger):
    for number in range(150):
        await ledger.begin_task(task(f"t{number}", text=f"Task number {number}"))
    embedder = Fickle(at_most=1)
    memory, _ = remembering(embedder)

    interrupted = await memory.embed_missing()
    embedder.at_most = None
    resumed = await memory.embed_missing()

    assert (interrupted.done, interrupted.left) == (64, 86)
    assert interrupted.why_left == "it went away. Start it"
    assert resumed == Embedded(done=86, left=0, why_left=None)
    assert len({text for batch in embedder.asked for text in batch}) == sum(map(len, embedder.asked)) == 150


async def test_while_it_embeds_again_it_says_how_far_it_is(remembering, ledger):
    for number in range(70):
        await ledger.begin_task(task(f"t{number}", text=f"Task number {number}"))
    embedder = Fickle()
    memory, _ = remembering(embedder)
    await memory.retrieve_similar("Task number 1")
    embedder.stuck = anyio.Event()

    async with anyio.create_task_group() as group:
        group.start_soon(memory.embed_missing)
        await anyio.wait_all_tasks_blocked()
        while memory._progress is None:
            await anyio.lowlevel.checkpoint()
        recollection = await memory.retrieve_similar("Task number 1")
        embedder.stuck.set()

    assert recollection.note == "memory: rebuilding, 0 of 70"


async def test_a_private_text_does_not_go_to_an_embedder_elsewhere(remembering, ledger):
    embedder = Fickle(is_remote=True)
    memory, _ = remembering(embedder)
    await ledger.begin_task(task("private", text="Our secret plan", local_only=True))
    await ledger.begin_task(task("open", text="Sort a list"))

    await memory.remember("private", "Our secret plan", local_only=True)
    recollection = await memory.retrieve_similar("Our secret plan", local_only=True)
    embedded = await memory.embed_missing()

    assert embedder.asked == [["Sort a list"]]
    assert recollection.note == "memory: unavailable (it may not leave the machine. Use another)"
    assert (embedded.done, embedded.left) == (1, 1)


async def test_in_the_background_it_catches_up_once_the_embedder_is_back(remembering, ledger):
    embedder = Fickle(away=True)
    memory, _ = remembering(embedder)
    await ledger.begin_task(task("t", text=TEXTS[0]))

    async with anyio.create_task_group() as group:
        group.start_soon(memory.keep_up)
        await anyio.wait_all_tasks_blocked()
        embedder.away = False
        # A call that finds it away wakes the background.
        await memory.retrieve_similar(TEXTS[0])
        memory._retry.set()
        with anyio.fail_after(60):
            while not await embeddings.count(ledger, embedder.id):
                await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()

    assert await memory.missing() == 0


async def test_with_the_real_index_a_reworded_task_is_found_before_and_after_chroma_has_loaded(ledger, clock, home):
    def open_index(name):
        return IndexKeeper(ledger, name, ChromaSlot(home / "index", name))

    memory = Memory(ledger, LexicalEmbedder(), open_index, prior=PRIOR, gate=0.8, clock=clock, patience_s=10)
    for number, text in enumerate(TEXTS):
        await delegated(ledger, f"t{number}", text, ("local", False), ("economy", True))
        await memory.remember(f"t{number}", text)

    async with anyio.create_task_group() as group:
        group.start_soon(memory.keep_up)
        at_first = await memory.retrieve_similar(REWORDED)
        with anyio.fail_after(30):
            while (later := await memory.retrieve_similar(REWORDED)).note is not None:
                await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    await memory.aclose()

    assert (at_first.best_model, at_first.similar_tasks) == ("economy", len(TEXTS))
    assert (later.best_model, later.similar_tasks) == ("economy", len(TEXTS))
    assert later.best_model_confidence == pytest.approx(at_first.best_model_confidence, abs=1e-3)


async def test_before_the_background_has_begun_the_first_call_waits_for_it_only_briefly(ledger, clock, home):
    def open_index(name):
        return IndexKeeper(ledger, name, ChromaSlot(home / "index", name))

    memory = Memory(ledger, LexicalEmbedder(), open_index, prior=PRIOR, gate=0.8, clock=clock, patience_s=0.05)
    await memory.retrieve_similar(TEXTS[0])

    with anyio.fail_after(60):
        recollection = await memory.retrieve_similar(TEXTS[0])
    await memory.aclose()

    assert recollection.note == "memory: warming"
