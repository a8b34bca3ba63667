"""The memory used by the tools: an embedder, an index over its vectors, and the ledger behind both.

Failures here never fail a task. Without vectors or an index, recall returns nothing and its note says
why; tasks that could not be embedded are in the ledger anyway and are embedded later.
"""

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio

from ..profiles.routing_rules import Prior
from ..profiles.vocabulary import TaskType
from . import embeddings, unembedded
from .confidence import Belief
from .embedding.embedder import Embedder, EmbedderUnavailable
from .errors import LedgerError, LedgerUnusable
from .ledger import Ledger
from .recall import PLENTY, RecallQuery, are_plenty, recall
from .recollection import Recollection
from .tendency import NEIGHBOURS

if TYPE_CHECKING:
    from .index.keeper import IndexKeeper
    from .index.state import IndexState
    from .index.vector_index import Neighbour, Vector

PATIENCE_S = 0.3
"""How long a recall waits for the embedder, and again for the index."""
_EMBED_TIMEOUT_S = 5.0
"""How long `remember` waits for the vector."""
_RETRY_S = 30.0
_BATCH = 64
_CACHED_TEXTS = 8
"""Cached vectors, so that a task that is looked up and then remembered is embedded once."""
_WARMING = "memory: warming"

Progress = Callable[[int, int], None]
"""Called with the number of tasks embedded so far and the total."""


@dataclass(frozen=True)
class Embedded:
    """The result of embedding tasks without a vector."""

    done: int
    left: int
    why_left: str | None
    """None: none is left."""


