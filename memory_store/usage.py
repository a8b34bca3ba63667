"""A report from the ledger of money spent, saved and lost."""

from dataclasses import dataclass

from .judgement import COST_USD, IS_GOOD, cost_of_task
from .ledger import Ledger


@dataclass(frozen=True)
class ModelUsage:
    """One model's totals."""

    model: str
    attempts: int
    passed: int
    """Attempts whose executed check passed."""
    failed: int
    """Attempts without a usable answer, or whose check failed."""
    input_tokens: int
    output_tokens: int
    cost_usd: float
    """Settled cost, plus the worst case of unsettled attempts."""


@dataclass(frozen=True)
class UsageReport:
    """Totals for a period, over real use; evaluations are listed separately."""

    tasks: dict[str, int]
    """Delegations by status."""
    models: tuple[ModelUsage, ...]
    """Most expensive first."""
    cost_usd: float
    """Total cost, reviews and validations included."""
    unsettled_usd: float
    """The part of `cost_usd` that is a worst case: requests in progress or of dead processes."""
    baseline_usd: float
    """What the verified or accepted delegations would have cost on the baseline model."""
    lost_usd: float
    """The part of `cost_usd` spent on ended delegations without a verified or accepted result."""
    evaluations_usd: float = 0.0
    """Cost of evaluations; not in any other figure, but it counts towards the daily budget."""

    @property
    def saved_usd(self) -> float:
        """`baseline_usd` minus `cost_usd`; negative: a loss."""
        return self.baseline_usd - self.cost_usd


async def report_usage(ledger: Ledger, *, since: float = 0.0) -> UsageReport:
    """The report on tasks begun at or after `since`, in seconds since 1970 UTC; 0 means everything."""
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
