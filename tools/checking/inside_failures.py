"""Explains failures inside the sandbox: what was compared, who exited, what is missing, and whether it is the answer's.

Loaded by `inside_tests.py`, which is next to it in the sandbox, and by nothing else.
"""

from __future__ import annotations

import _sitebuiltins
import ast
import importlib
import os
import re
import traceback
import types

TYPE_CHECKING = False
if TYPE_CHECKING:  # see `inside_tests.py`
    from typing import Any


ANSWERS = {"solution"}
"""Names of the answer's modules."""


class Explaining(ast.NodeTransformer):
    """Makes a failing `assert left == right` show both values, each evaluated once.

    Asserts without a single comparison are wrapped in `decided`.
    """

    def visit_Assert(self, node: ast.Assert) -> ast.AST:  # ast's own naming
        test = node.test
        if not isinstance(test, ast.Compare) or len(test.ops) != 1:
            node.test = ast.Call(ast.Name("@decided", ast.Load()), [test], [])
            return ast.fix_missing_locations(node)
        # These names are not valid identifiers, so they shadow nothing.
        test.left = ast.NamedExpr(ast.Name("@left", ast.Store()), test.left)
        test.comparators = [ast.NamedExpr(ast.Name("@right", ast.Store()), test.comparators[0])]
        values = [ast.Name(name, ast.Load()) for name in ("@left", "@right")]
        node.msg = ast.Call(ast.Name("@explain", ast.Load()), [*values, node.msg or ast.Constant(None)], [])
        return ast.fix_missing_locations(node)


class Leaving(ast.NodeTransformer):
    """Distinguishes exits written in the tests, such as `sys.exit(0 if ok else 1)`, from all others.

    An aliased `exit` called by the answer also raises in the tests' frames, so the call itself must be in the tests.
    """

    def __init__(self) -> None:
        self.codes: list[object] = []

    def visit_Call(self, node: ast.Call) -> ast.AST:  # ast's own naming
        self.generic_visit(node)
        if ast.unparse(node.func) in ("sys.exit", "exit", "quit", "SystemExit") and not node.keywords:
            code = node.args or [ast.Constant(None)]
            if len(code) == 1 and not isinstance(code[0], ast.Starred):
                node.args = [ast.Call(ast.Name("@leaving", ast.Load()), [code[0]], [])]
        return ast.fix_missing_locations(node)

    def remember(self, code: object) -> object:
        self.codes.append(code)
        return code

    def has_ended_with(self, error: SystemExit, tests: types.CodeType) -> bool:
        """Whether it is the last recorded exit of the tests, with no frame of the answer in between."""
        steps = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)][1:]
        if steps and steps[-1] is QUIT:
            steps.pop()
        theirs = {*codes_of(tests)}
        is_asked_for = bool(self.codes) and self.codes[-1] is error.code
        return is_asked_for and bool(steps) and all(step in theirs for step in steps)


QUIT = _sitebuiltins.Quitter.__call__.__code__
"""The code object of `exit` and `quit`."""


def codes_of(code: types.CodeType) -> list[types.CodeType]:
    """The code object and those of all nested functions."""
    return [code, *(inner for one in code.co_consts if isinstance(one, types.CodeType) for inner in codes_of(one))]


class AlwaysTrue(BaseException):
    """The tests contain an assertion that is always true."""


def decided(value: object) -> object:
    """Return the value. Raises AlwaysTrue for a coroutine that was never awaited."""
    if isinstance(value, types.CoroutineType):
        value.close()
        raise AlwaysTrue(f"an assert looks at the coroutine {value.__name__}(…) itself: it was never awaited")
    return value


def explain(left: object, right: object, message: object) -> str:
    return "".join([*([f"{message}\n"] if message is not None else []), f"left: {shown(left)}\nright: {shown(right)}"])


