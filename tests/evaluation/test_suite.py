"""The project's own tasks: their checks distinguish right answers from wrong ones with any seed."""

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
def test_every_file_of_the_suite_is_usable_with_any_seed(seed: int):
    assert read_suite(seed).unusable == ()


def test_a_seed_always_gives_the_same_tasks_and_another_seed_gives_other_prompts():
    first, repeated, other = (read_suite(seed).tasks for seed in (1, 1, 2))

    assert first == repeated
    assert all(one.prompt != two.prompt for one, two in zip(first, other, strict=True))


def test_no_prompt_contains_its_check_or_its_reference_answer():
    assert not [task.id for task in TASKS if task.tests in task.prompt or task.reference in task.prompt]


def test_names_in_a_check_do_not_overwrite_names_in_the_answer():
    answer = "def half(n):\n    return n // 2\n\ndef quarter(n):\n    return half(half(n))\n"
    check = "half = quarter(8)\nassert half == 2 and quarter(4) == 1 and refuses(TypeError, quarter, None)\n"
    names: dict[str, object] = {}

    exec(answer + with_prelude(check, "python"), names)

    assert callable(names["half"])


@pytest.mark.parametrize(
    "tests", ["tests/test_one.py\ntest_two.py::test_it", "def test_it():\n    assert half(4) == 2\n"]
)
def test_pytest_tests_get_no_prelude(tests: str):
    assert with_prelude(tests, "python") == tests
