"""Reads the tests inside the sandbox: what in them can fail, what ends them, and what their asserts and errors say.

Loaded by `inside_tests.py`, which it stands beside there, and by nothing else.
"""

import _sitebuiltins
import ast
import inspect
import re
import textwrap
import traceback
import types
from typing import Any

UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What Python's parser raises for text that is no program: also for null bytes, surrogates and deep nesting."""


class Explaining(ast.NodeTransformer):
    """Lets `assert left == right` say both values when it fails; they are computed once, as before.

    What is asserted by itself is looked at first, see `decided`.
    """

    def visit_Assert(self, node: ast.Assert) -> ast.AST:  # ast's own naming
        test = node.test
        if not isinstance(test, ast.Compare) or len(test.ops) != 1:
            node.test = ast.Call(ast.Name("@decided", ast.Load()), [test], [])
            return ast.fix_missing_locations(node)
        # Names that no program can write, so that none is shadowed.
        test.left = ast.NamedExpr(ast.Name("@left", ast.Store()), test.left)
        test.comparators = [ast.NamedExpr(ast.Name("@right", ast.Store()), test.comparators[0])]
        values = [ast.Name(name, ast.Load()) for name in ("@left", "@right")]
        node.msg = ast.Call(ast.Name("@explain", ast.Load()), [*values, node.msg or ast.Constant(None)], [])
        return ast.fix_missing_locations(node)


class Leaving(ast.NodeTransformer):
    """Knows the exits that the tests' own text asks for, `sys.exit(0 if ok else 1)`, from all others.

    An answer's `exit` under another name raises it in the tests' frame too: the call must stand in the tests.
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
        """Whether it is the last exit of the tests, and no code of the answer stands between."""
        steps = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)][1:]
        if steps and steps[-1] is QUIT:
            steps.pop()
        theirs = {*codes_of(tests)}
        is_asked_for = bool(self.codes) and self.codes[-1] is error.code
        return is_asked_for and bool(steps) and all(step in theirs for step in steps)


QUIT = _sitebuiltins.Quitter.__call__.__code__
"""The code of `exit` and `quit`."""


def codes_of(code: types.CodeType) -> list[types.CodeType]:
    """The code and that of all functions in it."""
    return [code, *(inner for one in code.co_consts if isinstance(one, types.CodeType) for inner in codes_of(one))]


class AlwaysTrue(BaseException):
    """The tests assert what is true whatever the answer does."""


def decided(value: object) -> object:
    """The value. Raises AlwaysTrue for a coroutine that nobody awaited: its result was not looked at."""
    if inspect.iscoroutine(value):
        value.close()
        raise AlwaysTrue(f"an assert looks at the coroutine {value.__name__}(…) itself: it was never awaited")
    return value


def explain(left: object, right: object, message: object) -> str:
    return "".join([*([f"{message}\n"] if message is not None else []), f"left: {shown(left)}\nright: {shown(right)}"])


def shown(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # whatever the answer's own __repr__ raises
        return f"<{type(value).__name__} that cannot be shown>"
    return text if len(text) <= 600 else f"{text[:400]} ... {text[-180:]}"


def can_fail(statement: ast.stmt) -> bool:
    """Whether running the statement itself asserts, calls or raises; a definition alone does not."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if is_always_true(node):
            continue
        if isinstance(node, ast.Assert | ast.Call | ast.Raise):
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))
    return False


def nothing_looked_at(tree: ast.Module) -> str | None:
    """The line of the first assert, with its remedy, if none can fail and nothing else looks. None: something does."""
    nodes = [*ast.walk(tree)]
    lines = [node.lineno for node in nodes if isinstance(node, ast.Assert) and is_always_true(node)]
    if not lines or any(map(may_look, nodes)):
        return None
    return f"line {min(lines)} asserts what is always true, and nothing else is looked at; assert what the answer gives"


def may_look(node: ast.AST) -> bool:
    """Whether the statement can find an answer wrong; a call that stands alone may assert, if it does not print."""
    if isinstance(node, ast.Expr):
        is_print = isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "print"
        return not is_print and not isinstance(node.value, ast.Constant)
    return isinstance(node, LOOKING) and not is_always_true(node)


def is_always_true(node: ast.AST) -> bool:
    """Whether it asserts what is true by its form: `assert True`, `assert x or 1`, `assert (something, "message")`."""
    return isinstance(node, ast.Assert) and is_true(node.test)


def is_true(value: ast.expr) -> bool:
    """Whether the expression is true whatever its names stand for."""
    if isinstance(value, ast.Constant):
        return bool(value.value)
    if isinstance(value, ast.Tuple | ast.List | ast.Set):
        return any(not isinstance(element, ast.Starred) for element in value.elts)
    if isinstance(value, ast.BoolOp):
        return (any if isinstance(value.op, ast.Or) else all)(map(is_true, value.values))
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.Not):
        return isinstance(value.operand, ast.Constant) and not value.operand.value
    return isinstance(value, ast.Lambda | ast.GeneratorExp)


def only_computes(function: Any) -> bool:
    """Whether a test does nothing but compute and return values, which nobody looks at.

    False also where the source cannot be read.
    """
    try:
        [definition] = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    except (*UNREADABLE, OSError, TypeError):
        return False
    if not isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    nodes = [node for statement in definition.body for node in ast.walk(statement)]
    returns = any(isinstance(node, ast.Return) and node.value is not None for node in nodes)
    return not any(map(may_look, nodes)) and (returns or any(map(is_always_true, nodes)))


def is_a_skip(error: BaseException) -> bool:
    """Whether it ends a test without a result; any other error does so only where the tests expect it (`xfail`)."""
    return any(kind.__name__ in ("Skipped", "SkipTest", "XFailed") for kind in type(error).__mro__)


def trouble_with_a_fixture(error: BaseException) -> str | None:
    """Why a test cannot have one of its fixtures, and what would help. None: it is something else."""
    if type(error).__name__ == "FixtureLookupError":
        return f"fixture {getattr(error, 'argname', '?')!r} not found; only pytest's own are available"
    found = ASYNC_FIXTURE.search(str(error)) if type(error).__name__ == "Failed" else None
    return found and f"fixture {found[1]} is `async`, for which there is no plugin; make it a plain function"


ASYNC_FIXTURE = re.compile(r"^'[^']*' requested an async fixture ('\w+')")
"""How pytest refuses one (9.2, seen 2026-11-30)."""


def silence_unittest() -> None:
    """Let `unittest.main()` do nothing: pytest runs the classes, and it would end the process."""
    import unittest

    def main(*_given: object, **_named: object) -> None: ...

    unittest.main = main


LOOKING = (ast.Assert, ast.Raise, ast.With, ast.AsyncWith)
"""Statements that can find an answer wrong."""
