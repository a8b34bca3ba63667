"""What tests of the suite may use besides plain asserts, and what keeps them apart from the answer."""

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

_PYTHON = {"refuses(": _REFUSES, "answer_text(": _ANSWER_TEXT}

_PATHS = re.compile(r"\s*(?:[\w./-]+\.py(?:::\S+)?\s*)+")
_FOR_PYTEST = re.compile(r"^(?:async def test|def test|class Test)", re.MULTILINE)


def with_prelude(tests: str, language: str) -> str:
    """The tests, able to run: `refuses(error, call, *given)`, and `answer_text()` in a script of asserts.

    A Python script runs in the answer's own namespace. It becomes one function, so that no name it gives to anything
    takes the place of a function that an answer happens to call the same.
    """
    if language != "python" or _PATHS.fullmatch(tests):
        return tests
    used = [code for mark, code in _PYTHON.items() if mark in tests]
    tests = "\n\n".join([*used, tests])
    if _FOR_PYTEST.search(tests):
        return tests
    try:
        script = ast.parse(tests)
    except (SyntaxError, ValueError):
        return tests  # whoever runs them will say so
    whole = ast.parse(_WHOLE)
    next(node for node in ast.walk(whole) if isinstance(node, ast.FunctionDef)).body = script.body
    return ast.unparse(whole)


_WHOLE = """
def check_by_the_suite():
    ...

check_by_the_suite()
"""
