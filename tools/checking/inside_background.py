"""Finds asserts of the tests that fail in a thread or an asyncio task, where they would end nothing else.

Loaded by `inside_tests.py`, which is next to it in the sandbox, and by nothing else. Errors of other code there, and
other errors, may be intended.
"""

from __future__ import annotations

import os
import re
import traceback
import warnings

TYPE_CHECKING = False
if TYPE_CHECKING:  # see `inside_tests.py`
    import types


def collect_failures(tests: str) -> list[BaseException]:
    """Start collecting them for a test script. Returns the list that they are appended to.

    Importing `threading` and `asyncio` takes time, and most tests use neither.
    """
    failed: list[BaseException] = []
    if "thread" in tests.lower():
        _collect_from_threads(failed)
    if "asyncio" in tests:
        collect_from_tasks(failed)
    return failed


def _collect_from_threads(failed: list[BaseException]) -> None:
    import threading

    print_traceback = threading.excepthook

    def collect(ended: threading.ExceptHookArgs) -> None:
        if ended.exc_value is not None and _is_an_assert_of_the_tests(ended.exc_value, ended.exc_traceback):
            failed.append(ended.exc_value)
        print_traceback(ended)

    threading.excepthook = collect


def collect_from_tasks(failed: list[BaseException]) -> None:
    """Start appending the failed asserts of tasks that nobody awaited.

    asyncio logs them when it forgets the task ("Task exception was never retrieved").
    """
    import logging

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            error = record.exc_info and record.exc_info[1]
            if error and _is_an_assert_of_the_tests(error, error.__traceback__):
                failed.append(error)

    logging.getLogger("asyncio").addHandler(Collector(logging.ERROR))


def _is_an_assert_of_the_tests(error: BaseException, steps: types.TracebackType | None) -> bool:
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(steps)]
    return isinstance(error, AssertionError) and bool(files) and "test" in os.path.basename(files[-1])


def is_thread_assert_failure(warning: warnings.WarningMessage) -> bool:
    """Whether pytest warns of one in a thread."""
    is_of_a_thread = warning.category.__name__ == "PytestUnhandledThreadExceptionWarning"
    return is_of_a_thread and THREAD_ENDED_BY_AN_ASSERT.search(str(warning.message)) is not None


THREAD_ENDED_BY_AN_ASSERT = re.compile(
    r'File "[^"\n]*test[^"/\n]*\.py", line \d+, in [^\n]*\n(?:    [^\n]*\n)*AssertionError'
)
"""The end of a traceback whose last frame is in a test file (pytest 9.2, seen 2026-11-30)."""
