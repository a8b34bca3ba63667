"""What tests of the suite may use besides plain asserts: it is put before those that do."""

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


def with_prelude(tests: str, language: str) -> str:
    """The tests, able to run: `refuses(error, call, *given)`, and `answer_text()` in a script of asserts."""
    if language != "python":
        return tests
    used = [code for mark, code in _PYTHON.items() if mark in tests]
    return "\n\n".join([*used, tests])
