"""Running Python tests of an answer in the sandbox."""

import base64
import hashlib
from pathlib import Path

import pytest

from chargehand.tools.checking.import_path import ImportPath
from chargehand.tools.checking.result import CheckResult
from chargehand.tools.checking.running import InPlace, run_project_tests, run_tests
from chargehand.tools.checking.sandbox import Limits, Sandbox, SandboxFailed
from chargehand.tools.checking.verdict import FAILURE_CHARACTERS

pytestmark = pytest.mark.anyio

ADD = "import math\n\ndef add(a, b):\n    return a + b\n\ndef _hidden():\n    return 1\n"
WRONG = "def add(a, b):\n    return a - b\n"


async def test_a_script_runs_after_the_answer_in_the_same_namespace(sandbox: Sandbox):
    result = await run_tests(ADD, "assert add(1, 2) == 3\nassert _hidden() == 1 and math.pi > 3", sandbox)

    assert result == CheckResult("tests", "passed", executed=True, sandbox=sandbox.name, seconds=result.seconds)
    assert result.seconds > 0


async def test_asyncio_and_pytest_are_not_imported_for_a_plain_script(sandbox: Sandbox):
    result = await run_tests(
        ADD, "import sys\nassert 'asyncio' not in sys.modules and 'pytest' not in sys.modules", sandbox
    )

    assert result.outcome == "passed", result.first_failure


async def test_async_tests_use_the_standard_asyncio_although_the_project_has_an_asyncio_py(
    sandbox: Sandbox, tmp_path: Path
):
    (tmp_path / "asyncio.py").write_text("def run(test):\n    test.close()\n")
    (tmp_path / "wrong.py").write_text(WRONG)
    tests = "async def test_a():\n    assert add(1, 2) == 3\n"

    result = await run_tests("", tests, sandbox, in_place=InPlace(tmp_path, ImportPath("wrong", (".",))))

    assert result.outcome == "failed"


async def test_a_failed_assertion_is_reported_with_its_line_and_both_values(sandbox: Sandbox):
    result = await run_tests(WRONG, "\n\nassert add(5, 3) == 8, 'sum'", sandbox)

    assert (result.outcome, result.executed) == ("failed", True)
    assert result.first_failure is not None
    for part in ("tests.py", "line 3", "assert add(5, 3) == 8", "AssertionError: sum\nleft: 2\nright: 8"):
        assert part in result.first_failure


async def test_an_error_in_the_answer_is_reported_with_the_answers_line(sandbox: Sandbox):
    result = await run_tests("def add(a, b):\n    return a.nope\n", "add(1, 2)", sandbox)

    assert result.outcome == "failed"
    assert result.first_failure is not None
    assert 'File "solution.py", line 2, in add\n    return a.nope' in result.first_failure


@pytest.mark.parametrize("answer", ["import nowhere", "1 / 0", "def"], ids=["import", "error", "syntax"])
async def test_tracebacks_do_not_contain_frames_of_the_checker(sandbox: Sandbox, tmp_path, answer: str):
    (tmp_path / "sums.py").write_text(answer)
    project_file = InPlace(tmp_path, ImportPath("sums", (".",)))

    isolated = await run_tests(answer, "assert max(1, 2) == 2", sandbox)
    in_place = await run_tests(answer, "assert max(1, 2) == 2", sandbox, in_place=project_file)

    for result, file in ((isolated, "solution.py"), (in_place, "sums.py")):
        failure = result.first_failure or ""
        frames = [line.strip() for line in failure.splitlines() if line.strip().startswith("File ")]
        assert result.outcome == "failed"
        assert [frame.split(",")[0] for frame in frames] == [f'File "{file}"']


async def test_an_answer_that_does_not_compile_fails(sandbox: Sandbox):
    result = await run_tests("def", "assert max(1, 2) == 2", sandbox)

    assert result.outcome == "failed"
    assert "SyntaxError" in (result.first_failure or "")


async def test_a_main_block_runs_in_the_tests_but_not_in_the_answer(sandbox: Sandbox):
    answer = ADD + "if __name__ == '__main__':\n    raise SystemExit(input())\n"

    passed = await run_tests(answer, "if __name__ == '__main__':\n    assert add(1, 1) == 2", sandbox)
    failed = await run_tests(answer, "if __name__ == '__main__':\n    assert add(1, 1) == 3", sandbox)

    assert (passed.outcome, failed.outcome) == ("passed", "failed")


async def test_dataclasses_and_pickle_work_in_an_answer(sandbox: Sandbox):
    answer = "from dataclasses import dataclass\n@dataclass\nclass Point:\n    x: 'int'\n"

    result = await run_tests(answer, "import pickle\nassert pickle.loads(pickle.dumps(Point(1))) == Point(1)", sandbox)

    assert result.outcome == "passed"


@pytest.mark.parametrize("tests", ["", "# nothing", "def check(add):\n    assert add(1, 2) == 4", "expected = 3"])
async def test_a_script_that_cannot_fail_counts_as_not_run(sandbox: Sandbox, tests):
    result = await run_tests(WRONG, tests, sandbox)

    assert (result.outcome, result.executed) == ("not_run", False)
    assert "nothing was tested" in (result.note or "")


