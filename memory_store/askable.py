"""Remembered tasks that can be asked again: their text is whole, and the code that an answer must pass is kept."""

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
    """The user's own tasks whose tests were run on an answer, the newest first, each text with its tests once.

    Those that came from callers over HTTP are theirs, and left out. Raises LedgerUnusable.
    """
    rows = await ledger.rows(_ASKABLE, (at_most,))
    return tuple(AskableTask(*row[:4], local_only=bool(row[4]), tests=row[5]) for row in rows)


# Of one task that was asked several times the newest stands for all, and it stays here if one of them had to.
_ASKABLE = """
SELECT t.id, t.text, t.task_type, t.complexity, MAX(t.local_only), t.tests, MAX(t.begun_at) AS newest
FROM remembered_tasks t
WHERE t.kind = 'delegation' AND t.origin = 'use' AND t.text_form = 'full' AND t.tests IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM task_callers c WHERE c.task_id = t.id)
    AND EXISTS (SELECT 1 FROM checks c WHERE c.task_id = t.id AND c.name = 'tests' AND c.executed)
GROUP BY t.text, t.tests ORDER BY newest DESC, t.id LIMIT ?
"""
