"""Embeddings of tasks, and queries to a keeper."""

from collections.abc import Sequence
from typing import Any

import anyio
import numpy as np
from ledger_rows import TASK, task

from chargehand.memory_store import embeddings
from chargehand.memory_store.index.keeper import IndexKeeper
from chargehand.memory_store.ledger import Ledger

EMBEDDER = "made-up-32"
DIMENSIONS = 32
WAIT_S = 60.0


def vectors(count: int, *, seed: int = 0, dimensions: int = DIMENSIONS) -> Any:
    """Distinct random unit vectors."""
    nearest_ids = np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)
    return nearest_ids / np.linalg.norm(nearest_ids, axis=1, keepdims=True)


async def add_tasks(ledger: Ledger, unit_vectors: Any, *, prefix: str = "t", embedder: str = EMBEDDER) -> list[str]:
    """Add a task for each vector; returns the task ids."""
    ids = [f"{prefix}{number}" for number in range(len(unit_vectors))]

    def write(db: Any) -> None:
        db.executemany(
            "INSERT OR IGNORE INTO tasks (id, kind, begun_at, text, task_type, complexity, local_only, status)"
            " VALUES (?, 'delegation', ?, ?, ?, 1.0, 0, 'succeeded')",
            [(id_, float(number), task(id_).text, TASK.task_type) for number, id_ in enumerate(ids)],
        )

    await ledger.write(write)
    await embeddings.store(ledger, embedder, ids, unit_vectors)
    return ids


async def wait_for_phase(keeper: IndexKeeper, *phases: str) -> None:
    """Wait until the index is in one of these phases."""
    with anyio.fail_after(WAIT_S):
        while keeper.state.phase not in phases:  # noqa: ASYNC110 - there is nothing to wait on, only a state
            await anyio.sleep(0.01)


async def nearest_ids(keeper: IndexKeeper, unit_vectors: Any) -> list[str | None]:
    """For each vector, the id of the task that has it. None: no task does."""
    answers: list[str | None] = []
    for vector in unit_vectors:
        near = await keeper.nearest(vector, 3, patience_s=WAIT_S)
        assert near is not None, keeper.state
        answers.append(near[0].task_id if near and near[0].similarity > 0.999 else None)
    return answers


def exact_order(unit_vectors: Any, vector: Any, count: int) -> Sequence[int]:
    return np.argsort(-(unit_vectors @ vector), kind="stable")[:count].tolist()
