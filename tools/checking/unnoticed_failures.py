"""Finds Python tests in which a failure may go unnoticed, so that it must be tried whether they can fail."""

import ast
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Literal

from .result import CheckResult
from .verdict import not_run

TOLD = "the tests only print or compare what the answer gives, and no value ends them; write `assert`"
_UNNOTICED = (
    "the tests pass whatever the answer does, as no failure ends them; let one raise, or exit with 1. Asserts in a"
    " loop over nothing, a subprocess, a pool or a function that nobody calls, or behind a handler of errors, do not"
)
Useless = Literal["refusing", "inert"]
"""An answer that raises at each use, or one that gives itself and equals nothing."""
_USELESS: tuple[Useless, ...] = ("refusing", "inert")

_COULD_RAISE = re.compile(r"(?i)assert|raise|fail|exit|abort|check|verify|validate|expect|ensure|require|run|main")
"""Names of functions, defined elsewhere, that may raise for a wrong answer."""
_TELLS = re.compile(
    r"print|pprint|(?:logging|logger|log|warnings)\.\w+|all|any|bool|(?:math\.|np\.)?(?:isclose|allclose)"
)
"""Calls whose result only a reader sees."""
_EXPECTING = ("raises", "assertRaises", "assertRaisesRegex", "warns", "assertWarns", "assertLogs", "deprecated_call")


async def tried_on_useless_answers(
    result: CheckResult, run: Callable[[Useless], Awaitable[CheckResult]]
) -> CheckResult:
    """The result of tests that passed; `not_run` if they pass both useless answers too. run: runs them on one."""
    for useless in _USELESS:
        if (await run(useless)).outcome != "passed":
            return result
    return not_run(f"nothing was tested: {_UNNOTICED}")


def may_notice_nothing(tests: str) -> bool:
    """Whether no assert is certain to be reached and to end the tests: all are in loops, functions, `try` or threads.

    Also False for tests that do not parse.
    """
    try:
        tree = ast.parse(tests)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return not any(map(_looks, [*_reached(tree.body), *(one for body in _bodies(tree) for one in _reached(body))]))


def only_tells(tests: str) -> bool:
    """Whether tests print or compare what the answer gives, and nothing in them could raise for a wrong value.

    Also False for tests that do not parse.
    """
    try:
        nodes = list(ast.walk(ast.parse(tests)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    called = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    if any(isinstance(node, ast.Assert | ast.Raise) for node in nodes):
        return False
    return not any(map(_COULD_RAISE.search, called - own)) and any(map(_is_only_told, nodes))


def _is_only_told(node: ast.AST) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    if isinstance(value, ast.Call):
        return _TELLS.fullmatch(ast.unparse(value.func)) is not None
    return isinstance(value, ast.BoolOp | ast.Compare | ast.UnaryOp)


def _bodies(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    """The bodies of the tests that pytest may collect."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            yield node.body


def _reached(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run whatever happens, up to a `return`."""
    for statement in body:
        if isinstance(statement, ast.Return):
            return
        yield statement
        if isinstance(statement, ast.With | ast.AsyncWith) and not any(map(_swallows, statement.items)):
            yield from _reached(statement.body)
        if isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test):
            yield from _reached(statement.body)


def _swallows(item: ast.withitem) -> bool:
    called = _called(item.context_expr)
    return called == "suppress" or called in _EXPECTING


def _looks(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Assert):
        return True
    if isinstance(statement, ast.With | ast.AsyncWith):
        return any(_called(item.context_expr) in _EXPECTING for item in statement.items)
    value = statement.value if isinstance(statement, ast.Expr) else None
    value = value.value if isinstance(value, ast.Await) else value
    called = _called(value) if value is not None else ""
    return "assert" in called.lower() or called in _EXPECTING


def _called(expression: ast.expr) -> str:
    """The last name of a called function; empty for another expression."""
    function = expression.func if isinstance(expression, ast.Call) else None
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
