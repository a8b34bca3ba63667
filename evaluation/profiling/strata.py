"""Stratified comparison of two sets of outcomes: only strata that occur in both count.

Usage data is observational: which tasks a model gets depends on how hard they look, on what is remembered, and on
which models failed before. So outcomes are compared within strata only.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import comb

from ...memory_store.engagements import Engagement
from ..figures import band_of
from .statistics import Count

_LEVEL = 0.05
"""Family-wise error rate of `holm`."""


@dataclass(frozen=True)
class Pair:
    """The counts of one stratum."""

    one: Count
    other: Count


def stratum_of(engagement: Engagement) -> Hashable:
    """Task type, complexity band, whether a check judged the answer, and whether the model was asked first."""
    is_by_check = engagement.is_checked is not None
    return engagement.task_type, band_of(engagement.complexity), is_by_check, engagement.was_first


def shared(
    one: Iterable[Engagement],
    other: Iterable[Engagement],
    weight: Callable[[Engagement], float] = lambda _: 1.0,
) -> tuple[Pair, ...]:
    """The strata in which both sides have outcomes. weight: of one outcome, 0 to 1."""
    mine, theirs = _counts(one, weight), _counts(other, weight)
    return tuple(Pair(mine[stratum], theirs[stratum]) for stratum in mine if stratum in theirs)


def like_for_like(pairs: Sequence[Pair]) -> tuple[Count, Count]:
    """Both sides summed over all strata, with the same stratum weights for both (Mantel-Haenszel).

    A count's n is Kish's effective sample size.
    """
    weights = [pair.one.n * pair.other.n / (pair.one.n + pair.other.n) for pair in pairs]
    return _standardized([p.one for p in pairs], weights), _standardized([p.other for p in pairs], weights)


def p_of_decline(pairs: Sequence[Pair]) -> float:
    """The p-value of `other` being worse than `one`, under equal success rates in each stratum.

    The exact conditional stratified test (Fisher 1935; Mantel and Haenszel 1959), one-sided, with Lancaster's mid-p
    (1961): the observed value counts half. Counts are rounded to integers. 1 when there is nothing to compare.
    """
    # Given the number solved in a stratum, the other side's share of them is hypergeometric; the strata are convolved.
    chances, least = [1.0], 0
    for pair in pairs:
        n1, n2 = round(pair.one.n), round(pair.other.n)
        solved = round(pair.one.passed + pair.other.passed)
        lowest, highest = max(0, solved - n1), min(n2, solved)
        every = comb(n1 + n2, solved)
        own = [comb(n2, k) * comb(n1, solved - k) / every for k in range(lowest, highest + 1)]
        chances = _sum_of(chances, own)
        least += lowest
    seen = round(sum(pair.other.passed for pair in pairs)) - least
    return sum(chances[:seen]) + chances[seen] / 2 if len(chances) > 1 else 1.0


def holm(p_values: Mapping[str, float]) -> frozenset[str]:
    """The names of the tests that are significant with the family-wise error rate held at 5% (Holm 1979)."""
    held: set[str] = set()
    for place, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        if p_values[name] > _LEVEL / (len(p_values) - place):
            break
        held.add(name)
    return frozenset(held)


def _counts(engagements: Iterable[Engagement], weight: Callable[[Engagement], float]) -> dict[Hashable, Count]:
    counts: dict[Hashable, Count] = {}
    for engagement in engagements:
        if (is_solved := engagement.is_solved) is not None:
            counted = weight(engagement)
            stratum = stratum_of(engagement)
            counts[stratum] = counts.get(stratum, Count(0.0, 0.0)) + Count(counted * is_solved, counted)
    return counts


def _standardized(counts: Sequence[Count], weights: Sequence[float]) -> Count:
    total = sum(weights)
    share = sum(w * count.share for w, count in zip(weights, counts, strict=True)) / total
    n = total**2 / sum(w**2 / count.n for w, count in zip(weights, counts, strict=True))
    return Count(share * n, n)


def _sum_of(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """The distribution of the sum of two independent integers, each distribution starting at its lowest value."""
    total = [0.0] * (len(one) + len(other) - 1)
    for i, p in enumerate(one):
        for j, q in enumerate(other):
            total[i + j] += p * q
    return total
