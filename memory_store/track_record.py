"""Counts good and bad delegations per model, including pruned ones.

Good: verified by an executed check or reported good, and never reported bad. Bad: reported bad, or an attempt of the
model failed an executed check and the model did not repair it. Evaluations are excluded.
"""

import json
import sqlite3
from collections.abc import Sequence

from ..profiles.vocabulary import TaskType
from .judgement import COST_USD, IS_CALLED_BAD, IS_VERIFIED_OR_PRAISED
from .records import TrackRecord


def read_track_record(db: sqlite3.Connection, model: str, task_type: TaskType | None) -> TrackRecord:
    """The counts for a model. task_type None: all types."""
    good, bad = db.execute(_OF_A_MODEL, {"model": model, "task_type": task_type}).fetchone()
    return TrackRecord(model, task_type, round(good), round(bad))


def add_to_aggregates(db: sqlite3.Connection, task_ids: Sequence[str]) -> None:
    """Add tasks to the aggregates, before their rows are pruned."""
    chosen = {"ids": json.dumps(task_ids)}
    db.execute(_INTO_AGGREGATES.format(counted=_DELEGATIONS), chosen)
    db.execute(_INTO_AGGREGATES.format(counted=_IMPORTED), chosen)


def _judged(of_task: str, of_attempt: str) -> str:
    """SQL for a judged row per task and model. The arguments are conditions on `tasks t` and `attempts a`."""
    return f"""
concerned AS (
    SELECT t.id AS task_id, t.model FROM tasks t WHERE t.model IS NOT NULL AND {of_task}
    UNION SELECT a.task_id, a.model FROM attempts a WHERE {of_attempt}
), marked AS (
    SELECT
        c.task_id, c.model, t.task_type, t.origin,
        t.model IS c.model AS is_its_own,
        {IS_VERIFIED_OR_PRAISED} AS is_good,
        {IS_CALLED_BAD} AS is_bad,
        EXISTS (
            SELECT 1 FROM attempts a JOIN checks k ON k.attempt_id = a.id AND k.task_id = a.task_id
            WHERE a.task_id = t.id AND a.model = c.model AND k.executed AND k.outcome = 'failed') AS has_failed
    FROM concerned c JOIN remembered_tasks t ON t.id = c.task_id WHERE t.kind = 'delegation'
), judged AS (
    SELECT
        task_id, model, task_type, origin,
        is_its_own AND is_good AND NOT is_bad AS good,
        is_its_own AND is_bad OR has_failed AND NOT (is_its_own AND is_good) AS bad
    FROM marked
)"""  # noqa: S608 - our own words


_OF_A_MODEL = f"""
WITH {_judged("t.model = :model", "a.model = :model")}
SELECT TOTAL(good), TOTAL(bad) FROM (
    SELECT good, bad FROM judged
        WHERE model = :model AND origin = 'use' AND (:task_type IS NULL OR task_type = :task_type)
    UNION ALL
    SELECT successes, failures FROM aggregates
        WHERE model = :model AND origin = 'use' AND (:task_type IS NULL OR task_type = :task_type))
"""  # noqa: S608 - the same

_CHOSEN = "IN (SELECT value FROM json_each(:ids))"

_DELEGATIONS = f"""
WITH {_judged(f"t.id {_CHOSEN}", f"a.task_id {_CHOSEN}")}
SELECT model, task_type, origin, COUNT(*), TOTAL(good), TOTAL(bad),
    TOTAL((SELECT TOTAL({COST_USD}) FROM attempts a
        WHERE a.task_id = judged.task_id AND a.model = judged.model))
FROM judged GROUP BY model, task_type, origin
"""  # noqa: S608 - the same

_IMPORTED = f"""
SELECT i.model, t.task_type, 'import', COUNT(*), TOTAL(i.success), TOTAL(1 - i.success), TOTAL(i.cost_usd)
FROM imported_outcomes i JOIN remembered_tasks t ON t.id = i.task_id WHERE i.task_id {_CHOSEN}
GROUP BY i.model, t.task_type
"""  # noqa: S608 - the same

_INTO_AGGREGATES = """
INSERT INTO aggregates (model, task_type, origin, tasks, successes, failures, cost_usd)
SELECT * FROM ({counted}) WHERE TRUE
ON CONFLICT (model, task_type, origin) DO UPDATE SET
    tasks = tasks + excluded.tasks, successes = successes + excluded.successes,
    failures = failures + excluded.failures, cost_usd = cost_usd + excluded.cost_usd
"""
