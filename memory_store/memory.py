"""The memory as the tools hold it: an embedder, an index over its vectors, and the ledger behind both.

Nothing here fails a task. Where there are no vectors or no index, what is recalled is empty and its
note says why; what could not be embedded is in the ledger all the same, and is embedded later.
"""

import contextlib
import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import anyio
import anyio.abc

from ..profiles.routing_rules import Prior
from ..profiles.vocabulary import TaskType
from . import embeddings, unembedded
from .confidence import Belief
from .embedding.embedder import Embedder, EmbedderUnavailable
from .errors import LedgerError, LedgerUnusable
from .ledger import Clock, Ledger
from .recall import PLENTY, RecallQuery, Similar, are_plenty, recall
from .recollection import Recollection
from .tendency import NEIGHBOURS

if TYPE_CHECKING:
    from .index.vector_index import Vector

PATIENCE_S = 0.3
"""How long an answer waits for embedder and index, each."""
_LEAVES_S = 5.0
"""How long a task that is being remembered waits for its vector."""
_RETRY_S = 30.0
_BATCH = 64
_KNOWN_TEXTS = 8
"""A task is looked up and then remembered: its text is embedded once."""
_WARMING = "memory: warming"

Progress = Callable[[int, int], None]
"""Told how many tasks are embedded, and of how many."""


class IndexState(Protocol):
    """How an index stands."""

    @property
    def phase(self) -> str: ...
    def as_text(self) -> str: ...


class KeptIndex(Protocol):
    """An index over the stored vectors of one embedder that keeps itself up to date."""

    @property
    def state(self) -> IndexState: ...
    def start(self, group: anyio.abc.TaskGroup) -> None:
        """Load it in the background of the group, once however often this is called."""
        ...

    async def load(self) -> None:
        """Read what it holds now, and wait for it, where nothing is to run in the background. Raises LedgerError."""
        ...

    async def nearest(self, vector: "Vector", count: int, *, patience_s: float) -> Sequence[Similar] | None:
        """The most similar tasks, nearest first. None: not ready in time, and `state` says why. Raises LedgerError."""
        ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True)
class Embedded:
    """What came of embedding the tasks that had no vector."""

    done: int
    left: int
    why_left: str | None
    """None: nothing is left."""


