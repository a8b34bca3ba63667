"""Keeps an index level with the ledger, and answers from it.

Answers never wait for Chroma: until it is loaded, built, or well again, the same vectors are searched
exactly, in memory, and so they are where it misses too many of them. As long as nothing is remembered Chroma
is not even loaded. Before each answer the rows that came since the last one are read from the ledger, so what
another process wrote counts at once; into Chroma they move in the background.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.abc

from .. import embeddings
from ..errors import LedgerError
from .chroma_library import index_form
from .contents import Contents
from .errors import IndexDamaged, IndexFailed, IndexFailure, IndexUnavailable, NotFindable
from .exact import ExactIndex
from .exact_choice import ChoiceFile, ExactChoice
from .layered import LayeredIndex
from .register import entry_of
from .self_check import check_findable
from .state import IndexState
from .vector_index import Neighbour, Opened, Shelf, VectorIndex

if TYPE_CHECKING:
    from ..ledger import Ledger
    from .vector_index import Vector, Vectors

CAPACITY = 50_000
"""The newest tasks that the index holds, when nothing else is asked for."""
EXACT_UP_TO = 50_000
"""So many vectors are searched exactly while Chroma cannot: 50 MB of 256 dimensions, a few milliseconds."""
RETRY_AFTER_S = 60.0
"""How long what was unavailable is left alone."""

_AT_ONCE = 500
_LAYER_AT_MOST = 2_000
"""More than this above Chroma is a matter for the background."""

_log = logging.getLogger(__name__)


@dataclass
class _Standing:
    """What answers at the moment. Replaced as a whole, so that whoever waits for a change sees it."""

    index: VectorIndex | None = None
    """Chroma when it is layered."""
    is_settled: anyio.Event = field(default_factory=anyio.Event)
    """Set once it is known whether there is something to answer from."""


class IndexKeeper:
    """Owns the index of one embedder. Calls may come from many tasks at once."""

    def __init__(
        self,
        ledger: "Ledger",
        embedder: str,
        shelf: Shelf,
        *,
        capacity: int = CAPACITY,
        exact_up_to: int = EXACT_UP_TO,
        load_after_s: float = 0.0,
        retry_after_s: float = RETRY_AFTER_S,
        folder: Path | None = None,
    ) -> None:
        """embedder: its id. capacity: how many of the newest tasks are held. folder: where processes tell each
        other that exact search was chosen; None: nowhere.

        load_after_s: how long Chroma is left alone at first, so that loading it does not slow the first
        answers; what few vectors there are is searched exactly meanwhile.
        """
        self._ledger = ledger
        self._embedder = embedder
        self._shelf = shelf
        self._capacity = capacity
        self._exact_up_to = exact_up_to
        self._load_after_s = load_after_s
        self._retry_after_s = retry_after_s
        self._state = IndexState("absent")
        self._contents = Contents(ledger, embedder, capacity)
        self._standing = _Standing()
        self._turn = anyio.Lock()
        self._wake = anyio.Event()
        self._is_started = False
        self._is_idle = False
        """Whether Chroma waits for the first vector."""
        self._write_failures = 0
        self._level_at: object = None
        """How the ledger stood when what answers was level with it. None: it may not be."""
        self._choice_file = ChoiceFile(folder, embedder)
        self._choice: ExactChoice | None = None

    @property
    def state(self) -> IndexState:
        return self._state

    def start(self, group: anyio.abc.TaskGroup) -> None:
        """Load the index in the background, once however often this is called; ends when the group is cancelled."""
        if not self._is_started:
            self._is_started = True
            self._state = IndexState("warming")
            group.start_soon(self._serve)

    async def load(self) -> None:
        """Read the ledger's vectors, however many, to be searched exactly, where `start` is not called. Chroma is left
        alone. Raises LedgerError."""
        if not self._is_started:
            await self._load(however_many=True)
            entries = len(self._contents.register.entries)
            self._state = IndexState("ready", entries, entries)

    async def nearest(self, vector: "Vector", count: int, *, patience_s: float) -> Sequence[Neighbour] | None:
        """The tasks of the ledger most similar to a vector, best first, level with the ledger as it is now.

        Of tasks with one and the same vector only the newest are among them. None: nothing answered within
        patience_s, and the state says why. Raises LedgerError, and nothing else.
        """
        if self._state.phase == "absent":
            return None
        with anyio.move_on_after(patience_s):
            while True:
                standing = self._standing
                await standing.is_settled.wait()
                if standing is not self._standing:
                    continue
                if standing.index is None:
                    return None
                try:
                    async with self._turn:
                        if standing is self._standing and await self._catch_up(standing.index):
                            return await self._search(standing.index, vector, count)
                except IndexFailure as failure:
                    self._fall_back(standing, failure)
        return None

    async def aclose(self) -> None:
        """Whoever calls this has ended what `start` began. Of a caller that gives up, Chroma ends by itself."""
        await self._shelf.aclose()

    async def _search(self, index: VectorIndex, vector: "Vector", count: int) -> Sequence[Neighbour]:
        register = self._contents.register
        if not register.entries or not self._contents.fits(vector) or count < 1:
            return ()
        similarities = {match.id: match.similarity for match in await index.nearest(vector, count)}
        # Chroma's graph is an approximation: among near-duplicates one of 100 is not found, and the very
        # same vector must be.
        same = entry_of(embeddings.encode(vector))
        if same in register.entries:
            similarities = {same: similarities.get(same, 1.0)} | similarities
        found = [Neighbour(task_id, far) for entry, far in similarities.items() for task_id in register.tasks(entry)]
        return found[:count]

    async def _catch_up(self, index: VectorIndex) -> bool:
        """Put in and take out what changed in the ledger; False when that is too much to do before an answer."""
        looked = await self._ledger.look()
        if looked == self._level_at:
            return True
        while not (change := await self._contents.next_change(_AT_ONCE)).is_empty:
            if isinstance(index, LayeredIndex) and change.is_more and index.pending > _LAYER_AT_MOST:
                self._fall_back(self._standing, None)
                return False
            if change.entered:
                await index.add(change.added, change.vectors)
            await index.remove(self._contents.apply(change))
        if isinstance(index, LayeredIndex) and index.is_due:
            self._wake.set()
        if self._is_idle and self._contents.register.entries:
            self._is_idle = False
            self._state = IndexState("warming")
            self._wake.set()
        self._level_at = looked
        if self._choice is not None and not self._holds(self._choice):
            self._choice = None
            self._wake.set()
        return True

    def _fall_back(self, standing: _Standing, failure: IndexFailure | None) -> None:
        """Stop answering from what answered, and let the background see to it."""
        if standing is not self._standing:
            return  # someone was here before
        if failure is not None:
            _log.warning("the memory's index failed, and is opened again: %s", failure)
        self._state = IndexState("warming", reason=str(failure) if failure else None)
        self._stand(_Standing())
        self._wake.set()

    async def _serve(self) -> None:
        while True:
            self._wake = anyio.Event()
            pause_s: float | None = None
            try:
                if not isinstance(self._standing.index, LayeredIndex):
                    await self._bring_up()
                    self._write_failures = 0
                await self._settle()
            except (IndexFailure, LedgerError) as failure:
                _log.warning("the memory's index is unavailable: %s", failure)
                self._state = IndexState("unavailable", reason=str(failure))
                self._standing.is_settled.set()
                pause_s = self._retry_after_s
            except Exception:  # noqa: BLE001 - the outermost loop: a mistake of ours must not end the server
                _log.exception("the memory's index stopped")
                self._state = IndexState("unavailable", reason=_OUR_MISTAKE)
                self._standing.is_settled.set()
                pause_s = self._retry_after_s
            with anyio.move_on_after(pause_s):
                await self._wake.wait()

    async def _bring_up(self) -> None:
        """From nothing, or from whatever failed, to an index that is ready."""
        if not isinstance(self._standing.index, ExactIndex):
            await self._load()
        if await self._is_exact_chosen():
            return
        if isinstance(self._standing.index, ExactIndex) and not self._contents.register.entries:
            self._is_idle = True
            self._state = IndexState("ready")
            return
        if self._load_after_s:
            pause_s, self._load_after_s = self._load_after_s, 0.0
            await anyio.sleep(pause_s)
        try:
            if self._write_failures > 1:
                raise IndexDamaged("it failed again and again while it was written")
            await self._fill(await self._shelf.open())
        except IndexDamaged as damage:
            await self._fill(await self._renew(str(damage)))

    async def _renew(self, why: str) -> Opened:
        _log.warning("the memory's index is built anew from the ledger: %s", why)
        self._state = IndexState("rebuilding", 0, len(self._contents.register.entries))
        return await self._shelf.renew()

    async def _load(self, *, however_many: bool = False) -> None:
        """Read the ledger's vectors; few enough, or however many, are searched exactly until Chroma is ready."""
        async with self._turn:
            exact = ExactIndex()
            count = await embeddings.count(self._ledger, self._embedder)
            is_exact = however_many or min(count, self._capacity) <= self._exact_up_to
            await self._contents.load(exact if is_exact else None)
            self._stand(_Standing(exact if is_exact else None))
            if is_exact:
                self._standing.is_settled.set()

    def _stand(self, standing: _Standing) -> None:
        earlier, self._standing = self._standing, standing
        self._level_at = None
        earlier.is_settled.set()  # whoever waits there looks again

    async def _is_exact_chosen(self) -> bool:
        """Whether exact search was chosen, by whichever process, and is not to be questioned yet."""
        choice = await self._choice_file.read()
        if choice is None:
            return False
        if not self._holds(choice):
            await self._choice_file.clear()
            return False
        await self._choose_exact(choice)
        return True

    def _holds(self, choice: ExactChoice) -> bool:
        return choice.holds_at(len(self._contents.register.entries), index_form())

    async def _choose_exact(self, choice: ExactChoice) -> None:
        if not isinstance(self._standing.index, ExactIndex):
            await self._load(however_many=True)
        self._choice = choice
        entries = len(self._contents.register.entries)
        self._state = IndexState("ready", entries, entries, choice.as_text())

    async def _fill(self, opened: Opened) -> None:
        """Make an opened index agree with the ledger, check it, and answer from it; a new one that misses too
        much is given up for exact search.

        Raises IndexDamaged when it is not what it should be, IndexUnavailable when it cannot be written.
        """
        index = opened.index
        try:
            held = set(await index.ids())
            if opened.caught_up is not None and (lost := self._contents.expected_at(opened.caught_up) - held):
                raise IndexDamaged(f"{len(lost)} vectors are missing from it")
            held = await self._drop_foreign(index, held)
            await check_findable(index, self._ledger, self._embedder, self._contents.register, held)
        except IndexFailed as failure:
            raise IndexDamaged(f"Chroma cannot read it ({failure})") from failure
        try:
            is_new = not held
            index = await self._add_missing(index, held)
            if is_new and (choice := await self._why_exact(index, held)) is not None:
                _log.warning("the memory's index is not used: %s", choice.as_text())
                await self._choice_file.write(choice)
                await self._shelf.aclose()
                await self._choose_exact(choice)
                return
            layered = LayeredIndex(index)
            async with self._turn:
                await self._level(layered, held)
                self._stand(_Standing(layered))
                self._standing.is_settled.set()
                entries = len(self._contents.register.entries)
                self._state = IndexState("ready", entries, entries)
        except IndexFailed as failure:
            self._write_failures += 1
            raise IndexUnavailable(f"Chroma cannot write the index ({failure}). {_WRITE_REMEDY}") from failure
        _log.info("the memory's index is ready: %d vectors", entries)

    async def _drop_foreign(self, index: VectorIndex, held: set[str]) -> set[str]:
        """Take out what the ledger no longer has; gives what is left."""
        foreign = held - self._contents.register.entries
        await index.remove(sorted(foreign))
        return held - foreign

    async def _add_missing(self, index: VectorIndex, held: set[str]) -> VectorIndex:
        """Put in whatever is not held; gives the index, which may have been opened anew."""
        if len(self._contents.register.entries - held) <= self._shelf.apart_from:
            layered = LayeredIndex(index)

            async def add(ids: Sequence[str], vectors: "Vectors") -> None:
                await layered.add(ids, vectors)
                await layered.settle()

            await self._fill_with(add, held)
            return index
        async with self._shelf.filling(index) as filling:
            await self._fill_with(filling.add, held)
        return (await self._shelf.open()).index

    async def _fill_with(self, add: "Callable[[Sequence[str], Vectors], Awaitable[None]]", held: set[str]) -> None:
        """Batch by batch, each noted: whoever is killed here goes on from there."""
        async for batch in self._contents.missing(held, _AT_ONCE):
            total = len(self._contents.register.entries)
            if total - len(held) > len(batch.added):
                self._state = IndexState("rebuilding", len(held), total)
            await add(batch.added, batch.vectors)
            held.update(batch.added)
            await self._shelf.note(batch.row)

    async def _why_exact(self, index: VectorIndex, held: set[str]) -> ExactChoice | None:
        """The choice that a new index leaves. None: it finds what is in it."""
        try:
            await check_findable(index, self._ledger, self._embedder, self._contents.register, held)
        except NotFindable as missed:
            return ExactChoice(self._embedder, index_form(), len(held), missed.misses, missed.looked_for)
        return None

    async def _level(self, layered: LayeredIndex, held: set[str]) -> None:
        """The last step, while no answer is given: what came in meanwhile goes into the layer."""
        while True:
            change = await self._contents.next_change(_AT_ONCE)
            self._contents.apply(change)
            async for batch in self._contents.missing(held, _AT_ONCE):
                await layered.add(batch.added, batch.vectors)
                held.update(batch.added)
            await layered.remove(sorted(held - self._contents.register.entries))
            held &= self._contents.register.entries
            if not change.is_more:
                return

    async def _settle(self) -> None:
        """Move what lies above Chroma down into it, while answers are given."""
        standing = self._standing
        if not isinstance(standing.index, LayeredIndex):
            return
        try:
            await standing.index.settle()
            async with self._turn:
                row = None if standing.index.pending else self._contents.row
            if row is not None and standing is self._standing:
                await self._shelf.note(row)
        except IndexFailure as failure:
            self._fall_back(standing, failure)


_OUR_MISTAKE = "an unexpected error, which is in the log; it is retried automatically"
_WRITE_REMEDY = "Make the data folder writable and free disk space; it is retried automatically"
