"""Budget of one evaluation: a request is sent only if its worst-case cost fits into the remainder."""

import contextlib
from collections.abc import AsyncGenerator

import anyio

from ..memory_store.evaluation_runs import spent_usd
from ..profiles.price import in_dollars
from ..tools.services import Services


class Unaffordable(Exception):
    """A request's worst-case cost exceeds the remaining budget. The message names the budget."""


class DayBudgetSpent(Unaffordable):
    """What is left of the day's budget does not cover the request."""


class EvaluationBudget:
    """The rest of an evaluation's budget, across interruptions, as spending is read from the ledger."""

    def __init__(self, services: Services, evaluation_id: str, budget_usd: float | None) -> None:
        self._services = services
        self._id = evaluation_id
        self._budget_usd = budget_usd
        self._held_usd = 0.0
        self._turn = anyio.Condition()

    @contextlib.asynccontextmanager
    async def holding(self, usd: float) -> AsyncGenerator[None]:
        """Hold the worst-case cost of one item while the block runs.

        Waits when only amounts held by other items stand in the way. Raises Unaffordable or DayBudgetSpent.
        """
        if usd <= 0:
            yield
            return
        async with self._turn:
            while (why := await self._why_not(usd)) is not None:
                if not self._held_usd:
                    raise why
                await self._turn.wait()
            self._held_usd += usd
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                async with self._turn:
                    self._held_usd = max(0.0, self._held_usd - usd) if self._held_usd - usd > _ROUNDING_USD else 0.0
                    self._turn.notify_all()

    async def _why_not(self, usd: float) -> Unaffordable | None:
        # Running requests count twice until settled: as reserved in the ledger and as held here.
        if self._budget_usd is not None:
            left_usd = self._budget_usd - await spent_usd(self._services.ledger, self._id) - self._held_usd
            if usd > left_usd:
                return Unaffordable(f"this evaluation's budget of ${self._budget_usd:g} is used up")
        cap_usd = self._services.rules.daily_budget_usd
        if cap_usd is None:
            return None
        left_usd = cap_usd - await self._services.ledger.spent_today_usd() - self._held_usd
        if usd > left_usd:
            return DayBudgetSpent(
                f"{in_dollars(max(0.0, left_usd))} is left of the day's budget of ${cap_usd:g}"
                f" (CHARGEHAND_DAILY_BUDGET_USD), and an answer may cost up to {in_dollars(usd)}."
            )
        return None


_ROUNDING_USD = 1e-12
"""Tolerance for rounding errors in sums of floats."""
