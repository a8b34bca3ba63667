"""Errors of the ledger.

LedgerError
├── LedgerUnusable     the file cannot be opened, read or written; the message gives the remedy
├── BudgetExceeded     a reservation exceeds what is left of the day's budget
├── DailyLimitReached  the day's limit on tasks of a kind is reached
└── ImportRefused      a file is not a valid export; the message names line, field and remedy
"""


class LedgerError(Exception):
    """The ledger cannot record something."""


class LedgerUnusable(LedgerError):
    """The ledger's file cannot be used."""


class BudgetExceeded(LedgerError):
    """The worst-case cost of a request exceeds what is left of the day's budget."""

    def __init__(self, *, cap_usd: float, spent_usd: float, wanted_usd: float) -> None:
        """spent_usd: settled cost and open reservations of the UTC day. wanted_usd: the reservation refused."""
        self.cap_usd, self.spent_usd, self.wanted_usd = cap_usd, spent_usd, wanted_usd
        super().__init__(
            f"the day's budget of ${cap_usd:g} has ${max(0.0, cap_usd - spent_usd):.4f} left, and the next request"
            f" may cost ${wanted_usd:.4f}. It resets at 00:00 UTC; CHARGEHAND_DAILY_BUDGET_USD changes it."
        )


class DailyLimitReached(LedgerError):
    """The day's limit on tasks of a kind is reached."""

    def __init__(self, *, limit: int) -> None:
        self.limit = limit
        super().__init__(f"all {limit} of the day are used")


class ImportRefused(LedgerError):
    """The file is invalid; none of it was imported."""