@pytest.mark.parametrize(
    "tests",
    [
        "def test_a():\n    return add(1, 2) == 3",
        "def test_a():\n    total = add(1, 2)\n    return total == 3",
        "class TestA:\n    def test_a(self):\n        assert (add(1, 2) == 3, 'sum')",
        "assert (add(1, 2) == 3, 'sum')",
        "assert slowly(1, 2)",
        "def test_a():\n    assert slowly(1, 2)",
        "async def test_a():\n    assert slowly(1, 2)",
    ],
)
async def test_tests_that_check_nothing_count_as_not_run(sandbox: Sandbox, tests):
    result = await run_tests(WRONG + "\nasync def slowly(a, b):\n    return a - b\n", tests, sandbox)

    assert (result.outcome, result.executed) == ("not_run", False)
    assert "nothing was tested" in (result.note or "")


INEFFECTIVE_LINES = {
    "total = add(1, 2)\nprint(total)\nassert (total == 3, 'sum')": "line 3 asserts a tuple",
    "def test_a():\n    total = add(1, 2)\n    print(total)\n    assert (total == 3, 'sum')": "line 4 asserts a tuple",
    "def test_a():\n    assert add(0, 0) == 0\n    assert (add(1, 2) == 3, 'sum')": "line 3 asserts a tuple",
    "assert lambda: add(1, 2) == 3": "line 1 asserts a function",
    "assert (add(1, 2) == 3 for _ in range(1))": "line 1 asserts a function or generator",
    "assert 'add(1, 2) == 3'": "line 1 asserts a text",
    "print(add(1, 2))\nadd(1, 2) == 3": "line 2 compares",
    "def test_a():\n    add(1, 2) == 3\n    assert add(0, 0) == 0": "line 2 compares",
    "try:\n    assert add(1, 2) == 3\n    print('ok')\nexcept Exception:\n    print('NO')": "line 2 asserts where",
    "def test_a():\n    try:\n        assert add(1, 2) == 3\n    except:\n        pass": "line 3 asserts where",
    "async def main():\n    assert add(1, 2) == 3\n\nmain()": "line 4 calls `async def main`",
    "import doctest\ndoctest.testmod()": "line 2 only prints",
    "from unittest.mock import Mock\ndone = Mock()\ndone(add(1, 2))\ndone.assert_called_with": "line 4 names",
    "import unittest\nclass A(unittest.TestCase):\n    def test_a(self):\n"
    "        self.assertTrue(add(1, 2), 3)": "line 4 gives `assertTrue` a number",
    "assert True": "line 1 asserts what is always true, and nothing else is looked at; assert what the answer gives",
    "total = add(1, 2)\nprint(total)\nassert 1": "line 3 asserts what is always true",
    "assert add(1, 2) == 3 or True": "line 1 asserts what is always true",
    "assert not None and [add]": "line 1 asserts what is always true",
    "def test_a():\n    total = add(1, 2)\n    print(total)\n    assert True": "line 4 asserts what is always true",
    "class TestA:\n    def test_a(self):\n        total = add(1, 2)\n        assert True, total": "line 4 asserts what",
}


@pytest.mark.parametrize(("tests", "message"), INEFFECTIVE_LINES.items(), ids=INEFFECTIVE_LINES.values())
async def test_an_ineffective_assertion_is_reported_and_the_tests_count_as_not_run(
    sandbox: Sandbox, tests: str, message: str
):
    result = await run_tests(WRONG, tests, sandbox)

    assert (result.outcome, result.executed) == ("not_run", False)
    assert (result.note or "").startswith(f"nothing was tested: {message}")


@pytest.mark.parametrize(
    "tests",
    [
        "bad = 0\nfor total in [3]:\n    try:\n        assert add(1, 2) == total\n    except AssertionError:\n"
        "        bad += 1\nprint(bad, 'failed')",
        "from concurrent.futures import ThreadPoolExecutor\ndef work():\n    assert add(1, 2) == 3\n"
        "with ThreadPoolExecutor() as pool:\n    pool.submit(work)",
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'from solution import add; assert add(1, 2) == 3'])",
        "from contextlib import suppress\ndef test_a():\n"
        "    with suppress(AssertionError):\n        assert add(1, 2) == 3",
        "def test_a():\n    def work():\n        assert add(1, 2) == 3",
        "def test_a():\n    pass",
    ],
    ids=["counted", "in a pool", "in a process", "suppressed", "not called", "empty"],
)
async def test_tests_whose_failures_end_nothing_count_as_not_run(sandbox: Sandbox, tests: str):
    result = await run_tests(WRONG, tests, sandbox)

    assert (result.outcome, result.executed) == ("not_run", False)
    assert (result.note or "").startswith("nothing was tested: the tests pass whatever the answer does")


async def test_tests_in_a_project_whose_failures_end_nothing_count_as_not_run(sandbox: Sandbox, tmp_path: Path):
    (tmp_path / "sums.py").write_text(WRONG)
    in_place = InPlace(tmp_path, ImportPath("sums", (".",)), main="sums.py")
    uncalled = "import sums\ndef check():\n    assert sums.add(1, 2) == 3\nprint('done')"
    called = "import sums\ndef check():\n    assert sums.add(5, 3) == 2\ncheck()"

    vacuous, effective = [await run_tests(WRONG, tests, sandbox, in_place=in_place) for tests in (uncalled, called)]

    assert (vacuous.outcome, effective.outcome) == ("not_run", "passed")


