"""Remembered delegations that have text but no vector of an embedder yet."""

import math
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from .ledger import Ledger


@dataclass(frozen=True)
class Unembedded:
    """A task without a vector."""

    id: str
    text: str
    """As stored, full or redacted."""


async def count_missing(ledger: Ledger, embedder: str) -> int:
    """The number of tasks with text but no vector of the embedder."""
    rows = await ledger.rows(f"SELECT COUNT(*) {_WITHOUT_VECTOR}", (embedder,))
    return rows[0][0]


async def missing(
    ledger: Ledger, embedder: str, limit: int, *, local_only: bool
) -> AsyncGenerator[Sequence[Unembedded]]:
    """Batches of the tasks with text but no vector of the embedder, newest first, until there are none.

    The vectors of each batch must be stored before the next is read. local_only: tasks whose text must not leave the
    machine; False: the others.
    """
    newest = before = (math.inf, "")
    while True:
        rows = await ledger.rows(
            f"SELECT t.id, t.text, t.begun_at {_WITHOUT_VECTOR} AND t.local_only = ? AND (t.begun_at, t.id) < (?, ?)"
            " ORDER BY t.begun_at DESC, t.id DESC LIMIT ?",
            (embedder, local_only, *before, limit),
        )
        if rows:
            yield [Unembedded(task_id, text) for task_id, text, _ in rows]
            before = (rows[-1][2], rows[-1][0])
        elif before == newest:
            return
        else:
            before = newest  # once more, for tasks that came in meanwhile


_WITHOUT_VECTOR = (
    "FROM tasks t WHERE t.kind = 'delegation' AND t.origin <> 'evaluation' AND t.text_form IN ('full', 'redacted')"
    " AND NOT EXISTS (SELECT 1 FROM embeddings e WHERE e.task_id = t.id AND e.embedder = ?)"
)
