"""Remembered tasks that can be run again: both their full text and their tests are stored."""

from dataclasses import dataclass

from ..profiles.vocabulary import TaskType
from .ledger import Ledger


@dataclass(frozen=True)
class AskableTask:
    id: str
    text: str
    task_type: TaskType
    complexity: float
    local_only: bool
    tests: str


async def read_askable(ledger: Ledger, *, at_most: int) -> tuple[AskableTask, ...]:
    """The user's tasks whose tests were executed on an answer, newest first, deduplicated by text and tests.

    Tasks of HTTP callers belong to them and are left out. Raises LedgerUnusable.
    """
    rows = await ledger.rows(_ASKABLE, (at_most,))
    return tuple(AskableTask(*row[:4], local_only=bool(row[4]), tests=row[5]) for row in rows)


# The newest of several identical tasks represents them all, and is local-only if any of them was.
_ASKABLE = """
SELECT t.id, t.text, t.task_type, t.complexity, MAX(t.local_only), t.tests, MAX(t.begun_at) AS newest
FROM remembered_tasks t
WHERE t.kind = 'delegation' AND t.origin = 'use' AND t.text_form = 'full' AND t.tests IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM task_callers c WHERE c.task_id = t.id)
    AND EXISTS (SELECT 1 FROM checks c WHERE c.task_id = t.id AND c.name = 'tests' AND c.executed)
GROUP BY t.text, t.tests ORDER BY newest DESC, t.id LIMIT ?
"""