async def test_test_files_whose_failures_end_nothing_count_as_not_run(sandbox: Sandbox, tmp_path: Path):
    (tmp_path / "sums.py").write_text(WRONG)
    in_place = InPlace(tmp_path, ImportPath("sums", (".",)), main="sums.py", written=("sums.py",))
    loop = "import sums\ndef test_add():\n    for first, result in {}:\n        assert sums.add(first, 3) == result\n"
    (tmp_path / "test_nothing.py").write_text(loop.format("()"))
    (tmp_path / "test_pairs.py").write_text(loop.format("[(5, 2)]"))

    vacuous, effective = [
        await run_project_tests(WRONG, [file], tmp_path, sandbox, in_place=in_place)
        for file in ("test_nothing.py::test_add", "test_pairs.py")
    ]

    assert (vacuous.outcome, effective.outcome) == ("not_run", "passed")


@pytest.mark.parametrize(
    "tests",
    [
        "print('ok' if add(1, 2) == 3 else 'WRONG')",
        "def show(ok):\n    print('ok' if ok else 'WRONG')\nshow(add(1, 2) == 3)",
        "def test_a():\n    add(1, 2) == 3 and add(0, 0) == 0",
        "import math\nmath.isclose(add(1, 2), 3)",
    ],
)
async def test_tests_that_only_tell_a_reader_count_as_not_run(sandbox: Sandbox, tests: str):
    result = await run_tests(WRONG, tests, sandbox)

    assert (result.outcome, result.executed) == ("not_run", False)
    assert "only print or compare what the answer gives" in (result.note or "")


@pytest.mark.parametrize(
    "tests",
    [
        "import pytest\nwith pytest.raises(TypeError):\n    add('a', 1) == 3\nassert add(1, 2) == 3",
        "try:\n    add('a', 1)\n    raise AssertionError\nexcept TypeError:\n    pass\nassert add(1, 2) == 3",
        "ok = False\ntry:\n    assert add(1, 2) == 3\n    ok = True\nexcept AssertionError:\n    pass\nassert ok",
        "for _ in range(3):\n    try:\n        assert add(1, 2) == 3\n        break\n    except AssertionError:\n"
        "        pass\nelse:\n    raise AssertionError",
        "bad = []\ntry:\n    assert add(1, 2) == 3\nexcept AssertionError as e:\n    bad.append(e)\nassert not bad",
        "try:\n    assert add(1, 2) == 3\nexcept AssertionError:\n    print('FAILED')\n    raise",
        "import asyncio\nasync def main():\n    assert add(1, 2) == 3\nasyncio.run(main())",
        "import doctest\nassert add(1, 2) == 3 and doctest.testmod().failed == 0",
        "import unittest\nclass A(unittest.TestCase):\n    def test_a(self):\n"
        "        self.assertTrue(add(1, 2) == 3, 'sum')",
        "assert () == () and add(1, 2) == 3",
        "assert True\nassert add(1, 2) == 3",
        "def test_a():\n    check(3)\n    assert True\n\ndef check(sum):\n    assert add(1, 2) == sum",
        "def test_a():\n    if add(1, 2) != 3:\n        raise ValueError\n    assert True",
        "total = add(1, 2)\nassert [*(total,)] == [3]\nassert True",
        "def test_a():\n    assert True\n\ndef test_b():\n    assert add(1, 2) == 3",
        "try:\n    [1, 2][add(1, 2) - 2]\nexcept IndexError:\n    assert False\nassert True",
        "for total in [3]:\n    assert add(1, 2) == total\n    print('ok')",
        "def main():\n    assert add(1, 2) == 3\n    print('ok')\nmain()",
        "def test_a():\n    match add(1, 2):\n        case 3: print('ok')\n        case _: raise ValueError",
    ],
)
async def test_tests_that_only_look_ineffective_are_run(sandbox: Sandbox, tests: str):
    assert (await run_tests(ADD, tests, sandbox)).outcome == "passed"
    assert (await run_tests(WRONG, tests, sandbox)).outcome == "failed"


@pytest.mark.parametrize(
    "tests",
    [
        "def test_a():\n    assert add(1, 2) == 3\n    return True",
        "def test_a():\n    check(3)\n    return True\n\ndef check(sum):\n    assert add(1, 2) == sum",
        "def test_a():\n    return add(1, 2) == 3\n\ndef test_b():\n    assert add(1, 2) == 3",
        "import asyncio\nassert asyncio.run(slowly(1, 2))",
    ],
)
async def test_tests_that_return_a_value_but_also_assert_are_run(sandbox: Sandbox, tests):
    slowly = "\nasync def slowly(a, b):\n    return add(a, b) == 3\n"
    right = await run_tests(ADD + slowly, tests, sandbox)
    wrong = await run_tests(WRONG + slowly, tests, sandbox)

    assert (right.outcome, wrong.outcome) == ("passed", "failed")


@pytest.mark.parametrize("tests", ["assert (", "def test_a(:\n    pass", "a = '\ud800'\nassert a", "assert 1\0"])
async def test_tests_that_are_invalid_python_count_as_not_run(sandbox: Sandbox, tests):
    result = await run_tests(ADD, tests, sandbox)

    assert result.outcome == "not_run"
    assert "the tests themselves cannot be run" in (result.note or "")


