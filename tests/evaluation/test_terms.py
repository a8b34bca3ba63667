"""The terms of an evaluation, and the seed of a week."""

import datetime as dt

from chargehand.evaluation.terms import EvaluationTerms, seed_of_week


def test_all_days_of_an_iso_week_share_a_seed_and_the_next_week_has_another():
    monday = dt.date(2026, 11, 23)
    week = {seed_of_week(monday + dt.timedelta(days=day)) for day in range(7)}

    assert week == {202648}
    assert seed_of_week(monday + dt.timedelta(days=7)) == 202649
    assert seed_of_week(dt.date(2027, 1, 1)) == 202653


def test_terms_survive_a_round_trip_through_json():
    terms = EvaluationTerms("own", 7, ("a", "b"), kinds=("repair",), repeat=2, budget_usd=None)

    assert EvaluationTerms.from_json(terms.as_json()) == terms
