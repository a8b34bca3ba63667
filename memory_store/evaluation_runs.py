"""Ensures one running evaluation per data folder, and lets interrupted ones be resumed."""

import json
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass

from .evaluations import UNDER_WAY, NewEvaluation
from .judgement import cost_of_task
from .ledger import Ledger
from .ownership import Owner


class EvaluationInProgress(Exception):
    """Another process is evaluating on the same data folder; the message names it and the remedy."""


@dataclass(frozen=True)
class EvaluationRow:
    """An evaluation as stored in the ledger."""

    id: str
    suite: str
    seed: int
    begun_at: float
    """Seconds since 1970 UTC."""
    finished_at: float | None
    """None: it is unfinished."""
    budget_usd: float | None
    owner: str | None
    terms: str


_COLUMNS = ", ".join(EvaluationRow.__dataclass_fields__)


async def find_evaluation(
    ledger: Ledger,
    *,
    evaluation_id: str | None = None,
    terms: str | None = None,
    suite: str | None = None,
    without_suites: Collection[str] = (),
    only_unfinished: bool = False,
) -> EvaluationRow | None:
    """The newest evaluation that matches all arguments; evaluation_id may be a prefix. None: none matches."""
    rows = await ledger.rows(
        f"SELECT {_COLUMNS} FROM evaluations"  # noqa: S608 - our own columns
        " WHERE (?1 IS NULL OR SUBSTR(id, 1, LENGTH(?1)) = ?1) AND (?2 IS NULL OR terms = ?2)"
        " AND (?3 IS NULL OR suite = ?3) AND (NOT ?4 OR finished_at IS NULL)"
        " AND suite NOT IN (SELECT value FROM JSON_EACH(?5))"
        " ORDER BY begun_at DESC, rowid DESC LIMIT 1",
        (evaluation_id, terms, suite, only_unfinished, json.dumps([*without_suites])),
    )
    return EvaluationRow(*rows[0]) if rows else None


async def evaluations_of(ledger: Ledger, suite: str) -> tuple[EvaluationRow, ...]:
    """All evaluations of a suite, newest first."""
    rows = await ledger.rows(
        f"SELECT {_COLUMNS} FROM evaluations WHERE suite = ? ORDER BY begun_at DESC, rowid DESC",  # noqa: S608 - the same
        (suite,),
    )
    return tuple(EvaluationRow(*row) for row in rows)


async def claim_evaluation(ledger: Ledger, owner: Owner, evaluation: NewEvaluation, now: float) -> None:
    """Claim a new or unfinished evaluation for this process.

    Requests that a dead owner left unfinished are recorded at their cost, or worst case, and will be repeated.
    now: seconds since 1970 UTC. Raises EvaluationInProgress, or a LedgerError.
    """
    rows = await ledger.rows(
        "SELECT DISTINCT owner FROM evaluations WHERE finished_at IS NULL AND owner IS NOT NULL AND owner <> ?",
        (owner.id,),
    )
    dead = {name for (name,) in rows if not await owner.is_alive(name)}

    def write(db: sqlite3.Connection) -> None:
        unfinished = "SELECT id, owner FROM evaluations WHERE finished_at IS NULL AND owner IS NOT NULL"
        for running, name in db.execute(unfinished).fetchall():
            if name != owner.id and name not in dead:
                raise EvaluationInProgress(
                    f"evaluation {running[:8]} is already running (process {name.partition('-')[0]}). Wait for it to"
                    " finish, or press Ctrl-C there; its measurements are kept, and the same command continues it."
                )
        e = evaluation
        db.execute(
            "INSERT INTO evaluations (id, suite, seed, begun_at, budget_usd, owner, terms)"
            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO UPDATE SET owner = ?6, finished_at = NULL",
            (e.id, e.suite, e.seed, now, e.budget_usd, owner.id, e.terms),
        )
        db.execute(_CLOSE_CUT_SHORT, (e.id, UNDER_WAY))

    await ledger.write(write)


async def release_evaluation(ledger: Ledger, evaluation_id: str) -> None:
    """Release this process's claim; the evaluation stays unfinished."""
    await ledger.write(lambda db: db.execute("UPDATE evaluations SET owner = NULL WHERE id = ?", (evaluation_id,)))


async def spent_usd(ledger: Ledger, evaluation_id: str) -> float:
    """Total cost of an evaluation over all its runs, plus the worst case of requests in progress."""
    ((spent,),) = await ledger.rows(
        "SELECT TOTAL(m.cost_usd) + TOTAL(CASE WHEN m.outcome = ?2 THEN"  # noqa: S608 - our own words
        f" {cost_of_task('m.task_id')} END) FROM measurements m WHERE m.evaluation_id = ?1",
        (evaluation_id, UNDER_WAY),
    )
    return spent


_CLOSE_CUT_SHORT = f"""
UPDATE measurements SET outcome = 'cancelled', cost_usd = cost_usd + {cost_of_task("measurements.task_id")}
WHERE evaluation_id = ?1 AND outcome = ?2
"""  # noqa: S608 - our own words