class Memory:
    """Remembers tasks and recalls what became of similar ones. Safe to use from many tasks at once."""

    def __init__(
        self,
        ledger: Ledger,
        embedder: Embedder,
        open_index: Callable[[str], KeptIndex],
        *,
        prior: Prior,
        gate: float,
        clock: Clock,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """open_index: gives the index of an embedder's id, which some embedders only know when asked."""
        self._ledger = ledger
        self._embedder = embedder
        self._open_index = open_index
        self._prior = prior
        self._gate = gate
        self._clock = clock
        self._patience_s = patience_s
        self._index: KeptIndex | None = None
        self._known: dict[str, Vector] = {}
        self._under_way: tuple[int, int] | None = None
        self._again = anyio.Event()
        self._is_loading = anyio.Event()
        """Set once the index was started."""

    async def remember(self, task_id: str, text: str, *, local_only: bool = False) -> None:
        """Put the task's vector into the ledger; the task itself stands there already.

        text: the full text, whatever form of it the ledger keeps. Without an embedder the task waits for
        `keep_up`, unless only a hash of its text is kept. Raises LedgerUnusable.
        """
        try:
            with anyio.fail_after(_LEAVES_S):
                vector = await self._vector(text, local_only=local_only)
        except (EmbedderUnavailable, TimeoutError):
            self._again.set()
            return
        await embeddings.store(self._ledger, self._embedder.id, [task_id], vector[None])

    async def retrieve_similar(
        self,
        text: str,
        *,
        task_type: TaskType | None = None,
        builds: Mapping[str, str | None] | None = None,
        preference: Sequence[str] = (),
        local_only: bool = False,
        except_for: Collection[str] = (),
        complexity: float | None = None,
        expected: Mapping[str, Belief] | None = None,
    ) -> Recollection:
        """What the outcomes of similar tasks say of each model. Always an answer; its note says what is wrong.

        builds, preference, complexity, expected: see `recall.RecallQuery`. except_for: ids of tasks that do
        not count, such as the one that is asked for.
        """
        try:
            try:
                with anyio.fail_after(self._patience_s):
                    vector = await self._vector(text, local_only=local_only)
            except TimeoutError:
                return Recollection(note=_WARMING)
            index = self._opened()
            found = await self._nearest(index, vector, PLENTY)
            # Fewer than were asked for are all that there are.
            if found is not None and len(found) == PLENTY and not are_plenty(found, self._embedder.similar_from):
                found = await self._nearest(index, vector, NEIGHBOURS)
            if found is None:
                return Recollection(note=_WARMING if index.state.phase == "absent" else index.state.as_text())
            question = RecallQuery(
                embedder=self._embedder.id,
                similar_from=self._embedder.similar_from,
                prior=self._prior,
                now=self._now(),
                gate=self._gate,
                task_type=task_type,
                builds=builds or {},
                preference=preference,
                text=text,
                complexity=complexity,
                vector=vector,
                expected=expected or {},
            )
            others = [n for n in found if n.task_id not in except_for]
            recollection = await recall(self._ledger, others, question)
        except EmbedderUnavailable as error:
            self._again.set()
            return Recollection(note=f"memory: unavailable ({error})")
        except LedgerError as error:
            return Recollection(note=f"memory: unavailable ({error})")
        return replace(recollection, note=self._note(index))

    async def missing(self) -> int:
        """How many remembered tasks have no vector of this embedder, and text to make one from.

        Raises EmbedderUnavailable or LedgerUnusable.
        """
        await self._embedder.prepare()
        return await unembedded.count_missing(self._ledger, self._embedder.id)

    async def vectors_of(self, texts: Sequence[str], *, local_only: bool) -> tuple[str, Sequence[bytes]]:
        """The embedder's id, and the vectors of the texts as the ledger keeps them. Raises EmbedderUnavailable."""
        await self._embedder.prepare()
        vectors = await self._embedder.embed(texts, local_only=local_only)
        return self._embedder.id, [embeddings.encode(vector) for vector in vectors]

    async def embed_missing(self, progress: Progress | None = None) -> Embedded:
        """Embed all tasks that have no vector of this embedder, the newest first, from their stored text.

        Each batch is in the ledger before the next: interrupted, it goes on where it was, here or in
        another process. Raises EmbedderUnavailable or LedgerUnusable when nothing at all could be done.
        """
        await self._embedder.prepare()
        total, done, why_left = await self.missing(), 0, None
        try:
            # What may not leave comes last: an embedder elsewhere refuses it, and has done all else by then.
            for local_only in (False, True):
                while batch := await unembedded.missing(self._ledger, self._embedder.id, _BATCH, local_only=local_only):
                    self._under_way = (done, total)
                    vectors = await self._embedder.embed([task.text for task in batch], local_only=local_only)
                    await embeddings.store(self._ledger, self._embedder.id, [task.id for task in batch], vectors)
                    done += len(batch)
                    if progress is not None:
                        progress(done, max(done, total))
        except EmbedderUnavailable as error:
            if not done:
                raise
            why_left = str(error)
        finally:
            self._under_way = None
        return Embedded(done, await self.missing() if why_left else 0, why_left)

    async def load(self) -> None:
        """Wait until what is remembered can be recalled: for a command, which has no background to `keep_up` in.

        Never raises for what is wrong: whoever recalls gets the reason in the note.
        """
        with contextlib.suppress(EmbedderUnavailable, LedgerError):
            await self._embedder.prepare()
            await self._opened().load()

    async def keep_up(self) -> None:
        """Load the index, and embed what could not be embedded; until cancelled. For the background."""
        async with anyio.create_task_group() as group:
            while True:
                self._again = anyio.Event()
                pause_s: float | None = None
                try:
                    await self._embedder.prepare()
                    self._opened().start(group)
                    self._is_loading.set()
                    left = await self.embed_missing()
                    pause_s = _RETRY_S if left.left else None
                except (EmbedderUnavailable, LedgerUnusable):
                    pause_s = _RETRY_S  # whoever recalls meanwhile gets the reason in the note
                with anyio.move_on_after(pause_s):
                    await self._again.wait()

    async def aclose(self) -> None:
        """Close the index and the embedder; the ledger is its owner's. A caller may give it little time."""
        if self._index is not None:
            await self._index.aclose()
        await self._embedder.aclose()

    async def _nearest(self, index: KeptIndex, vector: "Vector", count: int) -> Sequence[Similar] | None:
        found = await index.nearest(vector, count, patience_s=self._patience_s)
        if found is None and index.state.phase == "absent":
            # The first call of a process comes before the background has begun.
            with anyio.move_on_after(self._patience_s):
                await self._is_loading.wait()
                found = await index.nearest(vector, count, patience_s=self._patience_s)
        return found

    async def _vector(self, text: str, *, local_only: bool) -> "Vector":
        known = self._known.get(text)
        if known is None:
            await self._embedder.prepare()
            known = (await self._embedder.embed([text], local_only=local_only))[0]
            self._known[text] = known
            while len(self._known) > _KNOWN_TEXTS:
                del self._known[next(iter(self._known))]
        return known

    def _opened(self) -> KeptIndex:
        if self._index is None:
            self._index = self._open_index(self._embedder.id)
        return self._index

    def _note(self, index: KeptIndex) -> str | None:
        if self._under_way is not None:
            done, total = self._under_way
            return f"memory: rebuilding, {done} of {total}"
        # While the index loads, the same vectors are searched without it: nothing is missing.
        return None if index.state.phase in ("ready", "warming") else index.state.as_text()

    def _now(self) -> dt.datetime:
        return self._clock()
