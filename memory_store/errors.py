"""What can go wrong with the books.

LedgerError
├── LedgerUnusable     the file cannot be opened, read or written: the message says what to do
├── BudgetExceeded     a reservation does not fit what the day's budget has left
├── DailyLimitReached  a count of tasks per day is used up
└── ImportRefused      a file holds something that is no history: the message names line, field and remedy
"""


class LedgerError(Exception):
    """Something that keeps the ledger from recording."""


class LedgerUnusable(LedgerError):
    """The ledger's file cannot be used at all."""


class BudgetExceeded(LedgerError):
    """The worst case of a request is more than the day's budget has left."""

    def __init__(self, *, cap_usd: float, spent_usd: float, wanted_usd: float) -> None:
        """spent_usd: settled cost and open reservations of the UTC day. wanted_usd: the reservation refused."""
        self.cap_usd, self.spent_usd, self.wanted_usd = cap_usd, spent_usd, wanted_usd
        super().__init__(
            f"the day's budget of ${cap_usd:g} has ${max(0.0, cap_usd - spent_usd):.4f} left, and the next request"
            f" may cost ${wanted_usd:.4f}. It resets at 00:00 UTC; CHARGEHAND_DAILY_BUDGET_USD changes it."
        )


class DailyLimitReached(LedgerError):
    """As many tasks of a kind as the day allows have been begun."""

    def __init__(self, *, limit: int) -> None:
        self.limit = limit
        super().__init__(f"all {limit} of the day are used")


class ImportRefused(LedgerError):
    """A file that cannot be imported as it is; nothing of it was."""