async def test_pytest_tests_are_counted_and_can_use_public_names_and_the_solution_module(sandbox: Sandbox):
    tests = (
        '"""Docstring."""\n'
        "from __future__ import annotations\n"
        "import pytest\n"
        "import solution\n\n"
        "def test_name():\n    assert add(1, 2) == 3 and math.pi > 3\n"
        "def test_module():\n    assert solution._hidden() == 1\n"
        "@pytest.mark.parametrize('value', [1, 2])\n"
        "def test_each(value, tmp_path):\n    assert add(value, 0) == value\n"
        "class TestAsync:\n    async def test_awaits(self):\n        assert add(0, 0) == 0\n"
    )

    result = await run_tests(ADD, tests, sandbox)

    assert (result.outcome, result.executed) == ("passed", True)
    assert (result.tests_passed, result.tests_total) == (5, 5)


@pytest.mark.parametrize(
    "tests",
    [
        "def test1():\n    assert add(1, 2) == 3\n\n\ndef test2():\n    assert add({wrong}, 2) == 2\n",
        "import unittest\nclass Adding(unittest.TestCase):\n    def test_2(self):\n        assert add({wrong}, 2) == 2",
        "import pytest\nshared = add(0, 0)\n\ndef test1():\n    assert add({wrong}, 2) == 2\n",
        "def test():\n    assert add({wrong}, 2) == 2\n\ntest()\n",
        "import pytest\nwith pytest.raises(TypeError):\n    add('a', 1)\nassert add({wrong}, 2) == 2\n",
        "assert add({wrong}, 2) == 2 and True\n",
    ],
    ids=["numbered", "another class", "imports pytest", "calls itself", "a script with pytest", "half a truism"],
)
async def test_tests_in_any_form_that_pytest_or_python_accepts_are_run(sandbox: Sandbox, tests: str):
    right = await run_tests(ADD, tests.format(wrong=0), sandbox)
    wrong = await run_tests(ADD, tests.format(wrong=1), sandbox)

    assert (right.outcome, right.executed) == ("passed", True)
    assert (wrong.outcome, wrong.executed) == ("failed", True)


@pytest.mark.parametrize(
    "tests",
    [
        "import sys\nok = add(1, 2) == 3\nsys.exit(0 if ok else 1)",
        "exit(int(add(1, 2) != 3))",
        "if add(1, 2) != 3:\n    raise SystemExit(1)",
        "import sys\ndef main():\n    sys.exit(0 if add(1, 2) == 3 else 'wrong sum')\nmain()",
    ],
)
async def test_tests_that_exit_pass_only_with_exit_code_0(sandbox: Sandbox, tests):
    right = await run_tests(ADD, tests, sandbox)
    wrong = await run_tests(WRONG, tests, sandbox)

    assert (right.outcome, wrong.outcome) == ("passed", "failed")
    assert "the tests exited with code" in (wrong.first_failure or "")


@pytest.mark.parametrize(
    ("answer", "tests"),
    [
        ("from sys import exit as add", "assert add(0) == 3"),
        ("def add(a, b):\n    exit(0)", "import sys\nsys.exit(0 if add(1, 2) == 3 else 1)"),
        ("def add(a, b):\n    a()", "import sys\nadd(lambda: sys.exit(0), 1)\nassert False"),
        ("import sys\nsys.exit(0)", "import sys\nsys.exit(0)"),
    ],
)
async def test_an_answer_that_exits_fails(sandbox: Sandbox, answer, tests):
    assert (await run_tests(answer, tests, sandbox)).outcome == "failed"


async def test_an_exit_code_that_only_claims_to_equal_0_fails(sandbox: Sandbox):
    claims = "class Zero:\n    def __eq__(self, other): return True\ndef add(a, b): return Zero()\n"
    right, wrong = [await run_tests(answer, "exit(add(1, -1))", sandbox) for answer in (ADD, claims)]

    assert (right.outcome, wrong.outcome) == ("passed", "failed")


async def test_a_missing_fixture_counts_as_not_run_unless_another_test_fails(sandbox: Sandbox):
    tests = "def test_a(mocker):\n    assert add(1, 2) == 3\n"
    beside_one_that_fails = tests + "def test_b():\n    assert add(1, 2) == 3\n"

    result = await run_tests(ADD, tests, sandbox)

    assert result.outcome == "not_run"
    assert "fixture 'mocker' not found" in (result.note or "")
    assert "`[sandbox] python` in config.toml" in (result.note or "")
    assert (await run_tests(WRONG, beside_one_that_fails, sandbox)).outcome == "failed"


async def test_a_deadline_that_hypothesis_saw_exceeded_only_once_counts_as_not_run(sandbox: Sandbox):
    tests = (
        "class DeadlineExceeded(Exception): ...\nclass FlakyFailure(ExceptionGroup): ...\n"
        "def test_it():\n    assert add(1, 2) == 3\n    raise FlakyFailure('', [{raised}()])\n"
    )
    right = "def add(a, b):\n    return a + b\n"

    slow_once = await run_tests(right, tests.format(raised="DeadlineExceeded"), sandbox)
    wrong_once = await run_tests(right, tests.format(raised="AssertionError"), sandbox)

    assert (slow_once.outcome, wrong_once.outcome) == ("not_run", "failed")
    assert "set `deadline=None`" in (slow_once.note or "")