def shown(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # the answer's __repr__ may raise anything
        return f"<{type(value).__name__} that cannot be shown>"
    return text if len(text) <= 600 else f"{text[:400]} ... {text[-180:]}"


def passes_through_the_answer(trace: types.TracebackType | None) -> bool:
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__") in ANSWERS:
            return True
        trace = trace.tb_next
    return False


def is_of_the_answer(error: BaseException) -> bool:
    """Whether code of the answer raised an error, or a name that the answer lacks is imported from it."""
    is_lacking = isinstance(error, ImportError) and error.name in ANSWERS
    return is_lacking or passes_through_the_answer(error.__traceback__)


def missing_import(error: BaseException | None) -> tuple[str | None, str | None]:
    """The module whose absence led to an error, and the file of the project that imports it. None: another cause, and
    no file in the working folder."""
    while error is not None and not isinstance(error, ModuleNotFoundError):
        error = error.__cause__ or error.__context__
    if error is None:
        return None, None
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    importing = os.path.abspath(files[-1]) if files else ""
    here = os.path.join(os.getcwd(), "")
    return error.name, importing.removeprefix(here) if importing.startswith(here) else None


def missing_variable(error: BaseException | None) -> str | None:
    """The environment variable whose absence led to an error. None: another cause, or the answer itself asks for it."""
    while error is not None:
        if name := variable_asked_for(error):
            return name
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


def variable_asked_for(error: BaseException) -> str | None:
    """The unset variable that one error is about, by where it was raised or by what a library says."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    name = None
    if frames and frames[-1].f_code is READ_VARIABLE:
        frames.pop()
        name = str(error.args[0])
    elif isinstance(error, Exception) and not isinstance(error, AssertionError):
        found = NAMES_A_VARIABLE.search(" ".join(said for said in error.args if isinstance(said, str)))
        name = found and (found[1] or found[2])
    is_the_answers = bool(frames) and frames[-1].f_globals.get("__name__") in ANSWERS
    return None if is_the_answers or not name or name in os.environ else name


READ_VARIABLE = type(os.environ).__getitem__.__code__
NAMES_A_VARIABLE = re.compile(
    r"\benvironment variables? \W?([A-Z][A-Z0-9_]{2,})\b|\b([A-Z][A-Z0-9_]{2,})\b\W? environment variable\b"
)
"""What libraries such as Django 5.2 and openai 2 say of a variable that is not set (seen 2026-11-30)."""


def origin(item: Any) -> str:
    """The module that defines a test's class, function or docstring."""
    if (doctest := getattr(item, "dtest", None)) is not None:
        return doctest.globs["__name__"]
    return (getattr(item, "cls", None) or getattr(item, "function", item)).__module__


def is_a_skip(error: BaseException) -> bool:
    """Whether the error ends a test without a result; other errors do so only if the tests expect them (`xfail`)."""
    return any(kind.__name__ in ("Skipped", "SkipTest", "XFailed") for kind in type(error).__mro__)


def trouble_with_a_test(error: BaseException) -> str | None:
    """Why a test says nothing, with the remedy: it has no usable fixture, or Hypothesis found that it exceeded its
    deadline only once. None: another kind of error."""
    inner = getattr(error, "exceptions", ())
    if type(error).__name__ == "FlakyFailure" and {type(one).__name__ for one in inner} == {"DeadlineExceeded"}:
        return "a test of Hypothesis took longer than its deadline only once; set `deadline=None` in its `settings`"
    if type(error).__name__ == "FixtureLookupError":
        return f"fixture {getattr(error, 'argname', '?')!r} not found; a conftest.py counts only for tests in files"
    found = ASYNC_FIXTURE.search(str(error)) if type(error).__name__ == "Failed" else None
    return found and f"fixture {found[1]} is `async`, for which there is no plugin; make it a plain function"


UNAWAITED = re.compile(r"^coroutine .+ was never awaited")
"""Python's warning for a coroutine that a test never awaited (3.14, seen 2026-11-29)."""
ASYNC_FIXTURE = re.compile(r"^'[^']*' requested an async fixture ('\w+')")
"""pytest's message for an async fixture (9.2, seen 2026-11-30)."""


def first_line_of_code(tests: str) -> int:
    """The number of lines before the first statement that is neither docstring nor `from __future__`."""
    for position, node in enumerate(ast.parse(tests).body):
        is_docstring = position == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_docstring or (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            continue
        decorators = node.decorator_list if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
        return min(part.lineno for part in (node, *decorators)) - 1
    return 0


def without_our_line(failure: str, line: int) -> str:
    """The failure with the line numbers of the original tests, without the inserted import."""

    def theirs(match: re.Match[str]) -> str:
        number = int(match[2])
        return f"{match[1]}{number - 1 if number > line else number}"

    return re.sub(r'(test_solution\.py(?::|", line ))(\d+)', theirs, failure)


def silence_unittest() -> None:
    """Turn `unittest.main()` into a no-op: pytest runs the classes, and it would exit the process."""
    import unittest

    def main(*_given: object, **_named: object) -> None: ...

    unittest.main = main


ENOUGH = 40_000
"""Maximum characters of a reported failure, a third of them from its start. The checker outside keeps less of either
end, and so sees where a secret at the cut begins; everything fits into a report."""


def traceback_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(error.with_traceback(without_our_frames(error.__traceback__))))


def cut(failure: str) -> str:
    return failure if len(failure) <= ENOUGH else f"{failure[: ENOUGH // 3]}\n[...]\n{failure[-ENOUGH * 2 // 3 :]}"


def without_our_frames(steps: types.TracebackType | None) -> types.TracebackType | None:
    """The traceback from the first frame in the tests or the answer."""
    ours = os.path.dirname(__file__)
    while steps is not None:
        file = steps.tb_frame.f_code.co_filename
        is_importing = file == importlib.__file__ or file.startswith("<frozen importlib")
        if os.path.dirname(file) != ours and not is_importing:
            break
        steps = steps.tb_next
    return steps
