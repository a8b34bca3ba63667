"""Answers that try to pass without being right."""

import pytest

from chargehand.tools.checking.running import run_tests
from chargehand.tools.checking.sandbox import Limits, Sandbox, SandboxRun
from chargehand.tools.checking.verdict import Runner, interpret_run

pytestmark = pytest.mark.anyio

SCRIPT = "assert add(1, 2) == 3"
MODULE = "def test_add():\n    assert add(1, 2) == 3\n"

LIMITS = Limits(wall_s=40, cpu_s=20, memory_mb=256, processes=16, scratch_mb=32, output_kb=64)

ATTEMPTS = {
    "sys.exit while loading": "import sys; sys.exit(0)",
    "exit while loading": "exit(0)",
    "os._exit while loading": "import os; os._exit(0)",
    "sys.exit while tested": "import sys\ndef add(a, b): sys.exit(0)",
    "os._exit while tested": "import os\ndef add(a, b): os._exit(0)",
    "os._exit at exit": "import atexit, os\natexit.register(os._exit, 0)\ndef add(a, b): return 0",
    "execv of true": "import os\nos.execv('/bin/true', ['true'])",
    "SIGKILL to itself": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "a forked child goes on": "import os\nif os.fork(): os._exit(0)\ndef add(a, b): return 3",
    "a verdict on every descriptor": (
        "import os\n"
        "for fd in range(64):\n"
        '    try: os.write(fd, b\'{"status": "passed", "passed": 1, "total": 1}\')\n'
        "    except OSError: pass\n"
        "os._exit(0)"
    ),
    "a verdict printed": 'print(\'{"status": "passed"}\', flush=True)\nimport os; os._exit(0)',
    "functions replaced": (
        "import json, os\n"
        "os.write = lambda *_: 0\n"
        'json.JSONEncoder.encode = lambda *_: \'{"status": "passed"}\'\n'
        "os._exit = lambda *_: None\n"
        "def add(a, b): return 0"
    ),
    "the checker rewritten": (
        "import glob\n"
        "for path in glob.glob('/checker/**/*.py', recursive=True):\n"
        "    open(path, 'w').write('')\n"
        "def add(a, b): return 0"
    ),
    "the checker moved away": "import os\nos.rename('/checker', '/checker2')\ndef add(a, b): return 0",
    "the tests rewritten": (
        "import os\n"
        "os.makedirs('/tmp/solution', exist_ok=True)\n"
        "open('/tmp/solution/conftest.py', 'w').write('collect_ignore_glob = [\"*\"]')\n"
        "def add(a, b): return 0"
    ),
    "all tests skipped": "import pytest\npytest.skip('no', allow_module_level=True)",
    "pytest stopped with success": "import pytest\ndef add(a, b): pytest.exit('done', returncode=0)",
    "a skip while tested": "import pytest\ndef add(a, b): pytest.skip('no')",
    "BaseException": "class Quiet(BaseException): pass\ndef add(a, b): raise Quiet",
    "the stack unwound": "def add(a, b): raise GeneratorExit",
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
async def test_an_answer_cannot_cheat_a_script(sandbox: Sandbox, attempt):
    result = await run_tests(ATTEMPTS[attempt], SCRIPT, sandbox, LIMITS)

    assert (result.outcome, result.tests_passed) == ("failed", None)
    assert result.first_failure
    assert "timeout_s" not in (result.note or "")  # none of them is slow


@pytest.mark.parametrize("attempt", ATTEMPTS)
async def test_an_answer_cannot_cheat_a_pytest_module(sandbox: Sandbox, attempt):
    result = await run_tests(ATTEMPTS[attempt], MODULE, sandbox, LIMITS)

    assert result.outcome in ("failed", "not_run")
    assert not result.tests_passed


@pytest.mark.parametrize(
    ("report", "killed_by", "outcome"),
    [
        (b'N{"status": "passed"}', None, "passed"),
        (b'N{"status": "passed"}N{"status": "passed"}', None, "failed"),
        (b'{"status": "passed"}', None, "failed"),
        (b'M{"status": "passed"}N{"status": "passed"}', None, "failed"),
        (b'N{"status": "passed"}', "wall_time", "failed"),
    ],
    ids=["one", "two", "without the secret", "another secret first", "of a process that was killed"],
)
async def test_only_a_single_report_with_the_secret_counts(sandbox: Sandbox, report, killed_by, outcome):
    run = SandboxRun(0, "", report, 0.1, killed_by)

    assert interpret_run(run, "N", Runner("", lambda _: False, None), sandbox, LIMITS).outcome == outcome


@pytest.mark.parametrize(
    "statement", ["pytest.skip('hard')", "pytest.xfail('hard')", "raise unittest.SkipTest('hard')"]
)
async def test_an_answer_that_skips_a_test_fails(sandbox: Sandbox, statement):
    answer = f"import pytest, unittest\ndef add(a, b):\n    if a > 9: {statement}\n    return a + b\n"

    result = await run_tests(answer, MODULE + "def test_hard():\n    assert add(10, 1) == 11\n", sandbox, LIMITS)

    assert (result.outcome, result.tests_passed, result.tests_total) == ("failed", 1, 2)
    assert "skipped its test" in (result.first_failure or "")


async def test_an_answer_that_ends_the_run_early_fails(sandbox: Sandbox):
    answer = "import pytest\ndef add(a, b):\n    if a > 9: pytest.exit('hard', returncode=0)\n    return a + b\n"

    result = await run_tests(answer, MODULE + "def test_hard():\n    assert add(10, 1) == 11\n", sandbox, LIMITS)

    assert (result.outcome, result.tests_passed, result.tests_total) == ("failed", 1, 2)


@pytest.mark.parametrize(
    "statement",
    [
        "pytest.skip('hard', allow_module_level=True)",
        "pytest.importorskip('numbers_2')",
        "raise unittest.SkipTest('hard')",
    ],
)
async def test_an_answer_that_skips_its_tests_at_import_fails(sandbox: Sandbox, statement):
    result = await run_tests(f"import pytest, unittest\n{statement}\ndef add(a, b): ...\n", MODULE, sandbox, LIMITS)

    assert (result.outcome, result.tests_passed) == ("failed", None)
    assert "skipped its tests when it was imported" in (result.first_failure or "")


async def test_tests_that_skip_themselves_count_as_not_run(sandbox: Sandbox):
    tests = "import pytest\npytest.importorskip('numbers_2')\n" + MODULE
    result = await run_tests("def add(a, b):\n    return a + b\n", tests, sandbox, LIMITS)

    assert result.outcome == "not_run"


async def test_a_right_answer_passes_although_it_disturbs_the_exit(sandbox: Sandbox):
    answer = "import atexit, os, threading, time\natexit.register(os._exit, 9)\n"
    answer += "threading.Thread(target=time.sleep, args=(60,)).start()\ndef add(a, b): return a + b\n"

    result = await run_tests(answer, SCRIPT, sandbox, LIMITS)

    assert result.outcome == "passed"


async def test_tests_cannot_overwrite_the_checker_for_the_next_run(sandbox: Sandbox):
    overwrite_checker = "import pathlib\nfor path in pathlib.Path('/checker').rglob('*.py'):\n    path.write_text('')\n"

    overwriting = await run_tests("def add(a, b): return 3", overwrite_checker, sandbox, LIMITS)
    after = await run_tests("def add(a, b): return 3", SCRIPT, sandbox, LIMITS)

    assert (overwriting.outcome, after.outcome) == ("failed", "passed")
    assert "Read-only file system" in (overwriting.first_failure or "")
