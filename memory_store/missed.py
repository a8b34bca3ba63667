"""Estimates how many wrong answers pass their checks, from passed answers that the user rejected."""

from dataclasses import dataclass

from .judgement import IS_CALLED_BAD
from .ledger import Ledger

_NEWEST = 1_000
"""Number of attempts read."""
_BEFORE = 10.0
"""Prior: imaginary wrong answers that were caught, so that one rejection does not weigh too much."""


@dataclass(frozen=True)
class Missed:
    """Counts of recent wrong answers, missed and caught by checks."""

    rejected: int = 0
    """Passed their checks but were rejected by the user."""
    failed: int = 0
    """Failed their checks."""

    @property
    def share(self) -> float:
        """Share of wrong answers that pass, 0 to 1. Rather too low, since no report counts as acceptance."""
        return self.rejected / (_BEFORE + self.rejected + self.failed)


async def read_missed(ledger: Ledger) -> Missed:
    """The counts over the newest attempts in real use. Raises a LedgerError."""
    ((rejected, failed),) = await ledger.rows(_VERDICTS)
    return Missed(rejected, failed)


# One verdict per model and task: a passed repair outweighs a failed draft. A report is on the task's final model.
_VERDICTS = f"""
SELECT COUNT(*) FILTER (WHERE success AND is_bad), COUNT(*) FILTER (WHERE NOT success) FROM (
    SELECT MAX(c.outcome = 'passed') AS success, t.model = a.model AND {IS_CALLED_BAD} AS is_bad
    FROM (SELECT * FROM attempts ORDER BY id DESC LIMIT {_NEWEST}) a
    JOIN remembered_tasks t ON t.id = a.task_id JOIN checks c ON c.attempt_id = a.id
    WHERE c.executed AND c.outcome IN ('passed', 'failed') AND t.origin = 'use'
    GROUP BY a.task_id, a.model)
"""  # noqa: S608 - constants
