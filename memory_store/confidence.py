"""The probability that a model succeeds, estimated from its past outcomes."""

import math
from dataclasses import dataclass
from functools import lru_cache

from ..profiles.routing_rules import Prior

CREDIBLE_LEVEL = 0.8
"""One-sided: the probability that the true success rate lies above the bound."""


@dataclass(frozen=True)
class Belief:
    """Weighted evidence for and against a model; an executed check weighs 1.0."""

    successes: float = 0.0
    failures: float = 0.0

    @property
    def evidence(self) -> float:
        """The effective number of tasks."""
        return self.successes + self.failures

    @property
    def share(self) -> float:
        """The share of successes, 0 to 1. Requires evidence."""
        return self.successes / self.evidence

    def expected_success(self, prior: Prior) -> float:
        """The posterior mean, 0 to 1."""
        alpha, beta = self._posterior(prior)
        return alpha / (alpha + beta)

    def confidence(self, prior: Prior) -> float:
        """The lower 80% credible bound of the success rate, 0 to 1, from a Beta posterior with the given prior."""
        return _beta_quantile(1 - CREDIBLE_LEVEL, *self._posterior(prior))

    def _posterior(self, prior: Prior) -> tuple[float, float]:
        return (
            prior.tasks * prior.success + self.successes,
            prior.tasks * (1 - prior.success) + self.failures,
        )


def belief_of(success: float, tasks: float) -> Belief:
    """A belief with this probability of success and the weight of so many tasks."""
    return Belief(tasks * success, tasks * (1 - success))


@lru_cache(maxsize=256)  # consecutive decisions mostly see the same evidence
def _beta_quantile(probability: float, alpha: float, beta: float) -> float:
    """The quantile of Beta(alpha, beta) at a probability.

    By Newton's method, with bisection when a step leaves the bracket.
    """
    low, high = 0.0, 1.0
    at = alpha / (alpha + beta)
    for _ in range(_STEPS_AT_MOST):
        excess = _beta_cdf(at, alpha, beta) - probability
        low, high = (at, high) if excess < 0 else (low, at)
        density = math.exp(_log_power(at, alpha, beta)) / (at * (1 - at))
        better = at - excess / (density or _TINY)
        if not low < better < high:
            better = (low + high) / 2
        if abs(better - at) < _EXACT:
            return better
        at = better
    return at


def _beta_cdf(x: float, alpha: float, beta: float) -> float:
    """The regularized incomplete beta function I_x(alpha, beta).

    By its continued fraction (DLMF 8.17.22, https://dlmf.nist.gov/8.17#v, seen 2026-11-24), on the
    side of the mean where that converges fast; the other side by I_x(a, b) = 1 - I_(1-x)(b, a).
    """
    if x <= 0 or x >= 1:
        return min(1.0, max(0.0, x))
    if x > (alpha + 1) / (alpha + beta + 2):
        return 1 - _beta_cdf(1 - x, beta, alpha)
    return math.exp(_log_power(x, alpha, beta)) / (alpha * _fraction(x, alpha, beta))


def _log_power(x: float, alpha: float, beta: float) -> float:
    """The logarithm of x^alpha (1-x)^beta / B(alpha, beta)."""
    log_beta = math.lgamma(alpha) + math.lgamma(beta) - math.lgamma(alpha + beta)
    return alpha * math.log(x) + beta * math.log1p(-x) - log_beta


def _fraction(x: float, alpha: float, beta: float) -> float:
    """1 + t1 / (1 + t2 / (1 + …)), by Lentz's method (DLMF 3.10(iii)), until a term changes nothing."""
    fraction = numerator = 1.0
    denominator = 0.0
    for depth in range(1, _DEPTH_AT_MOST):
        m = depth // 2
        if depth % 2:
            term = -(alpha + m) * (alpha + beta + m) * x / ((alpha + 2 * m) * (alpha + 2 * m + 1))
        else:
            term = m * (beta - m) * x / ((alpha + 2 * m - 1) * (alpha + 2 * m))
        denominator = 1 / ((1 + term * denominator) or _TINY)
        numerator = (1 + term / numerator) or _TINY
        change = numerator * denominator
        fraction *= change
        if abs(change - 1) < _NOTHING:
            break
    return fraction


# A million pieces of evidence need fewer terms than this.
_DEPTH_AT_MOST = 1_000
_TINY, _NOTHING = 1e-300, 1e-12
_STEPS_AT_MOST, _EXACT = 100, 1e-9
