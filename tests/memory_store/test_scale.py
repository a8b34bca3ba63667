"""The ledger queries of a decision, and of each batch of an embedding, cost the same for any number of tasks.

Cost is counted in steps of SQLite's virtual machine, not in time.
"""

import datetime as dt
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest
from ledger_rows import decision_of

from chargehand.memory_store import embeddings
from chargehand.memory_store.adherence import losing_class, reports_on_unchecked
from chargehand.memory_store.embedding.lexical import LexicalEmbedder, embed
from chargehand.memory_store.index.vector_index import Neighbour
from chargehand.memory_store.ledger import LEDGER_FILE, Ledger
from chargehand.memory_store.ledger_file import open_file
from chargehand.memory_store.memory import Memory
from chargehand.memory_store.overruns import read_overruns
from chargehand.memory_store.pace import read_paces
from chargehand.memory_store.recall import RecallQuery, recall
from chargehand.profiles.routing_rules import Prior

pytestmark = pytest.mark.anyio

FEW, MANY = 200, 4_000
NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
NEAR = [Neighbour(f"t{number}", 0.9) for number in range(32)]
QUESTION = RecallQuery(LexicalEmbedder.id, 0.5, Prior(success=0.6, tasks=2), NOW)

Query = Callable[[Ledger], Awaitable[object]]

QUERIES: dict[str, Query] = {
    "the outcomes of the nearest": lambda ledger: recall(ledger, NEAR, QUESTION),
    "each model's pace": lambda ledger: read_paces(ledger, {"m": None, "n": "a"}, NOW.timestamp()),
    "replies that were too late": lambda ledger: read_overruns(ledger, {"m": None, "n": "a"}, NOW.timestamp()),
    "reports on unverified answers": reports_on_unchecked,
    "a kind of task that loses money": lambda ledger: losing_class(ledger, "other"),
    "new vectors": lambda ledger: embeddings.rows_after(ledger, LexicalEmbedder.id, newest(ledger), 500),
    "lost vectors": lambda ledger: embeddings.removed_after(ledger, 0),
    "the decision is written": lambda ledger: ledger.record_decision(decision_of(None)),
    "what was spent today": lambda ledger: ledger.spent_today_usd(),
}


class CountedLedger:
    """A ledger that counts the steps of SQLite's virtual machine, in hundreds."""

    def __init__(self, home: Path) -> None:
        connection = open_file(home / LEDGER_FILE)
        self.hundreds = 0
        self.ledger = Ledger(connection, home / LEDGER_FILE, lambda: NOW)
        connection.set_progress_handler(self._count, 100)

    def _count(self) -> int:
        self.hundreds += 1
        return 0


def newest(ledger: Ledger) -> int:
    with closing(sqlite3.connect(ledger.path)) as db:
        return db.execute("SELECT MAX(row) FROM embeddings").fetchone()[0]


async def add_delegations(ledger: Ledger, count: int) -> None:
    """Write delegations of two models with checks and embeddings; none of them today."""
    ids = [f"t{number}" for number in range(count)]

    def write(db: sqlite3.Connection) -> None:
        db.executemany(
            "INSERT INTO tasks (id, kind, begun_at, text, task_type, complexity, local_only, status, model)"
            " VALUES (?, 'delegation', ?, ?, 'other', 2.0, 0, 'succeeded', 'm')",
            [(task_id, float(position), f"task {task_id}") for position, task_id in enumerate(ids)],
        )
        db.executemany(
            "INSERT INTO attempts (id, task_id, model, provider, thinking, begun_at, outcome, output_tokens,"
            " reserved_usd, cost_usd, load_seconds, first_token_seconds, stream_seconds)"
            " VALUES (?, ?, ?, 'ollama', 0, ?, 'passed', 50, 0.5, 0.25, 0.0, 1.0, 2.0)",
            [(position + 1, task_id, "mn"[position % 2], float(position)) for position, task_id in enumerate(ids)],
        )
        db.executemany(
            "INSERT INTO checks (task_id, attempt_id, name, outcome, executed, seconds)"
            " VALUES (?, ?, 'tests', 'passed', 1, 0.5)",
            [(task_id, position + 1) for position, task_id in enumerate(ids)],
        )

    await ledger.write(write)
    await embeddings.store(ledger, LexicalEmbedder.id, ids, embed([f"task {task_id}" for task_id in ids]))


@pytest.mark.parametrize("query", QUERIES)
async def test_ledger_queries_of_a_decision_take_no_more_steps_with_twenty_times_as_many_tasks(
    tmp_path: Path, query: str
):
    steps: list[int] = []
    for count in (FEW, MANY):
        counted = CountedLedger(tmp_path / str(count))
        await add_delegations(counted.ledger, count)
        counted.hundreds = 0
        await QUERIES[query](counted.ledger)
        steps.append(counted.hundreds)
        await counted.ledger.aclose()

    assert steps[1] <= steps[0] + 2


async def test_the_last_tasks_without_a_vector_take_no_more_steps_than_the_first(tmp_path: Path):
    counted = CountedLedger(tmp_path)
    await add_delegations(counted.ledger, 64 * 60)
    await counted.ledger.write(lambda db: db.execute("DELETE FROM embeddings"))
    embedder = LexicalEmbedder()
    memory = Memory(counted.ledger, embedder, lambda _: None, prior=QUESTION.prior, gate=0.8)
    seen: list[int] = []

    embedded = await memory.embed_missing(lambda *_: seen.append(counted.hundreds))
    await counted.ledger.aclose()

    assert embedded.done == 64 * 60
    assert seen[-1] - seen[-11] <= 2 * (seen[10] - seen[0])
