"""Keeps an index in sync with the ledger and answers queries from it.

Queries never wait for Chroma: while it is loading, being built or failing, and where it misses too many vectors,
the same vectors are searched exactly in memory. Chroma is not loaded while the memory is empty. Before each query
the rows are read that came in before the ledger's last refresh, so other processes' writes count from the next
refresh on; a background task moves them into Chroma.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.abc

from .. import embeddings
from ..errors import LedgerError
from .building import BATCH, IndexBuilder
from .chroma_library import index_form
from .contents import Contents
from .errors import IndexDamaged, IndexFailed, IndexFailure, IndexUnavailable
from .exact import ExactIndex
from .exact_choice import ChoiceFile, ExactChoice
from .layered import LayeredIndex
from .register import entry_of
from .state import IndexState
from .vector_index import IndexStorage, Neighbour, Opened, VectorIndex

if TYPE_CHECKING:
    from ..ledger import Ledger
    from .vector_index import Vector

CAPACITY = 50_000
"""Default number of tasks in the index, the newest ones."""
EXACT_UP_TO = 50_000
"""Limit on vectors searched exactly while Chroma is not ready: 50 MB at 256 dimensions, a few milliseconds."""
RETRY_AFTER_S = 60.0
"""Pause before retrying an unavailable index."""

_LAYER_AT_MOST = 2_000
"""With more pending changes than this, catching up is left to the background task."""

_log = logging.getLogger(__name__)


@dataclass
class _ActiveIndex:
    """The index in use. Replaced as a whole, so that waiting queries notice a change."""

    index: VectorIndex | None = None
    """A LayeredIndex if it is Chroma, else exact. None: nothing can answer."""
    is_settled: anyio.Event = field(default_factory=anyio.Event)
    """Set when it is known whether there is an index."""


class IndexKeeper:
    """Owns the index of one embedder. Safe for concurrent tasks."""

    def __init__(
        self,
        ledger: "Ledger",
        embedder: str,
        storage: IndexStorage,
        *,
        capacity: int = CAPACITY,
        exact_up_to: int = EXACT_UP_TO,
        load_after_s: float = 0.0,
        retry_after_s: float = RETRY_AFTER_S,
        folder: Path | None = None,
    ) -> None:
        """embedder: its id. capacity: number of newest tasks held. folder: where the choice of exact search is
        shared between processes; None: not shared.

        load_after_s: delay before loading Chroma, so that it does not slow down the first answers; vectors are
        searched exactly meanwhile, unless there are too many.
        """
        self._ledger = ledger
        self._embedder = embedder
        self._storage = storage
        self._capacity = capacity
        self._exact_up_to = exact_up_to
        self._load_after_s = load_after_s
        self._retry_after_s = retry_after_s
        self._state = IndexState("absent")
        self._contents = Contents(ledger, embedder, capacity)
        self._builder = IndexBuilder(ledger, embedder, storage, self._contents, self._show_progress)
        self._active = _ActiveIndex()
        self._lock = anyio.Lock()
        self._wake = anyio.Event()
        self._is_started = False
        self._is_idle = False
        """Whether Chroma waits for the first vector."""
        self._write_failures = 0
        self._synced_at: object = None
        """How the ledger stood when what answers was level with it. None: it may not be."""
        self._choice_file = ChoiceFile(folder, embedder)
        self._choice: ExactChoice | None = None

    @property
    def state(self) -> IndexState:
        return self._state

    def start(self, group: anyio.abc.TaskGroup) -> None:
        """Load the index in a background task that ends when the group is cancelled; further calls do nothing."""
        if not self._is_started:
            self._is_started = True
            self._state = IndexState("warming")
            group.start_soon(self._serve)

    async def load(self) -> None:
        """Load all of the ledger's vectors for exact search, without Chroma, for use without `start`. Raises
        LedgerError."""
        if not self._is_started:
            await self._load(however_many=True)
            self._show_ready()

    async def nearest(self, vector: "Vector", count: int, *, patience_s: float) -> Sequence[Neighbour] | None:
        """The tasks most similar to a vector, best first, in sync with the ledger as of its last refresh.

        Of tasks with an identical vector only the newest are included. None: no answer within patience_s; see
        `state`. Raises only LedgerError.
        """
        if self._state.phase == "absent":
            return None
        with anyio.move_on_after(patience_s):
            while True:
                active = self._active
                await active.is_settled.wait()
                if active is not self._active:
                    continue
                if active.index is None:
                    return None
                try:
                    async with self._lock:
                        if active is self._active and await self._catch_up(active.index):
                            return await self._search(active.index, vector, count)
                except IndexFailure as failure:
                    self._fall_back(active, failure)
        return None

    async def aclose(self) -> None:
        """Close the index, after the task group of `start` has ended. If cancelled, Chroma closes in its own thread."""
        await self._storage.aclose()

    async def _search(self, index: VectorIndex, vector: "Vector", count: int) -> Sequence[Neighbour]:
        register = self._contents.register
        if not register.entries or not self._contents.fits(vector) or count < 1:
            return ()
        similarities = {match.id: match.similarity for match in await index.nearest(vector, count)}
        # Chroma's search is approximate and misses one in 100 near-duplicates; an identical vector must
        # always be found.
        same = entry_of(embeddings.encode(vector))
        if same in register.entries:
            similarities = {same: similarities.get(same, 1.0)} | similarities
        found = [Neighbour(task_id, far) for entry, far in similarities.items() for task_id in register.tasks(entry)]
        return found[:count]

    async def _catch_up(self, index: VectorIndex) -> bool:
        """Apply the ledger's changes to the index; False when there are too many to do before answering."""
        version = self._ledger.version
        if self._synced_at is not None and version == self._synced_at:
            return True
        is_more = True
        while is_more:
            change = await self._contents.next_change(BATCH)
            is_more = change.is_more
            if is_more and isinstance(index, LayeredIndex) and index.pending > _LAYER_AT_MOST:
                self._fall_back(self._active, None)
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
        self._synced_at = version
        if self._choice is not None and not self._holds(self._choice):
            self._choice = None
            self._wake.set()
        return True

    def _fall_back(self, active: _ActiveIndex, failure: IndexFailure | None) -> None:
        """Stop using the active index and wake the background task to replace it."""
        if active is not self._active:
            return  # already replaced
        if failure is not None:
            _log.warning("the memory's index failed, and is opened again: %s", failure)
        self._state = IndexState("warming", reason=str(failure) if failure else None)
        self._activate(_ActiveIndex())
        self._wake.set()

    async def _serve(self) -> None:
        while True:
            self._wake = anyio.Event()
            pause_s: float | None = None
            try:
                if not isinstance(self._active.index, LayeredIndex):
                    await self._bring_up()
                    self._write_failures = 0
                await self._settle()
            except (IndexFailure, LedgerError) as failure:
                _log.warning("the memory's index is unavailable: %s", failure)
                self._state = IndexState("unavailable", reason=str(failure))
                self._active.is_settled.set()
                pause_s = self._retry_after_s
            except Exception:  # noqa: BLE001 - the outermost loop: a bug of ours must not end the server
                _log.exception("the memory's index stopped")
                self._state = IndexState("unavailable", reason=_OUR_MISTAKE)
                self._active.is_settled.set()
                pause_s = self._retry_after_s
            with anyio.move_on_after(pause_s):
                await self._wake.wait()

    async def _bring_up(self) -> None:
        """Bring the index to the ready state, initially or after a failure."""
        if not isinstance(self._active.index, ExactIndex):
            await self._load()
        if await self._is_exact_chosen():
            return
        if isinstance(self._active.index, ExactIndex) and not self._contents.register.entries:
            self._is_idle = True
            self._show_ready()
            return
        if self._load_after_s:
            pause_s, self._load_after_s = self._load_after_s, 0.0
            await anyio.sleep(pause_s)
        try:
            if self._write_failures > 1:
                raise IndexDamaged("it failed again and again while it was written")
            await self._fill(await self._storage.open())
        except IndexDamaged as damage:
            await self._fill(await self._renew(str(damage)))

    async def _renew(self, why: str) -> Opened:
        _log.warning("the memory's index is built anew from the ledger: %s", why)
        self._show_progress(0, len(self._contents.register.entries))
        return await self._storage.renew()

    async def _load(self, *, however_many: bool = False) -> None:
        """Read the ledger; use exact search until Chroma is ready, if vectors are few enough or however_many is set."""
        async with self._lock:
            exact = ExactIndex()
            count = await embeddings.count(self._ledger, self._embedder)
            is_exact = however_many or min(count, self._capacity) <= self._exact_up_to
            await self._contents.load(exact if is_exact else None)
            self._activate(_ActiveIndex(exact if is_exact else None))
            if is_exact:
                self._active.is_settled.set()

    def _activate(self, active: _ActiveIndex) -> None:
        earlier, self._active = self._active, active
        self._synced_at = None
        earlier.is_settled.set()  # wakes waiting queries, which then use the new one

    async def _is_exact_chosen(self) -> bool:
        """Whether some process chose exact search and the choice still holds; if so, activate it."""
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
        if not isinstance(self._active.index, ExactIndex):
            await self._load(however_many=True)
        self._choice = choice
        self._show_ready(choice.as_text())

    async def _fill(self, opened: Opened) -> None:
        """Bring an opened index level with the ledger and activate it; a newly built one with too many misses is
        replaced by exact search.

        Raises IndexDamaged when its contents are wrong, IndexUnavailable when it cannot be written.
        """
        held = await self._builder.examine(opened)
        is_new = not held
        try:
            index = await self._builder.complete(opened.index, held)
            if is_new and (choice := await self._builder.why_exact(index, held)) is not None:
                _log.warning("the memory's index is not used: %s", choice.as_text())
                await self._choice_file.write(choice)
                await self._storage.aclose()
                await self._choose_exact(choice)
                return
            layered = LayeredIndex(index)
            async with self._lock:
                await self._builder.sync_layer(layered, held)
                self._activate(_ActiveIndex(layered))
                self._active.is_settled.set()
                self._show_ready()
        except IndexFailed as failure:
            self._write_failures += 1
            raise IndexUnavailable(f"Chroma cannot write the index ({failure}). {_WRITE_REMEDY}") from failure
        _log.info("the memory's index is ready: %d vectors", self._state.total)

    def _show_ready(self, reason: str | None = None) -> None:
        entries = len(self._contents.register.entries)
        self._state = IndexState("ready", entries, entries, reason)

    def _show_progress(self, done: int, total: int) -> None:
        self._state = IndexState("rebuilding", done, total)

    async def _settle(self) -> None:
        """Move pending changes into Chroma while queries continue."""
        active = self._active
        if not isinstance(active.index, LayeredIndex):
            return
        try:
            await active.index.settle()
            async with self._lock:
                row = None if active.index.pending else self._contents.row
            if row is not None and active is self._active:
                await self._storage.note(row)
        except IndexFailure as failure:
            self._fall_back(active, failure)


_OUR_MISTAKE = "an unexpected error, which is in the log; it is retried automatically"
_WRITE_REMEDY = "Make the data folder writable and free disk space; it is retried automatically"
