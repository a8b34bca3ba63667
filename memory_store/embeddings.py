"""Embedding vectors in the ledger, stored per task and read in insertion order."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .index.vector_index import Vector, Vectors
    from .ledger import Ledger

_FORM = "<f4"
"""float32, little-endian, on disk."""


@dataclass(frozen=True)
class EmbeddingRows:
    """Rows in ascending order."""

    rows: Sequence[int]
    task_ids: Sequence[str]
    begun_at: Sequence[float]
    """When each task began, in seconds since 1970 UTC."""
    blobs: Sequence[bytes]
    """The vectors as stored in the ledger."""

    def __len__(self) -> int:
        return len(self.rows)


def encode(vector: "Vector") -> bytes:
    """A vector in the ledger's format."""
    return vector.astype(_FORM).tobytes()


def decode(blobs: Sequence[bytes]) -> "Vectors":
    """The vectors that `encode` wrote, one row each, in order; requires at least one, all of equal length."""
    import numpy as np

    return np.frombuffer(b"".join(blobs), dtype=_FORM).astype(np.float32, copy=False).reshape(len(blobs), -1)


async def store(ledger: "Ledger", embedder: str, task_ids: Sequence[str], vectors: "Vectors") -> None:
    """Store a vector for each task durably.

    An unchanged vector keeps its row; a changed one gets a new row, so that readers that continue from the
    last row see it. Unknown tasks are skipped.
    Raises LedgerUnusable.
    """
    rows = [
        {"task": task_id, "embedder": embedder, "vector": encode(vector)}
        for task_id, vector in zip(task_ids, vectors, strict=True)
    ]

    def write(db: sqlite3.Connection) -> None:
        db.executemany(
            "INSERT OR REPLACE INTO embeddings (task_id, embedder, vector)"
            " SELECT :task, :embedder, :vector WHERE EXISTS (SELECT 1 FROM tasks WHERE id = :task)"
            " AND NOT EXISTS (SELECT 1 FROM embeddings"
            " WHERE task_id = :task AND embedder = :embedder AND vector = :vector)",
            rows,
        )

    await ledger.write(write)


async def rows_after(ledger: "Ledger", embedder: str, row: int, limit: int) -> EmbeddingRows:
    """An embedder's next rows after `row`, at most `limit`."""
    found = await ledger.rows(
        "SELECT e.row, e.task_id, t.begun_at, e.vector FROM embeddings e JOIN tasks t ON t.id = e.task_id"
        " WHERE e.embedder = ? AND e.row > ? ORDER BY e.row LIMIT ?",
        (embedder, row, limit),
    )
    rows, task_ids, begun_at, blobs = zip(*found, strict=True) if found else ((), (), (), ())
    return EmbeddingRows(rows, task_ids, begun_at, blobs)


async def removed_after(ledger: "Ledger", row: int) -> tuple[int, Sequence[str]]:
    """The latest row in the table of removals, and the tasks that lost a vector of any embedder after `row`."""
    found = await ledger.rows("SELECT row, task_id FROM removed_embeddings WHERE row > ? ORDER BY row", (row,))
    return (found[-1][0] if found else row), [task_id for _, task_id in found]


async def last_removal(ledger: "Ledger") -> int:
    """The latest row in the table of removals, for any embedder; 0 when there is none. Raises LedgerError."""
    return (await ledger.rows("SELECT COALESCE(MAX(row), 0) FROM removed_embeddings"))[0][0]


async def count(ledger: "Ledger", embedder: str) -> int:
    """The number of tasks with a vector of this embedder. Raises LedgerError."""
    return (await ledger.rows("SELECT COUNT(*) FROM embeddings WHERE embedder = ?", (embedder,)))[0][0]


async def begun_since(ledger: "Ledger", embedder: str, newest: int) -> float:
    """When the oldest of the `newest` most recent tasks with a vector began; -inf when there are no older ones."""
    found = await ledger.rows(
        "SELECT t.begun_at FROM tasks t JOIN embeddings e ON e.task_id = t.id AND e.embedder = ?"
        " ORDER BY t.begun_at DESC, t.id DESC LIMIT 2 OFFSET ?",
        (embedder, newest - 1),
    )
    return found[0][0] if len(found) == 2 else float("-inf")


async def blobs_of(ledger: "Ledger", embedder: str, task_ids: Sequence[str]) -> Mapping[str, bytes]:
    """The stored vectors by task; tasks without one are absent."""
    return dict(await _of(ledger, "task_id, vector", embedder, task_ids))


async def known(ledger: "Ledger", embedder: str, task_ids: Sequence[str]) -> frozenset[str]:
    """The tasks that have a vector."""
    return frozenset(task_id for (task_id,) in await _of(ledger, "task_id", embedder, task_ids))


async def _of(ledger: "Ledger", columns: str, embedder: str, task_ids: Sequence[str]) -> list[tuple[Any, ...]]:
    return await ledger.rows(
        f"SELECT {columns} FROM embeddings WHERE embedder = ? AND task_id IN (SELECT value FROM json_each(?))",  # noqa: S608 - our own words
        (embedder, json.dumps([*task_ids])),
    )
