"""The money of one evaluation: nothing is asked whose worst case does not fit into what is left."""

import contextlib
from collections.abc import AsyncGenerator

import anyio

from ..memory_store.evaluation_runs import spent_usd
from ..tools.services import Services


class Unaffordable(Exception):
    """A request's worst case does not fit. The message says into what."""


class DaySpent(Unaffordable):
    """It is the day's budget: tomorrow there is more."""


class EvaluationBudget:
    """What is left of an evaluation's budget, over its interruptions: the books say what is spent."""

    def __init__(self, services: Services, evaluation_id: str, budget_usd: float | None) -> None:
        self._services = services
        self._id = evaluation_id
        self._budget_usd = budget_usd
        self._held_usd = 0.0
        self._turn = anyio.Condition()

    @contextlib.asynccontextmanager
    async def holding(self, usd: float) -> AsyncGenerator[None]:
        """Keep the worst case of one item until it is in the books.

        Waits for what is under way when only that stands in the way. Raises Unaffordable or DaySpent.
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
                    self._held_usd = max(0.0, self._held_usd - usd) if self._held_usd - usd > _DUST_USD else 0.0
                    self._turn.notify_all()

    async def _why_not(self, usd: float) -> Unaffordable | None:
        # What is under way counts twice until it is settled, as reserved in the books and as held here.
        if self._budget_usd is not None:
            left_usd = self._budget_usd - await spent_usd(self._services.ledger, self._id) - self._held_usd
            if usd > left_usd:
                return Unaffordable(f"this evaluation's budget of ${self._budget_usd:g} is used up")
        cap_usd = self._services.rules.daily_budget_usd
        if cap_usd is not None and usd > cap_usd - await self._services.ledger.spent_today_usd() - self._held_usd:
            return DaySpent(f"the day's budget of ${cap_usd:g} (CHARGEHAND_DAILY_BUDGET_USD) is used up")
        return None


_DUST_USD = 1e-12
"""What sums of floats may leave over."""