@pytest.mark.parametrize(("answer", "outcome"), [("a + b", "passed"), ("a - b", "failed")])
async def test_a_test_case_that_hypothesis_makes_of_a_state_machine_is_run(sandbox: Sandbox, answer: str, outcome: str):
    tests = (
        "import types, unittest\n"
        "methods = {'runTest': lambda self: self.assertEqual(add(1, 2), 3)}\n"
        "Machine = types.SimpleNamespace(TestCase=type('Case', (unittest.TestCase,), methods))\n"
        "TestMachine = Machine.TestCase\n"
    )

    result = await run_tests(f"def add(a, b):\n    return {answer}\n", tests, sandbox)

    assert result.outcome == outcome


async def test_an_async_fixture_counts_as_not_run(sandbox: Sandbox):
    tests = "import pytest\n@pytest.fixture\nasync def one():\n    pass\ndef test_a(one):\n    assert add(1, 2) == 3"

    result = await run_tests(ADD, tests, sandbox)

    assert result.outcome == "not_run"
    assert "fixture 'one' is `async`, for which there is no plugin; make it a plain function" in (result.note or "")


async def test_an_expected_failure_passes_only_with_the_expected_error(sandbox: Sandbox):
    tests = (
        "import pytest\n\ndef test_a():\n    assert half(4) == 2\n\n"
        "@pytest.mark.xfail(raises={})\ndef test_b():\n    half(3)\n"
    )
    answer = "def half(n):\n    if n % 2:\n        raise NotImplementedError\n    return n // 2\n"

    expected = await run_tests(answer, tests.format("NotImplementedError"), sandbox)
    another = await run_tests(answer, tests.format("KeyError"), sandbox)

    assert (expected.outcome, expected.tests_passed, expected.tests_total) == ("passed", 1, 2)
    assert another.outcome == "failed"


@pytest.mark.parametrize("end", ["unittest.main()", "unittest.main(argv=['tests'], exit=False)", "main(verbosity=2)"])
async def test_unittest_classes_followed_by_unittest_main_are_run(sandbox: Sandbox, end: str):
    tests = (
        "import unittest\nfrom unittest import main\n\nclass TestAdd(unittest.TestCase):\n"
        f"    def test_add(self):\n        self.assertEqual(add(5, 3), 8)\n\n{end}\n"
    )

    right, wrong = await run_tests(ADD, tests, sandbox), await run_tests(WRONG, tests, sandbox)

    assert (right.outcome, right.tests_passed) == ("passed", 1)
    assert (wrong.outcome, wrong.tests_total) == ("failed", 1)


SUBPROCESS_TESTS = (
    "import subprocess, sys\n"
    "command = [sys.executable, '-c', 'from solution import add; print(add(5, 3))']\n"
    "assert subprocess.run(command, capture_output=True, text=True).stdout == '8\\n'\n"
)
SPAWN_TESTS = (
    "import multiprocessing\n"
    "with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
    "    assert pool.starmap(add, [(5, 3)]) == [8]\n"
)


@pytest.mark.parametrize("tests", [SUBPROCESS_TESTS, SPAWN_TESTS])
async def test_processes_started_by_the_tests_can_import_the_answer(sandbox: Sandbox, tests: str):
    as_a_module = "def test_it():\n    " + tests.replace("\n", "\n    ")

    for form in (tests, as_a_module):
        assert (await run_tests(ADD, form, sandbox, Limits(wall_s=10))).outcome == "passed"
        assert (await run_tests(WRONG, form, sandbox, Limits(wall_s=10))).outcome == "failed"


async def test_programs_beside_the_python_of_the_tests_are_found_by_name(sandbox: Sandbox):
    tests = "import os, shutil, sys\nassert shutil.which(os.path.basename(sys.executable)) == sys.executable"

    result = await run_tests(ADD, tests, sandbox)

    assert (result.outcome, result.first_failure) == ("passed", None)


async def test_a_script_and_an_answer_know_their_file(sandbox: Sandbox):
    answer = "from pathlib import Path\nHERE = Path(__file__).parent\nclass Known: pass\n"
    tests = "import inspect, os\nassert os.path.dirname(__file__) == str(HERE) and inspect.getsource(Known)"

    result = await run_tests(answer, tests, sandbox)

    assert (result.outcome, result.first_failure) == ("passed", None)


async def test_a_failing_pytest_test_is_reported_with_its_original_line_number(sandbox: Sandbox):
    tests = "def test_good():\n    assert add(0, 0) == 0\n\n\ndef test_bad():\n    assert add(5, 3) == 8\n"

    result = await run_tests(WRONG, tests, sandbox)

    assert (result.outcome, result.tests_passed, result.tests_total) == ("failed", 1, 2)
    assert result.first_failure is not None
    assert result.first_failure.startswith("test_solution.py::test_bad\ntest_solution.py:6: in test_bad")
    assert "assert 2 == 8" in result.first_failure


async def test_unittest_classes_are_run(sandbox: Sandbox):
    tests = "import unittest\nclass TestAdd(unittest.TestCase):\n    def test_add(self):\n"
    tests += "        self.assertEqual(add(1, 1), 2)\n"

    assert (await run_tests(ADD, tests, sandbox)).outcome == "passed"
    assert (await run_tests(WRONG, tests, sandbox)).outcome == "failed"


