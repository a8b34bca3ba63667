"""The comparison of two models by a trial, and the changes it proposes."""

import datetime as dt
from dataclasses import replace

import pytest
from measurement_rows import measurement

from chargehand.evaluation.comparison import Comparison, compare, mcnemar, proposals_of
from chargehand.memory_store.evaluations import Measurement
from chargehand.profiles.loading import load_catalogue

TODAY = dt.date(2026, 11, 25)
NEW, OLD = "qwen3-30b-a3b", "qwen3.6-35b-a3b"


def rows(model: str, passed: str, **fields: float) -> list[Measurement]:
    """passed: one mark per item: + passed, - failed, . inconclusive."""
    verdicts = {"+": True, "-": False, ".": None}
    return [
        measurement(f"t{number}", model=model, passed=verdicts[mark], **fields) for number, mark in enumerate(passed)
    ]


def compare_marks(
    mine: str, theirs: str, seconds: tuple[float, float] = (1.0, 1.0), usd: tuple[float, float] = (0.0, 0.0)
):
    measurements = rows(NEW, mine, seconds=seconds[0], cost_usd=usd[0])
    measurements += rows(OLD, theirs, seconds=seconds[1], cost_usd=usd[1])
    return compare(measurements, NEW, OLD)


@pytest.mark.parametrize(
    ("one", "other", "p"),
    # Calculated by hand: twice the lower tail of a binomial with probability one half.
    [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 0.0625), (6, 0, 0.03125), (0, 6, 0.03125), (8, 1, 0.0390625), (5, 5, 1.0)],
)
def test_the_p_value_of_mcnemars_exact_test_is_the_two_sided_binomial_tail(one, other, p):
    assert mcnemar(one, other) == pytest.approx(p)


def test_only_items_with_conclusive_results_of_both_models_are_compared():
    comparison = compare_marks("++-.+", "+-++.", seconds=(2.0, 5.0), usd=(0.004, 0.01))

    assert (comparison.n, comparison.passed, comparison.passed_against) == (3, 2, 2)
    assert (comparison.only_model, comparison.only_against) == (1, 1)
    assert comparison.times_faster == 2.5
    assert (comparison.usd_each, comparison.usd_each_against) == pytest.approx((0.004, 0.01))


def test_the_result_in_words_states_its_significance():
    better = compare_marks("+" * 31 + "-" * 9, "+" * 22 + "-" * 18, seconds=(1.0, 2.1), usd=(0.00004, 0.0))
    similar = compare_marks("++-", "+--")

    assert better.in_words() == (
        f"{NEW} passed 31 of 40 where {OLD} passed 22; 2.1 times faster; $0.000040 each where the other took $0.0000."
        " The difference is significant at 5% (p = 0.004)."
    )
    assert "not significant (p = 1.000)" in similar.in_words()


def proposals_by_place(comparison: Comparison, catalogue=None) -> dict[tuple[str, ...], object]:
    catalogue = catalogue or load_catalogue()
    return {(p.profile, *p.place): p.after for p in proposals_of(comparison, catalogue, "e1" * 8, TODAY)}


def test_a_better_model_is_proposed_for_the_other_models_roles_subject_to_consent():
    comparison = compare_marks("+" * 12, "+" * 4 + "-" * 8)
    catalogue = load_catalogue()

    proposals = list(proposals_of(comparison, catalogue, "abcdef" * 4, TODAY))

    places = {(p.profile, *p.place): p.after for p in proposals}
    for role, place in catalogue.profiles[OLD].roles.items():
        assert places[NEW, "roles", role] == place < places[OLD, "roles", role]
    assert all(p.needs_consent and not p.warnings for p in proposals)
    assert {(p.evidence.origin, p.evidence.source, p.evidence.n) for p in proposals} == {
        ("trial", "trial abcdefab", 12)
    }


def test_a_proposal_from_a_small_difference_warns_that_it_may_be_chance():
    proposals = list(proposals_of(compare_marks("+++-", "++--"), load_catalogue(), "e1", TODAY))

    assert proposals
    assert all("chance" in p.warnings[0] for p in proposals)


def test_a_model_that_passed_fewer_items_or_brings_no_advantage_is_not_proposed():
    assert proposals_by_place(compare_marks("+---", "++--", seconds=(1.0, 9.0))) == {}
    assert proposals_by_place(compare_marks("++--", "++--")) == {}
    assert proposals_by_place(compare_marks("....", "++--")) == {}
    assert proposals_by_place(compare_marks("++--", "++--", seconds=(1.0, 2.0)))
    assert proposals_by_place(compare_marks("++--", "++--", usd=(0.0, 0.01)))


def test_a_new_model_that_gets_roles_ends_its_probation():
    catalogue = load_catalogue()
    new = catalogue.profiles[NEW]
    on_probation = new.model_copy(
        update={"lifecycle": new.lifecycle.model_copy(update={"on_probation": True}), "roles": {}}
    )
    catalogue = replace(catalogue, profiles={**catalogue.profiles, NEW: on_probation})

    places = proposals_by_place(compare_marks("+" * 8, "-" * 8), catalogue)

    assert places[NEW, "lifecycle", "on_probation"] is False
    assert places[NEW, "roles", "local"] == catalogue.profiles[OLD].roles["local"]
