"""What was spent, saved and lost: the ledger read as a report."""

from dataclasses import dataclass

from .judgement import COST_USD, IS_GOOD, cost_of_task
from .ledger import Ledger


@dataclass(frozen=True)
class ModelUsage:
    """What one model was asked, and what came of it."""

    model: str
    attempts: int
    passed: int
    """Attempts whose executed check passed."""
    failed: int
    """Attempts without a usable answer, or whose check failed."""
    input_tokens: int
    output_tokens: int
    cost_usd: float
    """Settled cost, and the worst case of what is not settled."""


@dataclass(frozen=True)
class UsageReport:
    """The books of a span of time: somebody's work, beside which evaluations have a line of their own."""

    tasks: dict[str, int]
    """Delegations by status."""
    models: tuple[ModelUsage, ...]
    """The dearest first."""
    cost_usd: float
    """Everything spent on work, reviews and validations too."""
    unsettled_usd: float
    """The part of `cost_usd` that is a worst case: requests under way, or whose server died."""
    baseline_usd: float
    """What the verified or accepted delegations would have cost on the baseline model."""
    lost_usd: float
    """The part of `cost_usd` spent on delegations that ended and brought nothing verified or accepted."""
    evaluations_usd: float = 0.0
    """What measuring models cost: no part of any other figure, but of the day's budget."""

    @property
    def saved_usd(self) -> float:
        """Verified or accepted work at the baseline's price, minus everything spent; negative when it lost."""
        return self.baseline_usd - self.cost_usd


async def report_usage(ledger: Ledger, *, since: float = 0.0) -> UsageReport:
    """The report of all tasks that began at or after a moment, in seconds since 1970 UTC; 0 is everything."""
    statuses = await ledger.rows(
        "SELECT status, COUNT(*) FROM tasks WHERE kind = 'delegation' AND origin = 'use'"
        " AND begun_at >= ? GROUP BY status ORDER BY 1",
        (since,),
    )
    models = await ledger.rows(_BY_MODEL, (since,))
    (totals,) = await ledger.rows(_TOTALS, (since,))
    (worth,) = await ledger.rows(_WORTH, (since,))
    return UsageReport(
        tasks=dict(statuses),
        models=tuple(ModelUsage(*row) for row in models),
        cost_usd=totals[0],
        unsettled_usd=totals[1],
        baseline_usd=worth[0],
        lost_usd=worth[1],
        evaluations_usd=totals[2],
    )


_TOTALS = f"""
SELECT TOTAL(CASE WHEN t.origin <> 'evaluation' THEN {COST_USD} END),
    TOTAL(CASE WHEN t.origin <> 'evaluation' AND a.cost_usd IS NULL THEN a.reserved_usd END),
    TOTAL(CASE WHEN t.origin = 'evaluation' THEN {COST_USD} END)
FROM attempts a JOIN tasks t ON t.id = a.task_id WHERE t.begun_at >= ?
"""  # noqa: S608 - our own words, here and below

_BY_MODEL = f"""
SELECT a.model, COUNT(*), SUM(a.outcome IS 'passed'), SUM(COALESCE(a.outcome, '') NOT IN ('passed', 'unverified', '')),
    SUM(a.input_tokens), SUM(a.output_tokens), SUM({COST_USD}) AS cost
FROM attempts a JOIN tasks t ON t.id = a.task_id
WHERE t.begun_at >= ? AND t.origin = 'use' GROUP BY a.model ORDER BY cost DESC, a.model
"""  # noqa: S608

_WORTH = f"""
WITH judged AS (
    SELECT t.id, t.status, t.baseline_usd, {IS_GOOD} AS is_good
    FROM tasks t WHERE t.kind = 'delegation' AND t.origin = 'use' AND t.begun_at >= ?
)
SELECT TOTAL(CASE WHEN is_good THEN baseline_usd END),
    TOTAL(CASE WHEN NOT is_good AND status <> 'running' THEN {cost_of_task("judged.id")} END)
FROM judged
"""  # noqa: S608
