"""What was spent, saved and lost: the ledger read as a report."""

from dataclasses import dataclass

from .ledger import Ledger
from .records import BAD_OUTCOMES, GOOD_OUTCOMES

_GOOD = ", ".join(f"'{word}'" for word in GOOD_OUTCOMES)
_BAD = ", ".join(f"'{word}'" for word in BAD_OUTCOMES)


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
    """The books of a span of time."""

    tasks: dict[str, int]
    """Delegations by status."""
    models: tuple[ModelUsage, ...]
    """The dearest first."""
    cost_usd: float
    """Everything spent, reviews and validations too."""
    unsettled_usd: float
    """The part of `cost_usd` that is a worst case: requests under way, or whose server died."""
    baseline_usd: float
    """What the verified or accepted delegations would have cost on the baseline model."""
    lost_usd: float
    """The part of `cost_usd` spent on delegations that brought nothing verified or accepted."""

    @property
    def saved_usd(self) -> float:
        """Verified or accepted work at the baseline's price, minus everything spent; negative when it lost."""
        return self.baseline_usd - self.cost_usd


async def report_usage(ledger: Ledger, *, since: float = 0.0) -> UsageReport:
    """The report of all that began at or after a moment, in seconds since 1970 UTC; 0 is everything."""
    statuses = await ledger.rows(
        "SELECT status, COUNT(*) FROM tasks WHERE kind = 'delegation' AND origin <> 'import'"
        " AND begun_at >= ? GROUP BY status ORDER BY 1",
        (since,),
    )
    models = await ledger.rows(_BY_MODEL, (since,))
    (totals,) = await ledger.rows(
        "SELECT TOTAL(COALESCE(cost_usd, reserved_usd)), TOTAL(CASE WHEN cost_usd IS NULL THEN reserved_usd END)"
        " FROM attempts WHERE begun_at >= ?",
        (since,),
    )
    (worth,) = await ledger.rows(_WORTH, (since,))
    return UsageReport(
        tasks=dict(statuses),
        models=tuple(ModelUsage(*row) for row in models),
        cost_usd=totals[0],
        unsettled_usd=totals[1],
        baseline_usd=worth[0],
        lost_usd=worth[1],
    )


_BY_MODEL = """
SELECT model, COUNT(*), SUM(outcome IS 'passed'), SUM(COALESCE(outcome, '') NOT IN ('passed', 'unverified', '')),
    SUM(input_tokens), SUM(output_tokens), SUM(COALESCE(cost_usd, reserved_usd)) AS cost
FROM attempts WHERE begun_at >= ? GROUP BY model ORDER BY cost DESC, model
"""

_WORTH = f"""
WITH judged AS (
    SELECT t.id, t.baseline_usd,
        (t.status = 'succeeded'
            OR EXISTS (SELECT 1 FROM outcomes o WHERE o.task_id = t.id AND o.outcome IN ({_GOOD})))
        AND NOT EXISTS (SELECT 1 FROM outcomes o WHERE o.task_id = t.id AND o.outcome IN ({_BAD})) AS is_good
    FROM tasks t WHERE t.kind = 'delegation' AND t.begun_at >= ?
)
SELECT TOTAL(CASE WHEN is_good THEN baseline_usd END),
    TOTAL(CASE WHEN NOT is_good THEN
        (SELECT TOTAL(COALESCE(a.cost_usd, a.reserved_usd)) FROM attempts a WHERE a.task_id = judged.id) END)
FROM judged
"""  # noqa: S608 - our own words
