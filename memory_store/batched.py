"""Requests in vendors' batches; they outlive the submitting process and are paid for once."""

import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import astuple, dataclass

from .ledger import Ledger


@dataclass(frozen=True)
class Batched:
    """A request that was submitted, or was about to be."""

    name: str
    """The request's id within its batch."""
    fingerprint: str
    """Hash of the request; an identical request may reuse the answer."""
    attempt_id: int
    """The attempt that waits for it, or waited last; its cost is recorded there."""
    provider: str
    batch_id: str | None
    """None: the process ended before the vendor's reply was stored, so it may or may not have been submitted."""
    written_at: float
    """Seconds since 1970 UTC."""


async def note_batched(ledger: Ledger, requests: Iterable[Batched]) -> None:
    """Record requests before they are submitted."""
    rows = [astuple(request) for request in requests]
    await ledger.write(
        lambda db: db.executemany(
            "INSERT INTO batched (name, fingerprint, attempt_id, provider, batch_id, written_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            rows,
        )
    )


async def name_batch(ledger: Ledger, names: Iterable[str], batch_id: str) -> None:
    """Record the batch of submitted requests."""
    rows = [(batch_id, name) for name in names]
    await ledger.write(lambda db: db.executemany("UPDATE batched SET batch_id = ? WHERE name = ?", rows))


async def batched_by(ledger: Ledger, provider: str) -> tuple[Batched, ...]:
    """A vendor's pending requests, oldest first."""
    rows = await ledger.rows(
        "SELECT name, fingerprint, attempt_id, provider, batch_id, written_at FROM batched WHERE provider = ?"
        " ORDER BY written_at, rowid",
        (provider,),
    )
    return tuple(Batched(*row) for row in rows)


async def batched_in(ledger: Ledger, evaluation_id: str) -> frozenset[tuple[str, str, int]]:
    """Item, model and repetition of each measurement of an evaluation with a pending request."""
    rows = await ledger.rows(
        "SELECT m.item, m.model, m.repetition FROM measurements m JOIN attempts a ON a.task_id = m.task_id"
        " JOIN batched b ON b.attempt_id = a.id WHERE m.evaluation_id = ? AND m.passed IS NULL",
        (evaluation_id,),
    )
    return frozenset((item, model, repetition) for item, model, repetition in rows)


async def take_over(ledger: Ledger, name: str, attempt_id: int) -> None:
    """Assign a request to another attempt; its cost moves there."""

    def write(db: sqlite3.Connection) -> None:
        _remove_cost(db, name, measured_by=attempt_id)
        db.execute("UPDATE batched SET attempt_id = ? WHERE name = ?", (attempt_id, name))

    await ledger.write(write)


async def release(ledger: Ledger, names: Iterable[str]) -> None:
    """Delete requests that were never submitted, and their cost."""

    def write(db: sqlite3.Connection) -> None:
        for name in names:
            _remove_cost(db, name, measured_by=None)
            db.execute("DELETE FROM batched WHERE name = ?", (name,))

    await ledger.write(write)


def _remove_cost(db: sqlite3.Connection, name: str, *, measured_by: int | None) -> None:
    """Remove a request's cost from its attempt and from the measurement that includes it.

    measured_by: an attempt of the measurement that the request now belongs to. The cost may be recorded there or with
    a measurement that sent an identical request, since these share answers.
    """
    found = db.execute(
        "SELECT a.id, a.task_id, a.cost_usd FROM batched b JOIN attempts a ON a.id = b.attempt_id WHERE b.name = ?",
        (name,),
    ).fetchone()
    if found is None:
        return
    attempt_id, task_id, cost_usd = found
    db.execute("UPDATE attempts SET cost_usd = 0 WHERE id = ?", (attempt_id,))
    (now_for,) = db.execute("SELECT task_id FROM attempts WHERE id = ?", (measured_by or attempt_id,)).fetchone()
    db.execute(_REMOVE_COST, {"usd": cost_usd or 0.0, "before": task_id, "now": now_for})


_REMOVE_COST = """
UPDATE measurements SET cost_usd = MAX(0, cost_usd - :usd) WHERE rowid = (
    SELECT m.rowid FROM measurements m JOIN measurements own ON own.task_id IN (:before, :now)
        AND m.evaluation_id = own.evaluation_id AND m.model = own.model
    WHERE m.cost_usd >= :usd - 1e-12
    ORDER BY m.task_id IN (:before, :now) DESC, m.item = own.item DESC, m.cost_usd LIMIT 1)
"""


async def forget_batched(ledger: Ledger, task_id: str, delivered: Collection[int]) -> None:
    """Delete a task's requests that were answered. delivered: ids of attempts."""
    rows = [(attempt_id, task_id) for attempt_id in delivered]
    await ledger.write(
        lambda db: db.executemany(
            "DELETE FROM batched WHERE attempt_id = ? AND attempt_id IN (SELECT id FROM attempts WHERE task_id = ?)",
            rows,
        )
    )
