"""Expected success of each model, from the outcomes of all models on similar tasks."""

import numpy as np
import pytest

from chargehand.memory_store.confidence import Belief
from chargehand.memory_store.embedding.lexical import embed
from chargehand.memory_store.tendency import Outcomes, Traits, expected_successes
from chargehand.memory_store.text_traits import FLOOR, traits_of

THINGS = ("dates", "prices", "names", "colours", "ranges", "weights", "coordinates", "versions", "durations", "emails")
EASY = [f"Sort the list of {thing}" for thing in THINGS]
HARD = [f"Find the shortest tour through the graph of {thing} under a budget" for thing in THINGS]
PRIOR = Belief(1.2, 0.8)
WEAK, STRONG = "weak", "strong"


def expected(texts, success, weight=None, *, text, models=(WEAK, STRONG), priors=None, complexity=None):
    """success, weight: a row for each text, a column for each model."""
    of_texts = [complexity or [5.0] * len(texts), [float("nan")]]
    near = np.array([(*traits_of(text), c) for text, c in zip(texts, of_texts[0], strict=True)])
    success = np.array(success, dtype=float)
    return expected_successes(
        Outcomes(models, success, np.ones_like(success) if weight is None else np.array(weight, dtype=float)),
        embed(texts),
        embed([text])[0],
        Traits(near, np.array((*traits_of(text), 5.0)), FLOOR),
        priors or [PRIOR] * len(models),
    )


def test_without_any_attempt_expected_success_equals_the_prior():
    chances = expected(EASY, [[0, 0]] * 10, [[0, 0]] * 10, text=EASY[0], priors=[Belief(0.4, 1.6), Belief(1.8, 0.2)])

    assert chances == {WEAK: pytest.approx(0.2), STRONG: pytest.approx(0.9)}


def test_expected_success_follows_the_models_outcomes_on_similar_tasks():
    success = [[1, 1]] * 10 + [[0, 1]] * 10

    easy = expected([*EASY, *HARD], success, text="Sort the list of invoices")
    hard = expected([*EASY, *HARD], success, text="Find the shortest tour through the graph of invoices")

    assert easy[WEAK] - hard[WEAK] > 0.4
    assert hard[STRONG] > 0.8


def test_outcomes_of_one_model_inform_the_expected_success_of_another():
    success = [[1, 1]] * 10 + [[0, 0]] * 10
    weight = [[1, 0]] * 20
    weight[0] = weight[10] = [1, 1]

    easy = expected([*EASY, *HARD], success, weight, text="Sort the list of invoices")
    hard = expected([*EASY, *HARD], success, weight, text="Find the shortest tour through the graph of invoices")

    assert easy[STRONG] - hard[STRONG] > 0.2


def test_a_strong_model_tried_only_where_others_failed_is_not_rated_weak():
    """Both solve half of the tasks they tried, but the strong one was only given tasks that the weak one failed."""
    success = [[1, 0]] * 10 + [[0, 1]] * 5 + [[0, 0]] * 5
    weight = [[1, 0]] * 10 + [[1, 1]] * 10

    chances = expected([*EASY, *HARD], success, weight, text="Sort the list of invoices")

    assert chances[STRONG] > 0.6


def test_an_outcome_on_the_same_task_weighs_more_than_on_similar_ones():
    success = [[1, 1]] * 10
    success[0] = [0, 1]

    assert expected(EASY, success, text=EASY[0])[WEAK] < expected(EASY, success, text=EASY[1])[WEAK] - 0.3


def test_expected_success_works_without_text_traits():
    unknown = np.full((10, len(FLOOR)), np.nan)
    success = np.array([[1.0, 1.0]] * 10)

    chances = expected_successes(
        Outcomes((WEAK, STRONG), success, np.ones_like(success)),
        embed(EASY),
        embed([EASY[0]])[0],
        Traits(unknown, unknown[0], FLOOR),
        [PRIOR, PRIOR],
    )

    assert all(0.8 < chance <= 0.99 for chance in chances.values())


def test_the_order_of_tasks_and_models_makes_no_difference():
    success = np.array([[1, 1]] * 10 + [[0, 1]] * 10)
    texts = [*EASY, *HARD]
    text = "Sort the tour of invoices"
    shuffled = np.random.default_rng(1).permutation(20)

    in_order = expected(texts, success, text=text)
    in_random_order = expected(
        [texts[n] for n in shuffled], success[shuffled][:, ::-1], text=text, models=(STRONG, WEAK)
    )

    assert in_random_order == pytest.approx(in_order, abs=1e-9)


def test_random_failures_are_not_mistaken_for_a_specialty_of_a_model():
    """Neither model is better at any kind of task: each fails every second one of the similar tasks."""
    success = [[1, 0], [0, 1]] * 5
    chances = [expected(EASY, success, text=f"Show how {thing} were sorted before they are stored") for thing in THINGS]

    assert [c[STRONG] for c in chances] == pytest.approx([c[WEAK] for c in chances], abs=0.001)


def test_a_kind_of_task_that_only_one_of_two_equal_models_solves_raises_its_expected_success():
    success = [[1, 0]] * 10 + [[0, 1]] * 10

    easy = expected([*EASY, *HARD], success, text="Sort the list of invoices")

    assert easy[WEAK] - easy[STRONG] > 0.1


def test_bounds_larger_than_any_seen_before_count_as_harder():
    texts = [
        f"Count the pairs of {thing}, of which there are at most 10^{power}" for power in (11, 17) for thing in THINGS
    ]
    success = [[1, 1]] * 10 + [[0, 0]] * 10

    small, large = (
        expected(texts, success, text=f"Count the pairs of invoices, of which there are at most 10^{power}")
        for power in (10, 18)
    )

    assert small[STRONG] - large[STRONG] > 0.1