@pytest.mark.parametrize(
    "tests",
    [
        "class TestNothing:\n    pass",
        "import pytest\n@pytest.mark.skip\ndef test_skipped():\n    assert False",
        "import pytest\n@pytest.mark.xfail\ndef test_expected_to_fail():\n    assert False",
    ],
)
async def test_tests_of_which_none_ran_count_as_not_run(sandbox: Sandbox, tests):
    result = await run_tests(ADD, tests, sandbox)

    assert (result.outcome, result.executed) == ("not_run", False)


OWN_TESTS = (
    ADD + "import unittest\n"
    "def test_own():\n    assert {0}\n"
    "class TestOwn:\n    def test_method(self):\n        assert {0}\n"
    "class OwnCase(unittest.TestCase):\n    def test_case(self):\n        assert {0}\n"
)


async def test_tests_in_the_answer_do_not_count(sandbox: Sandbox):
    tests = "def test_add():\n    assert add(1, 2) == 3\n"

    passed = await run_tests(OWN_TESTS.format(False), tests, sandbox)
    without_tests = await run_tests(OWN_TESTS.format(True), "class TestNothing:\n    pass\n", sandbox)

    assert (passed.outcome, passed.tests_passed, passed.tests_total) == ("passed", 1, 1)
    assert without_tests.outcome == "not_run"


async def test_an_answer_may_define_a_function_whose_name_starts_with_test(sandbox: Sandbox):
    result = await run_tests("def test_prime(n): return n == 2", "def test_it():\n    assert test_prime(2)", sandbox)

    assert (result.outcome, result.tests_total) == ("passed", 1)


async def test_a_failing_teardown_makes_the_test_fail(sandbox: Sandbox):
    tests = (
        "import pytest\n@pytest.fixture\ndef resource():\n    yield\n    assert False\ndef test_it(resource):\n    pass"
    )

    result = await run_tests(ADD, tests, sandbox)

    assert (result.outcome, result.tests_passed, result.tests_total) == ("failed", 0, 1)


async def test_an_answer_that_imports_a_missing_package_fails_with_a_note_about_the_sandbox(sandbox: Sandbox):
    for tests in ("assert max(1, 2) == 2", "def test_it():\n    assert max(1, 2) == 2"):
        result = await run_tests("import numpy.linalg\n", tests, sandbox)

        assert result.outcome == "failed"
        assert result.note == (
            "the sandbox has Python's standard library and pytest only; module numpy is missing;"
            " `[sandbox] python` in config.toml can name a Python whose packages it should have"
        )
        assert "ModuleNotFoundError" in (result.first_failure or "")


async def test_tests_that_import_a_missing_package_count_as_not_run(sandbox: Sandbox):
    for tests in ("import numpy\nassert max(1, 2) == 2", "import os, numpy\ndef test_it():\n    assert max(1, 2) == 2"):
        result = await run_tests(ADD, tests, sandbox)

        assert (result.outcome, result.executed) == ("not_run", False)
        assert "module numpy is missing" in (result.note or "")


async def test_a_failure_is_truncated_and_contains_no_host_paths_or_hidden_characters(sandbox: Sandbox):
    answer = "def add(a, b):\n    raise ValueError('\\x1b[31m' + 'x' * 50_000 + '\\u202eend')\n"

    for tests in ("add(1, 2)", "def test_add():\n    add(1, 2)"):
        failure = (await run_tests(answer, tests, sandbox)).first_failure or ""

        assert len(failure) <= FAILURE_CHARACTERS
        assert failure.endswith("end")
        assert not any(part in failure for part in ("/work", "/checker", "/tmp", "\x1b", "\u202e"))


@pytest.mark.parametrize(
    ("before", "after"), [(1_200, 1_200), (12_000, 50_000), (50_000, 1_200), (0, 14_000), (20_000, 24_000)]
)
async def test_a_truncated_failure_contains_no_part_of_a_private_key(sandbox: Sandbox, before: int, after: int):
    leak = """import base64, hashlib
def leak():
    lines = [base64.b64encode(hashlib.sha384(bytes([n])).digest()).decode() for n in range(50)]
    begins, ends = ("-----%s PRIVATE KEY-----" % word for word in ("BEGIN", "END"))
    raise ValueError("\\n".join([BEFORE, begins, *lines, ends, AFTER]))
"""
    answer = f"BEFORE, AFTER = '. ' * {before // 2}, '. ' * {after // 2}\n{leak}"
    lines = [base64.b64encode(hashlib.sha384(bytes([number])).digest()).decode() for number in range(50)]

    for tests in ("leak()", "def test_leak():\n    leak()"):
        failure = (await run_tests(answer, tests, sandbox)).first_failure or ""
        assert ". . ." in failure
        assert [line for line in lines if line in failure] == []


async def test_endless_recursion_fails_with_a_recursion_error(sandbox: Sandbox):
    result = await run_tests("def add(a, b):\n    return add(a, b)\n", "assert add(1, 2) == 3", sandbox)

    assert "RecursionError" in (result.first_failure or "")


