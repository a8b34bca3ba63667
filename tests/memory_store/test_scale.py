"""What a decision asks of the ledger costs the same however many tasks are remembered.

Counted in steps of SQLite's machine, not in time.
"""

import datetime as dt
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest
from ledger_rows import decision_of

from chargehand.memory_store import embeddings
from chargehand.memory_store.embedding.lexical import LexicalEmbedder, embed
from chargehand.memory_store.index.vector_index import Neighbour
from chargehand.memory_store.ledger import LEDGER_FILE, Ledger
from chargehand.memory_store.ledger_file import open_file
from chargehand.memory_store.pace import read_paces
from chargehand.memory_store.recall import RecallQuery, recall
from chargehand.profiles.routing_rules import Prior

pytestmark = pytest.mark.anyio

FEW, MANY = 200, 4_000
NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
NEAR = [Neighbour(f"t{number}", 0.9) for number in range(32)]
QUESTION = RecallQuery(LexicalEmbedder.id, 0.5, Prior(success=0.6, tasks=2), NOW)

Asked = Callable[[Ledger], Awaitable[object]]

ASKED: dict[str, Asked] = {
    "the outcomes of the nearest": lambda ledger: recall(ledger, NEAR, QUESTION),
    "each model's pace": lambda ledger: read_paces(ledger, {"m": None, "n": "a"}, NOW.timestamp()),
    "new vectors": lambda ledger: embeddings.rows_after(ledger, LexicalEmbedder.id, newest(ledger), 500),
    "lost vectors": lambda ledger: embeddings.removed_after(ledger, 0),
    "the decision is written": lambda ledger: ledger.record_decision(decision_of(None)),
    "what was spent today": lambda ledger: ledger.spent_today_usd(),
}


class Counted:
    """A ledger whose machine counts its steps, by the hundred."""

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


async def remember(ledger: Ledger, count: int) -> None:
    """Delegations of two models, half of them passed, with vectors; none of them today."""
    ids = [f"t{number}" for number in range(count)]

    def write(db: sqlite3.Connection) -> None:
        db.executemany(
            "INSERT INTO tasks (id, kind, begun_at, text, task_type, complexity, local_only, status, model)"
            " VALUES (?, 'delegation', ?, ?, 'other', 2.0, 0, 'succeeded', 'm')",
            [(task_id, float(place), f"task {task_id}") for place, task_id in enumerate(ids)],
        )
        db.executemany(
            "INSERT INTO attempts (id, task_id, model, provider, thinking, begun_at, outcome, output_tokens,"
            " reserved_usd, cost_usd, load_seconds, first_token_seconds, stream_seconds)"
            " VALUES (?, ?, ?, 'ollama', 0, ?, 'passed', 50, 0.5, 0.25, 0.0, 1.0, 2.0)",
            [(place + 1, task_id, "mn"[place % 2], float(place)) for place, task_id in enumerate(ids)],
        )
        db.executemany(
            "INSERT INTO checks (task_id, attempt_id, name, outcome, executed, seconds)"
            " VALUES (?, ?, 'tests', 'passed', 1, 0.5)",
            [(task_id, place + 1) for place, task_id in enumerate(ids)],
        )

    await ledger.write(write)
    await embeddings.store(ledger, LexicalEmbedder.id, ids, embed([f"task {task_id}" for task_id in ids]))


@pytest.mark.parametrize("what", ASKED)
async def test_twenty_times_as_many_tasks_take_no_more_steps(tmp_path: Path, what: str):
    took: list[int] = []
    for count in (FEW, MANY):
        counted = Counted(tmp_path / str(count))
        await remember(counted.ledger, count)
        counted.hundreds = 0
        await ASKED[what](counted.ledger)
        took.append(counted.hundreds)
        await counted.ledger.aclose()

    assert took[1] <= took[0] + 2
