"""The verdict on a model after a few small tasks."""

import pytest
from measurement_rows import measurement
from suite_rows import item

from chargehand.evaluation.figures import Rate
from chargehand.evaluation.quick_trial import small_tasks, trial_of, word_for


def test_small_tasks_are_the_easiest_of_each_kind_in_turn():
    tasks = [
        item("hard@1", complexity=9.0),
        item("b@1", complexity=2.0),
        item("a@1", complexity=1.0),
        item("c@1", complexity=3.0, kind="repair"),
        item("d@1", complexity=4.0, kind="tests"),
    ]

    assert [task.id for task in small_tasks(tasks)] == ["a@1", "c@1", "d@1", "b@1"]
    assert [task.id for task in small_tasks(tasks, at_most=2)] == ["a@1", "c@1"]


@pytest.mark.parametrize(
    ("of_kind", "of_all", "word"),
    [
        (Rate(2, 2), Rate(18, 20), "trust"),
        (Rate(1, 2), Rate(18, 20), "check"),
        (Rate(0, 2), Rate(18, 20), "do not use"),
        (Rate(2, 2), Rate(8, 20), "check"),
        (Rate(1, 2), Rate(4, 20), "do not use"),
        (Rate(1, 1), Rate(1, 1), "check"),
        (Rate(9, 10), Rate(90, 100), "check"),
    ],
)
def test_a_kind_is_judged_by_its_own_rate_and_the_models_overall_rate(of_kind: Rate, of_all: Rate, word: str):
    assert word_for(of_kind, of_all) == word


def test_inconclusive_measurements_are_left_out_of_a_trial():
    inconclusive = measurement("b", passed=None, outcome="cancelled", seconds=100.0)

    assert trial_of([inconclusive]) is None
    trial = trial_of([measurement("a", seconds=2.0), measurement("c", seconds=4.0), inconclusive])
    assert trial is not None
    assert (trial.figures.all, trial.seconds_per_task) == (Rate(2, 2), 3.0)
