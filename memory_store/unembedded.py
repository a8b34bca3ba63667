"""Remembered delegations that have text but no vector of an embedder yet."""

from collections.abc import Sequence
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


async def missing(ledger: Ledger, embedder: str, limit: int, *, local_only: bool) -> Sequence[Unembedded]:
    """Tasks with text but no vector of the embedder, newest first.

    local_only: tasks whose text must not leave the machine; False: the others.
    """
    rows = await ledger.rows(
        f"SELECT t.id, t.text {_WITHOUT_VECTOR} AND t.local_only = ? ORDER BY t.begun_at DESC, t.id DESC LIMIT ?",
        (embedder, local_only, limit),
    )
    return [Unembedded(*row) for row in rows]


_WITHOUT_VECTOR = (
    "FROM tasks t WHERE t.kind = 'delegation' AND t.origin <> 'evaluation' AND t.text_form IN ('full', 'redacted')"
    " AND NOT EXISTS (SELECT 1 FROM embeddings e WHERE e.task_id = t.id AND e.embedder = ?)"
)
