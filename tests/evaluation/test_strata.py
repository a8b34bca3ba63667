"""Comparing outcomes like with like: the exact test over strata, and the correction for several of them."""

import itertools

import pytest

from chargehand.evaluation.profiling.statistics import Count
from chargehand.evaluation.profiling.strata import Pair, holm, like_for_like, p_of_decline


def test_the_example_of_one_stratum_is_as_unlikely_as_published_tests_say():
    # Fisher's one-sided p is 0.0627, of which what is seen makes up 0.0399; Boschloo's is 0.043.
    assert p_of_decline([Pair(Count(34, 48), Count(17, 33))]) == pytest.approx(0.0427, abs=5e-5)


def test_over_several_strata_it_is_what_counting_all_ways_gives():
    strata = [([1, 1, 1, 0], [1, 0, 0]), ([1, 0, 1], [0, 0, 1, 0])]
    pairs = [Pair(Count(sum(one), len(one)), Count(sum(other), len(other))) for one, other in strata]

    # Every way to deal a stratum's outcomes to its two sides is as likely, were they alike.
    dealt = [[sum(hand) for hand in itertools.combinations([*one, *other], len(other))] for one, other in strata]
    sums = [sum(hands) for hands in itertools.product(*dealt)]
    seen = sum(sum(other) for _, other in strata)
    expected = (sum(s < seen for s in sums) + sum(s == seen for s in sums) / 2) / len(sums)

    assert p_of_decline(pairs) == pytest.approx(expected)


def test_a_rise_is_no_decline():
    assert p_of_decline([Pair(Count(5, 20), Count(18, 20))]) > 0.99


@pytest.mark.parametrize("pairs", [[], [Pair(Count(9, 9), Count(12, 12))], [Pair(Count(0, 9), Count(0, 12))]])
def test_where_nothing_can_differ_nothing_is_unlikely(pairs: list[Pair]):
    assert p_of_decline(pairs) == 1.0


def test_of_several_comparisons_only_those_hold_that_hold_together():
    assert holm({"a": 0.001, "b": 0.02, "c": 0.04, "d": 0.9}) == {"a"}
    assert holm({"a": 0.001, "b": 0.01, "c": 0.024, "d": 0.049}) == {"a", "b", "c", "d"}
    assert holm({"only": 0.043}) == {"only"}
    assert holm({}) == frozenset()


def test_a_share_is_weighed_by_what_both_sides_have():
    easy, hard = Pair(Count(90, 100), Count(9, 10)), Pair(Count(1, 10), Count(10, 100))

    one, other = like_for_like([easy, hard])

    assert one.share == pytest.approx(other.share) == pytest.approx(0.5)
    assert one.n < 110
