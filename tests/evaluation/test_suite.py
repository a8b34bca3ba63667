"""The project's own tasks: their checks tell right answers from wrong ones, whatever the seed."""

import pytest

from chargehand.evaluation.suite.loading import read_suite
from chargehand.evaluation.suite.prelude import with_prelude
from chargehand.evaluation.suite.proof import prove

pytestmark = pytest.mark.anyio

SEEDS = (1, 4)
SUITES = [read_suite(seed).tasks for seed in SEEDS]
TASKS = [task for suite in SUITES for task in suite]
ONE_OF_EACH = [task[place % len(SEEDS)] for place, task in enumerate(zip(*SUITES, strict=True))]


@pytest.mark.parametrize("task", ONE_OF_EACH, ids=lambda task: task.id)
async def test_a_check_passes_the_reference_and_fails_each_wrong_answer(task):
    proof = await prove(task)

    assert (proof.verdict, proof.faults) == ("proved", ())


@pytest.mark.parametrize("seed", range(20))
def test_every_file_of_the_suite_can_be_used_with_any_seed(seed: int):
    assert read_suite(seed).unusable == ()


def test_a_seed_gives_the_same_tasks_again_and_another_seed_others():
    first, again, other = (read_suite(seed).tasks for seed in (1, 1, 2))

    assert first == again
    assert all(one.prompt != two.prompt for one, two in zip(first, other, strict=True))


def test_no_prompt_gives_its_check_or_its_answer_away():
    assert not [task.id for task in TASKS if task.tests in task.prompt or task.reference in task.prompt]


def test_names_of_a_check_take_no_place_of_names_of_an_answer():
    answer = "def half(n):\n    return n // 2\n\ndef quarter(n):\n    return half(half(n))\n"
    check = "half = quarter(8)\nassert half == 2 and quarter(4) == 1 and refuses(TypeError, quarter, None)\n"
    names: dict[str, object] = {}

    exec(answer + with_prelude(check, "python"), names)

    assert callable(names["half"])


@pytest.mark.parametrize(
    "tests", ["tests/test_one.py\ntest_two.py::test_it", "def test_it():\n    assert half(4) == 2\n"]
)
def test_tests_for_pytest_stay_as_they_are(tests: str):
    assert with_prelude(tests, "python") == tests
