"""Confidence intervals for one share of successes, and for the difference of two.

Wilson (1927) for one share, Newcombe's method 10 (1998) for the difference of two independent shares.
"""

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

from ...profiles.measured import Tally

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Count:
    """Successes out of n; fractional where outcomes are weighted."""

    passed: float
    n: float

    @property
    def share(self) -> float:
        return self.passed / self.n if self.n else 0.0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.passed + other.passed, self.n + other.n)


def wilson(count: Count, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The two-sided confidence interval of a share; (0, 1) for an empty count."""
    if count.n <= 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    n, share = count.n, count.share
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(max(0.0, share * (1 - share) / n) + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def newcombe(one: Count, other: Count, *, comparisons: int = 1) -> tuple[float, float]:
    """The two-sided 95% interval of `one`'s share minus the other's.

    comparisons: number of comparisons made; the interval is widened so that all of them hold at once (Bonferroni).
    Models asked the same items are positively correlated, which makes it conservative: too wide, never too narrow.
    """
    confidence = 1 - (1 - CONFIDENCE) / comparisons
    (low1, high1), (low2, high2) = wilson(one, confidence), wilson(other, confidence)
    difference = one.share - other.share
    below = sqrt((one.share - low1) ** 2 + (high2 - other.share) ** 2)
    above = sqrt((high1 - one.share) ** 2 + (other.share - low2) ** 2)
    return difference - below, difference + above


def tally(count: Count) -> Tally:
    """A count as stored in a profile: rounded, with its Wilson interval."""
    low, high = wilson(count)
    return Tally(n=round(count.n, 2), passed=round(count.passed, 2), at_least=round(low, 3), at_most=round(high, 3))
