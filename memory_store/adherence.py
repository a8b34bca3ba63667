"""How often hosts delegate when advised to, by kind of task, and what it saved or lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..profiles.vocabulary import TaskType
from .judgement import BAD_WORDS, GOOD_WORDS, IS_GOOD, cost_of_task
from .ledger import Ledger

JUDGED_AT_LEAST = 5
"""Minimum of judged delegations before a kind can count as losing money."""


@dataclass(frozen=True)
class ClassUsage:
    """Totals for one kind of task."""

    task_type: TaskType
    offered: int
    """Calls of route_task that returned a model."""
    delegated: int
    accepted: int
    """Delegations whose latest user report is `accepted` or `tests_passed`."""
    edited: int
    rejected: int
    """Likewise for `rejected` or `tests_failed`."""
    without_word: int
    judged: int
    """Delegations that a check verified or failed, or that the user reported on."""
    judged_usd: float
    """Their cost."""
    cost_usd: float
    """Settled cost, plus the worst case of unsettled attempts."""
    baseline_usd: float
    """What verified or accepted delegations would have cost on the baseline model."""

    @property
    def saved_usd(self) -> float:
        """Negative: the delegations, unjudged ones included, cost more than the baseline model would have."""
        return self.baseline_usd - self.cost_usd

    @property
    def lost_usd(self) -> float:
        """Cost of the judged delegations in excess of the baseline. Negative: they saved money."""
        return self.judged_usd - self.baseline_usd

    @property
    def loses_money(self) -> bool:
        """Whether delegating this kind of task has cost more than it was worth, on enough evidence."""
        return self.judged >= JUDGED_AT_LEAST and self.lost_usd > 0


async def report_classes(ledger: Ledger, *, since: float = 0.0) -> tuple[ClassUsage, ...]:
    """Totals for each kind of task that was offered or delegated, most delegated first.

    since: seconds since 1970 UTC; 0 means everything. Raises LedgerUnusable.
    """
    return _as_classes(await ledger.rows(_BY_CLASS, {"since": since}))


async def losing_class(ledger: Ledger, task_type: TaskType) -> ClassUsage | None:
    """Totals of the last 200 delegations of this kind if it loses money. None: it does not, or too little is known.

    As of the last `Ledger.refresh`; `offered` may be older. Raises LedgerUnusable.
    """
    (kind,) = _as_classes(await ledger.cached_rows(_OF_ONE_CLASS, {"since": 0.0, "kind": task_type})) or (None,)
    return kind if kind is not None and kind.loses_money else None


async def reports_on_unchecked(ledger: Ledger) -> bool:
    """Whether the user reports the outcome of most unverified answers. Raises LedgerUnusable."""
    ((reported, of),) = await ledger.cached_rows(_UNCHECKED)
    return reported >= _REPORTED_AT_LEAST and 2 * reported >= of


def _as_classes(rows: Sequence[tuple[Any, ...]]) -> tuple[ClassUsage, ...]:
    names = tuple(ClassUsage.__dataclass_fields__)
    return tuple(ClassUsage(**dict(zip(names, row, strict=True))) for row in rows)


_REPORTED_AT_LEAST, _UNCHECKED_READ = 5, 20
_UNCHECKED = f"""
SELECT COUNT(*) FILTER (WHERE EXISTS (SELECT 1 FROM outcomes o WHERE o.task_id = t.id)), COUNT(*) FROM (
    SELECT id FROM tasks WHERE kind = 'delegation' AND status = 'unverified' AND origin = 'use' AND NOT elsewhere
    ORDER BY begun_at DESC LIMIT {_UNCHECKED_READ}) t
"""  # noqa: S608 - constants


def _query(*, of_one: bool) -> str:
    tasks, decisions, kinds = ("", "", "SELECT task_type FROM delegated UNION SELECT task_type FROM offered")
    if of_one:
        tasks = "AND t.task_type = :kind ORDER BY t.begun_at DESC LIMIT 200"
        decisions, kinds = "AND task_type = :kind", "SELECT :kind AS task_type"
    return f"""
WITH delegated AS (
    SELECT t.task_type, t.status, t.baseline_usd,
        (SELECT o.outcome FROM outcomes o WHERE o.task_id = t.id ORDER BY o.recorded_at DESC, o.rowid DESC LIMIT 1)
            AS word,
        {cost_of_task("t.id")} AS cost_usd, {IS_GOOD} AS is_good,
        t.status <> 'running' AND (t.status IN ('succeeded', 'failed', 'over_budget')
            OR EXISTS (SELECT 1 FROM outcomes o WHERE o.task_id = t.id)) AS is_judged
    FROM tasks t
    WHERE t.kind = 'delegation' AND t.origin = 'use' AND NOT t.elsewhere AND t.begun_at >= :since {tasks}
), offered AS (
    SELECT task_type, COUNT(*) AS times FROM decisions WHERE task_id IS NULL AND made_at >= :since {decisions}
    GROUP BY task_type
), kinds AS ({kinds})
SELECT k.task_type, COALESCE((SELECT times FROM offered o WHERE o.task_type = k.task_type), 0),
    COUNT(d.task_type),
    COUNT(CASE WHEN d.word IN {GOOD_WORDS} AND d.word <> 'edited' THEN 1 END),
    COUNT(CASE d.word WHEN 'edited' THEN 1 END),
    COUNT(CASE WHEN d.word IN {BAD_WORDS} THEN 1 END),
    COUNT(CASE WHEN d.task_type IS NOT NULL AND d.word IS NULL THEN 1 END),
    COUNT(CASE WHEN d.is_judged THEN 1 END), TOTAL(CASE WHEN d.is_judged THEN d.cost_usd END),
    TOTAL(d.cost_usd), TOTAL(CASE WHEN d.is_good THEN d.baseline_usd END)
FROM kinds k LEFT JOIN delegated d ON d.task_type = k.task_type
GROUP BY k.task_type ORDER BY 3 DESC, 1
"""  # noqa: S608 - our own words


_BY_CLASS = _query(of_one=False)
_OF_ONE_CLASS = _query(of_one=True)