async def test_an_endless_loop_fails_with_the_time_limit_and_the_last_output(sandbox: Sandbox):
    result = await run_tests(
        "print('begun', flush=True)\nwhile True: pass", "assert max(1, 2) == 2", sandbox, Limits(wall_s=1)
    )

    assert (result.outcome, result.executed) == ("failed", True)
    assert result.first_failure == "the tests did not finish within 1 s\nthe last it printed:\nbegun"
    assert "[checks.NAME] with a `timeout_s`" in (result.note or "")


IN_A_THREAD = """import threading
def test_add():
    def work():
        assert add(1, 2) == 3
    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
"""
in_a_thread = pytest.mark.parametrize(
    "tests", [IN_A_THREAD, f"{IN_A_THREAD.replace('test_', 'check_')}check_add()"], ids=["module", "script"]
)


@in_a_thread
async def test_a_failing_assertion_in_a_thread_fails_the_answer(sandbox: Sandbox, tests: str):
    right, wrong = await run_tests(ADD, tests, sandbox), await run_tests(WRONG, tests, sandbox)

    assert (right.outcome, wrong.outcome) == ("passed", "failed")
    assert "AssertionError" in (wrong.first_failure or "")


@in_a_thread
async def test_an_error_in_a_thread_of_the_answer_does_not_fail_it(sandbox: Sandbox, tests: str):
    answer = "import threading\ndef fail(): assert 0\n"
    answer += "def add(a, b):\n    t = threading.Thread(target=fail)\n    t.start()\n    t.join()\n    return a + b\n"

    assert (await run_tests(answer, tests, sandbox)).outcome == "passed"


IN_A_TASK = """import asyncio
async def test_add():
    async def work():
        assert add(1, 2) == 3
    asyncio.create_task(work())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
"""


@pytest.mark.parametrize(
    "tests",
    [IN_A_TASK, f"{IN_A_TASK.replace('test_', 'check_')}asyncio.run(check_add())"],
    ids=["module", "script"],
)
async def test_a_failing_assertion_in_a_task_that_nobody_awaits_fails_the_answer(sandbox: Sandbox, tests: str):
    right, wrong = await run_tests(ADD, tests, sandbox), await run_tests(WRONG, tests, sandbox)

    assert (right.outcome, wrong.outcome, bool(wrong.tests_passed)) == ("passed", "failed", False)
    assert "AssertionError" in (wrong.first_failure or "")


async def test_a_failing_sandbox_counts_as_not_run():
    class Broken:
        name = "broken"
        python = ("python",)

        async def run(self, _: object):
            raise SandboxFailed("no namespaces here")

    result = await run_tests(ADD, "assert max(1, 2) == 2", Broken())

    assert (result.outcome, result.note) == ("not_run", "the tests were not run: no namespaces here")