class Memory:
    """Remembers tasks and recalls the outcomes of similar ones. Safe for concurrent tasks."""

    def __init__(
        self,
        ledger: Ledger,
        embedder: Embedder,
        open_index: "Callable[[str], IndexKeeper]",
        *,
        prior: Prior,
        gate: float,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """open_index: opens the index for an embedder's id, which some embedders know only after `prepare`."""
        self._ledger = ledger
        self._embedder = embedder
        self._open_index = open_index
        self._prior = prior
        self._gate = gate
        self._patience_s = patience_s
        self._index: IndexKeeper | None = None
        self._recent_vectors: dict[str, Vector] = {}
        self._progress: tuple[int, int] | None = None
        self._retry = anyio.Event()
        self._loading_started = anyio.Event()
        """Set when loading of the index has started."""

    async def remember(self, task_id: str, text: str, *, local_only: bool = False) -> None:
        """Store the vector of a task that is already in the ledger.

        text: the full text, whatever form of it the ledger keeps. If the embedder is unavailable, `keep_up`
        embeds the task later, unless the ledger keeps only a hash of its text. Raises LedgerUnusable.
        """
        try:
            with anyio.fail_after(_EMBED_TIMEOUT_S):
                vector = await self._vector(text, local_only=local_only)
        except (EmbedderUnavailable, TimeoutError):
            self._retry.set()
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
        """Evidence on each model from the outcomes of similar tasks, as of the ledger's last refresh.

        Never raises; problems are in its note.
        builds, preference, complexity, expected: see `recall.RecallQuery`. except_for: ids of tasks to
        ignore, such as the task itself.
        """
        try:
            try:
                with anyio.fail_after(self._patience_s):
                    vector = await self._vector(text, local_only=local_only)
            except TimeoutError:
                return Recollection(note=_WARMING)
            index = self._get_index()
            found = await self._neighbours(index, vector)
            if found is None:
                return Recollection(note=self._why_none(index.state))
            question = RecallQuery(
                embedder=self._embedder.id,
                similar_from=self._embedder.similar_from,
                prior=self._prior,
                now=self._ledger.clock(),
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
            self._retry.set()
            return Recollection(note=f"memory: unavailable ({error})")
        except LedgerError as error:
            return Recollection(note=f"memory: unavailable ({error})")
        return replace(recollection, note=self._note(index))

    async def missing(self) -> int:
        """The number of remembered tasks that have text but no vector of this embedder.

        Raises EmbedderUnavailable or LedgerUnusable.
        """
        await self._embedder.prepare()
        return await unembedded.count_missing(self._ledger, self._embedder.id)

    async def vectors_of(self, texts: Sequence[str], *, local_only: bool) -> tuple[str, Sequence[bytes]]:
        """The embedder's id, and the texts' vectors in the ledger's format. Raises EmbedderUnavailable."""
        await self._embedder.prepare()
        vectors = await self._embedder.embed(texts, local_only=local_only)
        return self._embedder.id, [embeddings.encode(vector) for vector in vectors]

    async def embed_missing(self, progress: Progress | None = None) -> Embedded:
        """Embed the stored text of all tasks without a vector of this embedder, newest first.

        Each batch is stored before the next, so an interrupted run resumes where it stopped, here or in
        another process. Raises EmbedderUnavailable if no batch succeeded, or LedgerUnusable.
        """
        await self._embedder.prepare()
        total, done, why_left = await self.missing(), 0, None
        try:
            # Local-only tasks come last: a remote embedder refuses them after all others are done.
            for local_only in (False, True):
                async for batch in unembedded.missing(self._ledger, self._embedder.id, _BATCH, local_only=local_only):
                    self._progress = (done, total)
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
            self._progress = None
        return Embedded(done, await self.missing() if why_left else 0, why_left)

    async def load(self) -> None:
        """Load the index and wait, for commands, which do not run `keep_up`.

        Does not raise for an unavailable memory: the recall's note gives the reason.
        """
        with contextlib.suppress(EmbedderUnavailable, LedgerError):
            await self._embedder.prepare()
            await self._get_index().load()

    async def keep_up(self) -> None:
        """Load the index and embed tasks without a vector, in the background, until cancelled."""
        async with anyio.create_task_group() as group:
            while True:
                self._retry = anyio.Event()
                pause_s: float | None = None
                try:
                    await self._embedder.prepare()
                    self._get_index().start(group)
                    self._loading_started.set()
                    left = await self.embed_missing()
                    pause_s = _RETRY_S if left.left else None
                except (EmbedderUnavailable, LedgerUnusable):
                    pause_s = _RETRY_S  # recalls meanwhile get the reason in their note
                with anyio.move_on_after(pause_s):
                    await self._retry.wait()

    async def aclose(self) -> None:
        """Close the index and the embedder; the ledger stays open. Callers may bound it with a timeout."""
        if self._index is not None:
            await self._index.aclose()
        await self._embedder.aclose()

    async def _neighbours(self, index: "IndexKeeper", vector: "Vector") -> "Sequence[Neighbour] | None":
        """As many of the nearest tasks as a recall needs, nearest first. None: no answer in time."""
        found = await self._nearest(index, vector, PLENTY)
        # Fewer than requested means these are all.
        if found is None or len(found) < PLENTY or are_plenty(found, self._embedder.similar_from):
            return found
        return await self._nearest(index, vector, NEIGHBOURS)

    async def _nearest(self, index: "IndexKeeper", vector: "Vector", count: int) -> "Sequence[Neighbour] | None":
        found = await index.nearest(vector, count, patience_s=self._patience_s)
        if found is None and index.state.phase == "absent":
            # A process's first call arrives before its background task has started.
            with anyio.move_on_after(self._patience_s):
                await self._loading_started.wait()
                found = await index.nearest(vector, count, patience_s=self._patience_s)
        return found

    def _why_none(self, state: "IndexState") -> str:
        if state.phase == "ready":
            return f"memory: busy (no answer within {self._patience_s:g} s, so nothing was recalled)"
        return _WARMING if state.phase == "absent" else state.as_text()

    async def _vector(self, text: str, *, local_only: bool) -> "Vector":
        known = self._recent_vectors.get(text)
        if known is None:
            await self._embedder.prepare()
            known = (await self._embedder.embed([text], local_only=local_only))[0]
            self._recent_vectors[text] = known
            while len(self._recent_vectors) > _CACHED_TEXTS:
                del self._recent_vectors[next(iter(self._recent_vectors))]
        return known

    def _get_index(self) -> "IndexKeeper":
        if self._index is None:
            self._index = self._open_index(self._embedder.id)
        return self._index

    def _note(self, index: "IndexKeeper") -> str | None:
        if self._progress is not None:
            done, total = self._progress
            return f"memory: rebuilding, {done} of {total}"
        # While the index loads, the same vectors are searched without it, so results are complete.
        return None if index.state.phase in ("ready", "warming") else index.state.as_text()
