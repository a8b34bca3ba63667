"""Functions that the suite's tests may call, and isolation of the tests' names from the answer's."""

import ast
import re

_REFUSES = '''\
def refuses(error, call, *given, **named):
    """Whether a call raises just that; whatever else it raises goes on."""
    try:
        call(*given, **named)
    except error:
        return True
    return False
'''

_ANSWER_TEXT = '''\
def answer_text():
    """The answer itself, as it was written."""
    import linecache
    return "".join(linecache.getlines("solution.py"))
'''

_PASSES_WITH = '''\
def passes_with(module, code):
    """Whether the answer, a file of tests, has tests that pass when a module has this code."""
    import contextlib
    import io
    import os
    import sys
    import tempfile
    import pytest
    with tempfile.TemporaryDirectory() as folder:
        for name, text in {module: code, "test_by_the_answer": answer_text()}.items():
            sys.modules.pop(name, None)
            with open(os.path.join(folder, name + ".py"), "w", encoding="utf-8") as file:
                file.write(text)
        options = ["-xq", "--assert=plain", "-p", "no:cacheprovider", "--rootdir", folder, "-c", os.devnull]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            result = pytest.main([*options, os.path.join(folder, "test_by_the_answer.py")])
    return result == pytest.ExitCode.OK
'''

_PYTHON = {"refuses(": _REFUSES, "answer_text(": _ANSWER_TEXT, "passes_with(": _PASSES_WITH}

_PATHS = re.compile(r"\s*(?:[\w./-]+\.py(?:::\S+)?\s*)+")
_FOR_PYTEST = re.compile(r"^(?:async def test|def test|class Test)", re.MULTILINE)


def with_prelude(tests: str, language: str) -> str:
    """The tests, with the functions prepended that they call.

    `refuses(error, call, *given)`; in a script of asserts also `answer_text()`, and `passes_with(module, code)` where
    the answer is itself a file of tests.

    A Python script runs in the answer's namespace. It is wrapped in a function, so that its names do not shadow
    those of the answer.
    """
    if language != "python" or _PATHS.fullmatch(tests):
        return tests
    needed = tests + (_PASSES_WITH if "passes_with(" in tests else "")
    used = [code for mark, code in _PYTHON.items() if mark in needed]
    tests = "\n\n".join([*used, tests])
    if _FOR_PYTEST.search(tests):
        return tests
    try:
        script = ast.parse(tests)
    except (SyntaxError, ValueError):
        return tests  # running them reports the error
    whole = ast.parse(_WHOLE)
    next(node for node in ast.walk(whole) if isinstance(node, ast.FunctionDef)).body = script.body
    return ast.unparse(whole)


_WHOLE = """
def check_by_the_suite():
    ...

check_by_the_suite()
"""
