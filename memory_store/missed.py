"""How many wrong answers pass their checks: what the user rejected although it had passed."""

from dataclasses import dataclass

from .ledger import Ledger

_NEWEST = 1_000
"""So many attempts are looked at."""
_BEFORE = 10.0
"""Before anything was seen, so many wrong answers count as caught: one rejection is no rule."""


@dataclass(frozen=True)
class Missed:
    """Of the answers of late, those that were wrong, and who noticed."""

    rejected: int = 0
    """Passed their checks, and the user rejected them."""
    failed: int = 0
    """Failed their checks."""

    @property
    def share(self) -> float:
        """Of wrong answers, those that pass; 0 to 1. Silence counts as content, so that it is rather too low."""
        return self.rejected / (_BEFORE + self.rejected + self.failed)


async def read_missed(ledger: Ledger) -> Missed:
    """What checks missed and caught in use, by the newest attempts. Raises a LedgerError."""
    ((rejected, failed),) = await ledger.rows(_VERDICTS)
    return Missed(rejected, failed)


# One verdict for each model and task: a repair that passed outweighs the draft that failed.
_VERDICTS = f"""
SELECT COUNT(*) FILTER (WHERE success AND is_bad), COUNT(*) FILTER (WHERE NOT success) FROM (
    SELECT v.success, EXISTS (
        SELECT 1 FROM evidence w WHERE w.task_id = v.task_id AND w.model = v.model AND w.kind = 'word' AND NOT w.success
    ) AS is_bad
    FROM (
        SELECT a.task_id, a.model, MAX(c.outcome = 'passed') AS success
        FROM (SELECT * FROM attempts ORDER BY id DESC LIMIT {_NEWEST}) a
        JOIN remembered_tasks t ON t.id = a.task_id JOIN checks c ON c.attempt_id = a.id
        WHERE c.executed AND c.outcome IN ('passed', 'failed') AND t.origin = 'use'
        GROUP BY a.task_id, a.model
    ) v)
"""  # noqa: S608 - a constant
