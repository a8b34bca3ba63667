"""What is expected of each model, from the outcomes of all models on the tasks around."""

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


def expected(texts, success, weight=None, *, asked, models=(WEAK, STRONG), priors=None, complexity=None):
    """success, weight: a row for each text, a column for each model."""
    of_texts = [complexity or [5.0] * len(texts), [float("nan")]]
    near = np.array([(*traits_of(text), c) for text, c in zip(texts, of_texts[0], strict=True)])
    success = np.array(success, dtype=float)
    return expected_successes(
        Outcomes(models, success, np.ones_like(success) if weight is None else np.array(weight, dtype=float)),
        embed(texts),
        embed([asked])[0],
        Traits(near, np.array((*traits_of(asked), 5.0)), FLOOR),
        priors or [PRIOR] * len(models),
    )


def test_nothing_tried_leaves_what_was_expected_before():
    chances = expected(EASY, [[0, 0]] * 10, [[0, 0]] * 10, asked=EASY[0], priors=[Belief(0.4, 1.6), Belief(1.8, 0.2)])

    assert chances == {WEAK: pytest.approx(0.2), STRONG: pytest.approx(0.9)}


def test_a_model_is_expected_to_do_as_it_did_on_tasks_alike():
    success = [[1, 1]] * 10 + [[0, 1]] * 10

    easy = expected([*EASY, *HARD], success, asked="Sort the list of invoices")
    hard = expected([*EASY, *HARD], success, asked="Find the shortest tour through the graph of invoices")

    assert easy[WEAK] - hard[WEAK] > 0.4
    assert hard[STRONG] > 0.8


def test_the_outcomes_of_one_model_tell_of_the_difficulty_for_another():
    success = [[1, 1]] * 10 + [[0, 0]] * 10
    weight = [[1, 0]] * 20
    weight[0] = weight[10] = [1, 1]

    easy = expected([*EASY, *HARD], success, weight, asked="Sort the list of invoices")
    hard = expected([*EASY, *HARD], success, weight, asked="Find the shortest tour through the graph of invoices")

    assert easy[STRONG] - hard[STRONG] > 0.2


def test_a_strong_model_that_only_gets_what_others_failed_is_not_taken_for_a_weak_one():
    """Both solve half of what they tried; one was only given what the other failed."""
    success = [[1, 0]] * 10 + [[0, 1]] * 5 + [[0, 0]] * 5
    weight = [[1, 0]] * 10 + [[1, 1]] * 10

    chances = expected([*EASY, *HARD], success, weight, asked="Sort the list of invoices")

    assert chances[STRONG] > 0.6


def test_what_was_tried_on_this_very_task_counts_for_itself():
    success = [[1, 1]] * 10
    success[0] = [0, 1]

    assert expected(EASY, success, asked=EASY[0])[WEAK] < expected(EASY, success, asked=EASY[1])[WEAK] - 0.3


def test_texts_of_which_nothing_is_kept_are_told_by_their_words_alone():
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
    asked = "Sort the tour of invoices"
    shuffled = np.random.default_rng(1).permutation(20)

    straight = expected(texts, success, asked=asked)
    mixed = expected([texts[n] for n in shuffled], success[shuffled][:, ::-1], asked=asked, models=(STRONG, WEAK))

    assert mixed == pytest.approx(straight, abs=1e-9)


def test_what_befalls_each_model_by_chance_is_not_taken_for_its_bent():
    """Neither model gains on any kind of task: where one fails, the other solves the next that is alike."""
    success = [[1, 0], [0, 1]] * 5
    chances = [
        expected(EASY, success, asked=f"Show how {thing} were sorted before they are stored") for thing in THINGS
    ]

    assert [c[STRONG] for c in chances] == pytest.approx([c[WEAK] for c in chances], abs=0.001)


def test_a_kind_of_task_that_one_of_two_equal_models_solves_is_its_bent():
    success = [[1, 0]] * 10 + [[0, 1]] * 10

    easy = expected([*EASY, *HARD], success, asked="Sort the list of invoices")

    assert easy[WEAK] - easy[STRONG] > 0.1


def test_larger_bounds_than_any_before_are_taken_for_harder():
    texts = [
        f"Count the pairs of {thing}, of which there are at most 10^{power}" for power in (11, 17) for thing in THINGS
    ]
    success = [[1, 1]] * 10 + [[0, 0]] * 10

    small, large = (
        expected(texts, success, asked=f"Count the pairs of invoices, of which there are at most 10^{power}")
        for power in (10, 18)
    )

    assert small[STRONG] - large[STRONG] > 0.1