@pytest.fixture
def project(tmp_path):
    """A project with its code in `src`, a fixture in conftest.py, and two tests."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "shapes.py").write_text("def area(side):\n    return side * side\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "conftest.py").write_text("import pytest\n@pytest.fixture\ndef side():\n    return 3\n")
    (tmp_path / "tests" / "test_shapes.py").write_text(
        "from shapes import area\nimport solution\n"
        "def test_area(side):\n    assert area(side) == solution.EXPECTED\n"
        "def test_writes():\n    open('made.txt', 'w').write('x')\n"
    )
    return tmp_path


async def test_test_files_of_a_project_run_in_the_copy_with_the_answer_as_solution(sandbox: Sandbox, project):
    result = await run_project_tests("EXPECTED = 9\n", ["tests/test_shapes.py"], project, sandbox)

    assert (result.outcome, result.tests_passed, result.tests_total) == ("passed", 2, 2)
    assert not (project / "made.txt").exists()


async def test_a_single_test_of_a_project_can_be_run(sandbox: Sandbox, project):
    result = await run_project_tests("EXPECTED = 10\n", ["tests/test_shapes.py::test_area"], project, sandbox)

    assert (result.outcome, result.tests_passed, result.tests_total) == ("failed", 0, 1)
    assert (result.first_failure or "").startswith("tests/test_shapes.py::test_area")


async def test_pytest_options_for_missing_plugins_are_ignored(sandbox: Sandbox, project):
    (project / "pytest.ini").write_text("[pytest]\naddopts = --cov=shapes\n")

    result = await run_project_tests("EXPECTED = 9\n", ["tests/test_shapes.py"], project, sandbox)

    assert result.outcome == "passed"


@pytest.mark.parametrize(
    "settings",
    [
        "addopts = --strict-config\ncache_dir = .cache/pytest",
        "addopts = --strict-config\nasyncio_mode = auto",
        "filterwarnings = error\nasyncio_mode = auto",
        "strict_config = true\nasyncio_mode = auto",
        "strict = true\nasyncio_mode = auto",
    ],
)
async def test_pytest_settings_for_missing_plugins_do_not_fail_an_answer(sandbox: Sandbox, project, settings: str):
    (project / "pytest.ini").write_text(f"[pytest]\n{settings}\n")

    result = await run_project_tests("EXPECTED = 9\n", ["tests/test_shapes.py::test_area"], project, sandbox)

    assert (result.outcome, result.first_failure) == ("passed", None)


@pytest.mark.parametrize(
    "settings", ["strict = true", "strict_markers = true", "addopts = --strict-markers", "filterwarnings = error"]
)
async def test_unknown_marks_do_not_fail_an_answer(sandbox: Sandbox, project, settings: str):
    (project / "pytest.ini").write_text(f"[pytest]\n{settings}\n")
    tests = project / "tests" / "test_shapes.py"
    tests.write_text("import pytest\n" + tests.read_text().replace("def test_area", "@pytest.mark.slow\ndef test_area"))

    result = await run_project_tests("EXPECTED = 9\n", ["tests/test_shapes.py::test_area"], project, sandbox)

    assert (result.outcome, result.first_failure) == ("passed", None)


async def test_a_plugin_that_crashes_before_the_first_test_counts_as_not_run(sandbox: Sandbox, project):
    (project / "conftest.py").write_text("def pytest_collection_finish():\n    raise RuntimeError('no display')\n")

    result = await run_project_tests("EXPECTED = 9\n", ["tests/test_shapes.py"], project, sandbox)

    assert result.outcome == "not_run"
    assert "RuntimeError: no display" in (result.note or "")


@pytest.mark.parametrize("answer", ["size = no_such_name\n", "sides = 3\n"])
@pytest.mark.parametrize("selector", ["", "::test_area"])
async def test_an_answer_that_a_conftest_cannot_import_fails(sandbox: Sandbox, project, answer: str, selector: str):
    (project / "src" / "sizes.py").write_text(answer)
    (project / "tests" / "conftest.py").write_text("import pytest\nfrom sizes import size\n")
    in_place = InPlace(project, ImportPath("sizes", ("src",)), ("sizes",))

    result = await run_project_tests("", [f"tests/test_shapes.py{selector}"], project, sandbox, in_place=in_place)

    assert result.outcome == "failed"
    assert "size" in (result.first_failure or "")


@pytest.mark.parametrize("answer", ["size = no_such_name\n", "sides = 3\n"])
async def test_an_answer_that_a_single_test_cannot_import_fails(sandbox: Sandbox, project, answer: str):
    (project / "src" / "sizes.py").write_text(answer)
    (project / "tests" / "test_sizes.py").write_text("from sizes import size\ndef test_size():\n    assert size == 3\n")
    in_place = InPlace(project, ImportPath("sizes", ("src",)), ("sizes",))

    result = await run_project_tests("", ["tests/test_sizes.py::test_size"], project, sandbox, in_place=in_place)

    assert result.outcome == "failed"
    assert "size" in (result.first_failure or "")


async def test_a_conftest_that_fails_by_itself_counts_as_not_run(sandbox: Sandbox, project):
    (project / "tests" / "conftest.py").write_text("raise RuntimeError('no display')\n")

    result = await run_project_tests("EXPECTED = 9\n", ["tests/test_shapes.py"], project, sandbox)

    assert result.outcome == "not_run"
    assert "RuntimeError: no display" in (result.note or "")


async def test_a_conftest_that_needs_a_missing_package_names_the_setting_that_adds_it(sandbox: Sandbox, project):
    (project / "tests" / "conftest.py").write_text("import no_such_package\n")

    result = await run_project_tests("EXPECTED = 9\n", ["tests/test_shapes.py"], project, sandbox)

    assert result.outcome == "not_run"
    assert "`[sandbox] python` in config.toml" in (result.note or "")
    assert "No module named 'no_such_package'" in (result.note or "")


async def test_an_answer_is_not_blamed_for_a_package_that_it_and_a_conftest_need(sandbox: Sandbox, project):
    (project / "src" / "sizes.py").write_text("import no_such_package\nsize = 3\n")
    (project / "tests" / "conftest.py").write_text("import sizes\n")
    in_place = InPlace(project, ImportPath("sizes", ("src",)), ("sizes",))

    result = await run_project_tests("", ["tests/test_shapes.py"], project, sandbox, in_place=in_place)

    assert result.missing_module == "no_such_package"
    assert "`[sandbox] python` in config.toml" in (result.note or "")


async def test_tests_that_neither_import_nor_read_the_answer_count_as_not_run(sandbox: Sandbox, project):
    (project / "src" / "sizes.py").write_text("size = 3\n")
    in_place = InPlace(project, ImportPath("sizes", ("src",)), ("sizes",), written=("src/sizes.py",))
    tests = {
        "imports": "def test_it():\n    import sizes\n",
        "reads": "def test_it():\n    assert open('src/sizes.py').read()\n",
        "starts": "import subprocess\ndef test_it():\n    subprocess.run(['true'], check=True)\n",
        "neither": "def test_it():\n    assert [1]\n    open('src/shapes.py').close()\n",
    }
    outcomes = {}
    for name, text in tests.items():
        (project / "tests" / f"test_{name}.py").write_text(text)
        result = await run_project_tests("", [f"tests/test_{name}.py"], project, sandbox, in_place=in_place)
        outcomes[name] = result.outcome, result.note
    alone = await run_project_tests("size = 3\n", ["tests/test_neither.py"], project, sandbox)

    assert [outcomes[name][0] for name in ("imports", "reads", "starts")] == ["passed"] * 3
    assert outcomes["neither"] == ("not_run", "nothing was tested: no test imports or reads sizes.py")
    assert alone.note == "nothing was tested: no test imports or reads solution.py"


async def test_a_missing_test_file_counts_as_not_run(sandbox: Sandbox, project):
    result = await run_project_tests("", ["tests/test_missing.py"], project, sandbox)

    assert result.outcome == "not_run"
    assert "test_missing.py" in (result.note or "")
