"""Comparing outcomes within strata: the exact test, and the correction for several comparisons."""

import itertools

import pytest

from chargehand.evaluation.profiling.statistics import Count
from chargehand.evaluation.profiling.strata import Pair, holm, like_for_like, p_of_decline


def test_the_p_value_of_one_stratum_is_close_to_that_of_published_tests():
    # Fisher's one-sided p is 0.0627, of which the observed table makes up 0.0399; Boschloo's is 0.043.
    assert p_of_decline([Pair(Count(34, 48), Count(17, 33))]) == pytest.approx(0.0427, abs=5e-5)


def test_the_p_value_over_several_strata_equals_the_one_by_full_enumeration():
    strata = [([1, 1, 1, 0], [1, 0, 0]), ([1, 0, 1], [0, 0, 1, 0])]
    pairs = [Pair(Count(sum(one), len(one)), Count(sum(other), len(other))) for one, other in strata]

    # If the sides were alike, every division of a stratum's outcomes between them would be equally likely.
    sums_by_stratum = [
        [sum(hand) for hand in itertools.combinations([*one, *other], len(other))] for one, other in strata
    ]
    sums = [sum(chosen) for chosen in itertools.product(*sums_by_stratum)]
    observed = sum(sum(other) for _, other in strata)
    expected = (sum(s < observed for s in sums) + sum(s == observed for s in sums) / 2) / len(sums)

    assert p_of_decline(pairs) == pytest.approx(expected)


def test_a_rise_has_a_p_value_of_decline_near_1():
    assert p_of_decline([Pair(Count(5, 20), Count(18, 20))]) > 0.99


@pytest.mark.parametrize("pairs", [[], [Pair(Count(9, 9), Count(12, 12))], [Pair(Count(0, 9), Count(0, 12))]])
def test_the_p_value_is_1_where_no_difference_is_possible(pairs: list[Pair]):
    assert p_of_decline(pairs) == 1.0


def test_holms_correction_keeps_only_comparisons_significant_together():
    assert holm({"a": 0.001, "b": 0.02, "c": 0.04, "d": 0.9}) == {"a"}
    assert holm({"a": 0.001, "b": 0.01, "c": 0.024, "d": 0.049}) == {"a", "b", "c", "d"}
    assert holm({"only": 0.043}) == {"only"}
    assert holm({}) == frozenset()


def test_shares_are_weighted_by_the_strata_that_both_sides_have():
    easy, hard = Pair(Count(90, 100), Count(9, 10)), Pair(Count(1, 10), Count(10, 100))

    one, other = like_for_like([easy, hard])

    assert one.share == pytest.approx(other.share) == pytest.approx(0.5)
    assert one.n < 110
