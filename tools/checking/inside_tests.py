"""Runs inside the sandbox: the answer, then the tests, then writes one verdict that starts with a nonce.

Started as a file: `tests.py < JOB`, with `background.py`, `failures.py`, `spoiling.py` and `vacuous_tests.py` beside
it. The job is JSON with `nonce`, `kind` (`script`, `module`, `project`), `answer`, `tests` (a script, a pytest module,
or empty), `paths` and `options` (project: the arguments for pytest), `spoiled` (see `spoiling.py`); for an answer that
is part of a project in the working folder, `module` and `file` (its import name and path), `folders` (for sys.path),
`answers` and `written` (all modules and files it wrote). Descriptor 3 gets the nonce, then JSON with `status`:

    passed, failed      the tests ran to their end
    broken_tests        the tests do not compile or need an unknown fixture, or pytest did not start
    no_tests            nothing that could fail was run, or every assertion is always true

The nonce is read before the answer runs and lives in one closure; no file, environment variable or open descriptor
contains it. See `running.py` for what this does not prevent.
"""

from __future__ import annotations

import ast
import importlib
import io
import json
import linecache
import os
import sys
import traceback
import types

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` and `pathlib` would take a third of the startup time
    from collections.abc import Callable, Generator
    from typing import Any, NoReturn

REPORT_FD = 3
HERE = os.path.dirname(__file__)
SITE = os.path.join(HERE, "site")
SOLUTION = os.path.join(os.environ.get("TMPDIR", "/tmp"), "solution")  # noqa: S108  # outside the project's copy


def load_sibling(name: str) -> types.ModuleType:
    """A file of the checker, loaded as a module outside `sys.modules`."""
    module = types.ModuleType(name)
    path = module.__file__ = os.path.join(HERE, f"{name}.py")
    with open(path, encoding="utf-8") as file:
        exec(compile(file.read(), path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102  # our own
    return module


background, failures, vacuous_tests = map(load_sibling, ("background", "failures", "vacuous_tests"))


def main() -> NoReturn:
    job = json.load(sys.stdin)
    report = reporter(job.pop("nonce"))
    if job.get("spoiled"):
        load_sibling("spoiling").spoil(job)
    quiet = os.open(os.devnull, os.O_RDONLY)
    os.dup2(quiet, 0)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))
    failures.ANSWERS.update(job.get("answers", ()))
    if job["kind"] == "project" or "async def" in job["tests"]:
        importlib.import_module("asyncio")  # before the answer can replace it; half of the startup time
    folders = [os.path.abspath(folder) for folder in job.get("folders", ())]
    sys.path[:0] = folders
    os.environ["PYTHONPATH"] = os.pathsep.join([SOLUTION, *folders])  # for subprocesses of the tests
    os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    report(KINDS[job["kind"]](job))


def reporter(nonce: str) -> Callable[[dict[str, object]], NoReturn]:
    """A function that sends the verdict and exits at once, before any exit handlers of the answer.

    It uses functions saved now, before the answer can replace them.
    """
    write, exit_now, own_id, getpid = os.write, os._exit, os.getpid(), os.getpid
    encode = json.JSONEncoder(ensure_ascii=False).encode
    flush_streams = (sys.stdout.flush, sys.stderr.flush)

    def report(verdict: dict[str, object]) -> NoReturn:
        for flush in flush_streams:
            try:
                flush()
            except (OSError, ValueError):
                break  # closed by the answer
        if getpid() == own_id:  # not a fork of the answer
            text = encode(verdict).encode("utf-8", "backslashreplace")
            write(REPORT_FD, nonce.encode() + text)
        exit_now(0)

    return report


def run_script(job: dict[str, Any]) -> dict[str, object]:
    """Run the tests as a script after the answer, in one namespace."""
    try:
        tree = ast.parse(job["tests"], "tests.py")
        is_idle = not any(vacuous_tests.can_fail(statement) for statement in tree.body)
        vacuous = vacuous_tests.first_vacuous_assert(tree) or vacuous_tests.nothing_looked_at(tree)
        leaving = failures.Leaving()
        tests = compile(leaving.visit(failures.Explaining().visit(tree)), "tests.py", "exec", dont_inherit=True)
    except vacuous_tests.UNREADABLE as error:
        return {"status": "broken_tests", "failure": "".join(traceback.format_exception_only(error))}
    if is_idle or vacuous:
        return {"status": "no_tests", "failure": vacuous}
    sys.path += [SITE, SOLUTION]  # SITE has content if the tests import pytest
    put_solution(job)
    remember_lines("solution.py", job["answer"])
    remember_lines("tests.py", job["tests"])
    try:
        module = imported(job["module"]) if job.get("module") else executed(job["answer"])
        names = {"@explain": failures.explain, "@decided": failures.decided, "@leaving": leaving.remember}
        module.__dict__.update(names)
        sys.modules["__main__"] = module
        in_background: list[BaseException] = background.collect_failures(job["tests"])
        module.__name__ = "__main__"  # skips the answer's main block, runs that of the tests
        exec(tests, module.__dict__)  # noqa: S102  # running it is the purpose
        if in_background:
            return failed_script(in_background[0])
    except failures.AlwaysTrue as error:
        return {"status": "no_tests", "failure": str(error)}
    except SystemExit as error:
        if leaving.has_ended_with(error, tests):
            return ended_by_the_tests(error)
        return failed_script(error)
    except BaseException as error:  # noqa: BLE001  # anything else means that the tests failed
        return failed_script(error)
    return {"status": "passed"}


def executed(answer: str) -> types.ModuleType:
    """Execute the answer as a standalone module."""
    module = sys.modules["solution"] = types.ModuleType("solution")
    module.__file__ = os.path.join(SOLUTION, "solution.py")
    exec(compile(answer, "solution.py", "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    return module


def imported(name: str) -> types.ModuleType:
    """Import the answer as a module of the project."""
    module = sys.modules["solution"] = importlib.import_module(name)
    return module


def ended_by_the_tests(error: SystemExit) -> dict[str, object]:
    if error.code is None or (type(error.code) is int and error.code == 0):
        return {"status": "passed"}
    return {
        "status": "failed",
        "failure": f"the tests exited with code {failures.shown(error.code)}",
        "was_printed": True,
    }


def remember_lines(file: str, text: str) -> None:
    """Let tracebacks quote a file that is not on disk."""
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)


def failed_script(error: BaseException) -> dict[str, object]:
    if isinstance(error, SystemExit):
        return {"status": "failed", "failure": f"the code called exit({error.code!r}) before the tests had finished"}
    module, importing = failures.missing_import(error) if isinstance(error, ModuleNotFoundError) else (None, None)
    return {
        "status": "failed",
        "failure": failures.cut(failures.traceback_of(error)),
        "missing_module": module,
        "imported_in": importing,
        "missing_variable": failures.missing_variable(error),
    }


def run_module(job: dict[str, Any]) -> dict[str, object]:
    """Run the tests as a pytest module with the answer's public names imported."""
    try:
        line = failures.first_line_of_code(job["tests"])
        tree = ast.parse(job["tests"])
        vacuous = vacuous_tests.first_vacuous_assert(tree) or vacuous_tests.nothing_looked_at(tree)
    except vacuous_tests.UNREADABLE as error:
        return {"status": "broken_tests", "failure": "".join(traceback.format_exception_only(error))}
    if vacuous:
        return {"status": "no_tests", "failure": vacuous}
    lines = job["tests"].splitlines(keepends=True)
    if "unittest" in job["tests"]:
        failures.silence_unittest()
    put_solution(job)
    put(SOLUTION, "test_solution.py", "".join([*lines[:line], "from solution import *\n", *lines[line:]]))
    verdict = run_pytest(["--rootdir", SOLUTION, "-c", os.devnull, f"{SOLUTION}/test_solution.py"])
    if isinstance(failure := verdict.get("failure"), str):
        verdict["failure"] = failures.without_our_line(failure, line)
    return verdict


def run_project(job: dict[str, Any]) -> dict[str, object]:
    """Run test files of the project in its copy, the working folder."""
    put_solution(job)
    here = os.getcwd()
    sys.path[:0] = [path for path in (here, os.path.join(here, "src")) if os.path.isdir(path)]
    answers = job.get("written", [os.path.join(SOLUTION, "solution.py")])
    was_read = vacuous_tests.watch_for_reads(answers)
    verdict = run_pytest([*job["options"], *job["paths"]])
    if verdict["status"] == "passed" and not was_read():
        names = ", ".join(map(os.path.basename, answers))
        return {"status": "no_tests", "failure": f"no test imports or reads {names}"}
    return verdict


KINDS = {"script": run_script, "module": run_module, "project": run_project}


def put_solution(job: dict[str, Any]) -> None:
    """Make the answer importable as `solution`; a project module is aliased, so that it is imported only once."""
    alias = "import importlib, sys\nsys.modules[__name__] = importlib.import_module({!r})\n"
    put(SOLUTION, "solution.py", alias.format(job["module"]) if job.get("module") else job["answer"])


def put(folder: str, name: str, text: str) -> None:
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "w", encoding="utf-8", errors="surrogatepass") as file:
        file.write(text)


NOT_IN_PARTS = {"xdist": "-n0", "pytest_cov": "--no-cov"}
"""By plugin, the option that makes tests run in this process and disables coverage."""


def run_pytest(arguments: list[str]) -> dict[str, object]:
    sys.path[:0] = [SOLUTION]
    sys.path.append(SITE)
    try:
        import importlib.util

        import pytest
    except ImportError as error:
        return {"status": "broken_tests", "failure": f"pytest cannot be imported in the sandbox: {error}"}
    # Before pytest's own hook, which replaces unittest's skip exception by its own.
    pytest.hookimpl(tryfirst=True)(ResultCounter.pytest_runtest_makereport)
    for wrapper in (ResultCounter.pytest_make_collect_report, ResultCounter.pytest_load_initial_conftests):
        pytest.hookimpl(hookwrapper=True)(wrapper)
    counter = ResultCounter()
    options = ["-q", "--color=no", "--tb=short", "--no-header", "-p", "no:faulthandler"]
    # The project's settings may move the cache, or use options and marks of plugins that are missing here.
    settings = (f"cache_dir={SOLUTION}/.cache", "strict_config=false", "strict_markers=false")
    options += [option for setting in settings for option in ("-o", setting)]
    options += ["-W", "ignore::pytest.PytestConfigWarning", "-W", "ignore::pytest.PytestUnknownMarkWarning"]
    options += [option for plugin, option in NOT_IN_PARTS.items() if importlib.util.find_spec(plugin)]
    try:
        code = pytest.main([*options, *arguments], plugins=[counter])
    except Exception as error:  # noqa: BLE001  # plugins may raise anything before the first test
        return failed_script(error) | ({} if failures.is_of_the_answer(error) else {"status": "broken_tests"})
    verdict: dict[str, object] = {
        "passed": counter.passed,
        "total": counter.collected,
        "failure": counter.first_failure and failures.cut(counter.first_failure),
        "missing_module": counter.missing_import[0],
        "imported_in": counter.missing_import[1],
        "missing_variable": next(iter(counter.missing_variables), None),
    }
    ended = len(counter.results)
    if counter.answer_breaks_a_conftest:
        failure = "a conftest.py cannot be imported because of the code under test"
        return verdict | {"status": "failed", "failure": failure, "was_printed": True}
    # A selector in a file that cannot be imported selects nothing, which is a usage error too.
    is_misused = code == pytest.ExitCode.USAGE_ERROR and not counter.first_failure
    if is_misused or (counter.has_broken_down and not ended):
        return verdict | {"status": "broken_tests"}
    if counter.first_failure:
        return verdict | {"status": "failed"}
    if counter.unusable_test:
        return verdict | {"status": "broken_tests", "failure": counter.unusable_test}
    if counter.has_only_the_answers:
        return verdict | {"status": "no_tests", "failure": "tests that the answer itself changes do not count"}
    if code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) and ended == counter.collected:
        return verdict | {"status": "passed" if counter.passed else "no_tests"}
    why = f"the test run was stopped after {ended} of {counter.collected} tests (exit status {int(code)})"
    return verdict | {"status": "failed", "failure": why}


class ResultCounter:
    """A pytest plugin that counts tests and records their outcomes and the first failure."""

    def __init__(self) -> None:
        self.collected = 0
        self.has_only_the_answers = False
        """Whether the answer itself defines all tests that were found."""
        self.results: dict[str, str] = {}
        self.ended_by_the_answer: set[str] = set()
        self.has_broken_down = False
        """Whether pytest or a plugin crashed while no code of the answer was running."""
        self.answer_breaks_a_conftest = False
        self.unusable_test: str | None = None
        self.unusable_tests: set[str] = set()
        self.idle: set[str] = set()
        """Tests that no answer can fail."""
        self.first_failure: str | None = None
        self.missing_import: tuple[str | None, str | None] = None, None
        """The first missing module, and the file that imports it."""
        self.missing_variables: list[str | None] = []
        """The environment variable that each failure is due to, in order."""
        self.in_tasks: list[BaseException] = []
        """Failed asserts of tasks that nobody awaited, until the test that they belong to ends."""

    @property
    def passed(self) -> int:
        return sum(result == "passed" and test not in self.idle for test, result in self.results.items())

    def pytest_load_initial_conftests(self) -> Generator[None, Any, None]:
        error = (yield).excinfo
        cause = error and error[1].__cause__  # pytest reports the error itself as one of usage
        if cause is not None:
            self.answer_breaks_a_conftest = failures.is_of_the_answer(cause)
            self.missing_import = failures.missing_import(cause)
            self.missing_variables.append(failures.missing_variable(cause))

    def pytest_sessionstart(self) -> None:
        background.collect_from_tasks(self.in_tasks)

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Drop tests defined by the answer, which its imported names can bring in."""
        kept = [item for item in items if failures.origin(item) not in failures.ANSWERS]
        self.has_only_the_answers = bool(items) and not kept
        items[:] = kept

    def pytest_collection_finish(self, session: Any) -> None:
        self.collected = len(session.items)
        self.idle.update(i.nodeid for i in session.items if vacuous_tests.only_computes(getattr(i, "function", None)))

    def pytest_warning_recorded(self, warning_message: Any, nodeid: str) -> None:
        if issubclass(warning_message.category, RuntimeWarning) and failures.UNAWAITED.search(
            str(warning_message.message)
        ):
            self.idle.add(nodeid)
        if background.is_thread_assert_failure(warning_message):
            self.results[nodeid] = "failed"
            self.note(nodeid, str(warning_message.message))

    def pytest_make_collect_report(self) -> Generator[None, Any, None]:
        report = (yield).get_result()
        call = report.__dict__.get("call")
        if report.skipped and call is not None and failures.passes_through_the_answer(call.excinfo.tb):
            self.note(report.nodeid, "the code under test skipped its tests when it was imported")

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.note(report.nodeid, report.longreprtext)

    def pytest_runtest_makereport(self, item: Any, call: Any) -> None:
        if call.excinfo is None:
            return
        if trouble := failures.trouble_with_a_test(call.excinfo.value):
            self.unusable_test = self.unusable_test or trouble
            self.unusable_tests.add(item.nodeid)
        if failures.is_a_skip(call.excinfo.value) and failures.passes_through_the_answer(call.excinfo.tb):
            self.ended_by_the_answer.add(item.nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.skipped and report.nodeid in self.ended_by_the_answer:
            self.results[report.nodeid] = "failed"
            self.note(report.nodeid, "the code under test skipped its test")
        elif report.failed:  # in setup, call or teardown, or in a subtest
            self.results[report.nodeid] = "failed"
            if report.nodeid not in self.unusable_tests:
                self.note(report.nodeid, report.longreprtext)
        elif report.skipped or report.when == "call":
            self.results.setdefault(report.nodeid, report.outcome)
        if report.when == "teardown" and self.in_tasks:
            self.results[report.nodeid] = "failed"
            self.note(report.nodeid, failures.traceback_of(self.in_tasks[0]))
            self.in_tasks.clear()

    def pytest_internalerror(self, excrepr: Any, excinfo: Any) -> None:
        if isinstance(excinfo.value, SystemExit):
            self.note("", f"the code called exit({excinfo.value.code!r}) before the tests had finished")
        else:
            self.has_broken_down = not failures.passes_through_the_answer(excinfo.tb)
            self.note("", str(excrepr))

    def pytest_exception_interact(self, call: Any) -> None:
        if self.missing_import[0] is None:
            self.missing_import = failures.missing_import(call.excinfo.value)
        self.missing_variables.append(failures.missing_variable(call.excinfo.value))

    def pytest_pyfunc_call(self, pyfuncitem: Any) -> bool | None:
        """Run `async def` tests, because no plugin for them is installed."""
        import inspect

        if not inspect.iscoroutinefunction(pyfuncitem.obj):
            return None
        import asyncio

        names = pyfuncitem._fixtureinfo.argnames  # the arguments that pytest's own runner passes; no public API
        asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
        return True

    def note(self, test: str, failure: str) -> None:
        if self.first_failure is None:
            self.first_failure = f"{test}\n{failure}".lstrip("\n")


if __name__ == "__main__":
    main()
