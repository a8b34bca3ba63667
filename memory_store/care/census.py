"""Statistics of the memory's contents, and the calibration of past decisions."""

from dataclasses import dataclass
from typing import Literal

import anyio.to_thread

from ..ledger import Ledger
from ..ledger_file import files_of
from ..missed import Missed, read_missed


@dataclass(frozen=True)
class ModelEvidence:
    """Evidence on one model."""

    model: str
    tasks: int
    successes: float
    failures: float
    pruned_tasks: int
    pruned_successes: float
    pruned_failures: float
    """Pruned tasks are not included in the other counts."""


@dataclass(frozen=True)
class Bucket:
    """Decisions with about the same predicted value, and their results."""

    said_from: float
    said_to: float
    decisions: int
    mean_said: float
    success_rate: float


@dataclass(frozen=True)
class Calibration:
    """How well one predicted value matched the results."""

    buckets: tuple[Bucket, ...] = ()
    brier_score: float | None = None
    """Mean squared difference of prediction and result: 0 is perfect, 0.25 a coin toss. None: no data."""
    expected_error: float | None = None
    """Expected calibration error: mean difference of prediction and success rate over the buckets; 0 is perfect."""


@dataclass(frozen=True)
class Census:
    tasks: int
    """Number of remembered tasks."""
    by_origin: dict[str, int]
    by_form: dict[str, int]
    """By stored form of the text: full, redacted, hash, pruned, forgotten."""
    outcomes: int
    """User reports and imported outcomes."""
    models: tuple[ModelEvidence, ...]
    vectors: dict[str, int]
    """Count by embedder."""
    oldest: float | None
    newest: float | None
    """Times of the oldest and newest remembered task, in seconds since 1970 UTC. None: there are none."""
    bytes: int
    """Size of the ledger's files, log and backups included."""
    expected_success: Calibration
    """Of the expected success, which should equal the success rate."""
    confidence: Calibration
    """Of the confidence, a lower bound that the success rate should exceed."""
    missed: Missed
    """Wrong answers missed and caught by executed checks."""


async def take_census(ledger: Ledger) -> Census:
    """Collect all statistics. Raises LedgerUnusable."""
    (tasks, oldest, newest), *_ = await ledger.rows(
        "SELECT COUNT(*), MIN(begun_at), MAX(begun_at) FROM remembered_tasks"
    )
    (outcomes,), *_ = await ledger.rows(
        "SELECT (SELECT COUNT(*) FROM outcomes) + (SELECT COUNT(*) FROM imported_outcomes)"
    )
    return Census(
        tasks=tasks,
        by_origin=dict(await ledger.rows("SELECT origin, COUNT(*) FROM remembered_tasks GROUP BY origin ORDER BY 1")),
        by_form=dict(await ledger.rows("SELECT text_form, COUNT(*) FROM tasks GROUP BY text_form ORDER BY 1")),
        outcomes=outcomes,
        models=tuple(ModelEvidence(*row) for row in await ledger.rows(_BY_MODEL)),
        vectors=dict(await ledger.rows("SELECT embedder, COUNT(*) FROM embeddings GROUP BY embedder ORDER BY 1")),
        oldest=oldest,
        newest=newest,
        bytes=await anyio.to_thread.run_sync(lambda: sum(file.stat().st_size for file in files_of(ledger.path))),
        expected_success=await _calibration(ledger, "expected_success"),
        confidence=await _calibration(ledger, "confidence"),
        missed=await read_missed(ledger),
    )


async def _calibration(ledger: Ledger, figure: Literal["expected_success", "confidence"]) -> Calibration:
    rows = await ledger.rows(_CALIBRATION.format(figure=figure))
    if not rows:
        return Calibration()
    buckets = tuple(Bucket(tenth / 10, (tenth + 1) / 10, count, mean, rate) for tenth, count, mean, rate, _ in rows)
    decided = sum(bucket.decisions for bucket in buckets)
    return Calibration(
        buckets,
        brier_score=sum(row[4] for row in rows) / decided,
        expected_error=sum(b.decisions * abs(b.mean_said - b.success_rate) for b in buckets) / decided,
    )


_BY_MODEL = """
WITH live AS (
    SELECT model, COUNT(*) AS tasks, SUM(success) AS successes, SUM(1 - success) AS failures
    FROM (SELECT task_id, model, MAX(success) AS success FROM evidence WHERE kind = 'executed' GROUP BY task_id, model)
    GROUP BY model
), pruned AS (
    SELECT model, SUM(tasks) AS tasks, SUM(successes) AS successes, SUM(failures) AS failures
    FROM aggregates GROUP BY model
)
SELECT model, TOTAL(l), TOTAL(ls), TOTAL(lf), TOTAL(p), TOTAL(ps), TOTAL(pf) FROM (
    SELECT model, tasks AS l, successes AS ls, failures AS lf, 0 AS p, 0 AS ps, 0 AS pf FROM live
    UNION ALL SELECT model, 0, 0, 0, tasks, successes, failures FROM pruned)
GROUP BY model ORDER BY 2 DESC, 1
"""

# A bad user report counts first, then executed checks, then the rest; failed static checks only count as failures.
_CALIBRATION = """
WITH verdicts AS (
    SELECT task_id, model, COALESCE(
        MIN(CASE kind WHEN 'word' THEN CASE success WHEN 0 THEN 0 END END),
        MAX(CASE kind WHEN 'executed' THEN success END),
        MIN(success)) AS success
    FROM evidence GROUP BY task_id, model
)
SELECT MIN(CAST(d.{figure} * 10 AS INTEGER), 9), COUNT(*), AVG(d.{figure}), AVG(v.success),
    TOTAL((d.{figure} - v.success) * (d.{figure} - v.success))
FROM decisions d JOIN verdicts v ON v.task_id = d.task_id AND v.model = d.model
WHERE d.{figure} IS NOT NULL GROUP BY 1 ORDER BY 1
"""
