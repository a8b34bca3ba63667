"""The remembered delegations that have no vector of an embedder yet, and a text to make one from."""

from collections.abc import Sequence
from dataclasses import dataclass

from .ledger import Ledger


@dataclass(frozen=True)
class Unembedded:
    """A task without a vector."""

    id: str
    text: str
    """As the ledger keeps it, whole or redacted."""


async def count_missing(ledger: Ledger, embedder: str) -> int:
    """How many tasks have no vector of the embedder, and text to make one from."""
    rows = await ledger.rows(f"SELECT COUNT(*) {_WITHOUT_VECTOR}", (embedder,))
    return rows[0][0]


async def missing(ledger: Ledger, embedder: str, limit: int, *, local_only: bool) -> Sequence[Unembedded]:
    """Tasks without a vector of the embedder, the newest first.

    local_only: those whose text may not leave the machine; False: those whose text may.
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
