"""Finds Python tests that no answer can fail, statements that only look like assertions among them.

Loaded by `inside_tests.py`, which is next to it in the sandbox, and by nothing else.
"""

from __future__ import annotations

import ast
import os
import sys
import textwrap

TYPE_CHECKING = False
if TYPE_CHECKING:  # see `inside_tests.py`
    from collections.abc import Callable, Iterator
    from typing import Any

UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What Python's parser raises for invalid source, including null bytes, surrogates and deep nesting."""


def first_vacuous_assert(tree: ast.Module) -> str | None:
    """The first line that looks like an assertion and can never fail, with its remedy. None: there is none.

    Conservative: a line is reported only if it cannot fail whatever the answer does.
    """
    found = [(line, why) for node in ast.walk(tree) for line, why in _vacuous(node)]
    asynchronous = _coroutines(tree)
    may_raise = {id(inner) for node in ast.walk(tree) if isinstance(node, RAISING) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Expr):
            continue
        value = node.value
        if isinstance(value, ast.Compare) and id(node) not in may_raise:
            found.append((node.lineno, "compares and nobody looks at it; write `assert` before it"))
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in asynchronous:
            name = value.func.id
            found.append(
                (node.lineno, f"calls `async def {name}`, which nobody awaits; write `asyncio.run({name}(...))`")
            )
    return "line {} {}".format(*min(found)) if found else None


RAISING = (ast.With, ast.AsyncWith, ast.Try)
"""Contexts in which a bare comparison may be meant to raise."""
SWALLOWED = {None, "Exception", "BaseException", "AssertionError"}
"""Exception names whose `except` clause catches a failed assert; None: a bare `except`."""


def _vacuous(node: ast.AST) -> Iterator[tuple[int, str]]:
    """The defects of a single node."""
    if isinstance(node, ast.Assert):
        test = node.test
        if isinstance(test, ast.Tuple) and test.elts:
            yield (
                node.lineno,
                "asserts a tuple, which is always true; write `assert condition, message` without brackets",
            )
        if isinstance(test, ast.Lambda | ast.GeneratorExp):
            yield node.lineno, "asserts a function or generator, which is always true; call it, or assert `all(...)`"
        if isinstance(test, ast.Constant) and isinstance(test.value, str) and test.value:
            yield node.lineno, "asserts a text, which is always true; write the condition without quotes"
    if isinstance(node, ast.Try) and (line := _swallowed(node)) is not None:
        yield line, "asserts where `except` takes the failure and goes on; let it through"
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Attribute) and node.value.attr.startswith("assert"):
        yield node.lineno, f"names `{node.value.attr}` and does not call it; write `{node.value.attr}(...)`"
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        called = ast.unparse(node.value.func)
        if called == "doctest.testmod" and all(given.arg != "raise_on_error" for given in node.value.keywords):
            yield (
                node.lineno,
                "only prints what `doctest.testmod()` found; write `assert doctest.testmod().failed == 0`",
            )
        if called == "self.assertTrue" and len(node.value.args) == 2 and _is_number(node.value.args[1]):
            yield node.lineno, "gives `assertTrue` a number as its message; write `assertEqual`"


def _swallowed(node: ast.Try) -> int | None:
    """The line of the last assert in a `try` body whose failure is swallowed or merely printed."""
    asserts = [position for position, statement in enumerate(node.body) if isinstance(statement, ast.Assert)]
    if not asserts or node.orelse or not all(map(_only_prints, node.body[asserts[-1] + 1 :])):
        return None
    for handler in node.handlers:
        names = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        if SWALLOWED & {name and ast.unparse(name) for name in names}:
            return node.body[asserts[-1]].lineno if all(map(_only_prints, handler.body)) else None
    return None


def _only_prints(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Pass):
        return True
    value = statement.value if isinstance(statement, ast.Expr) else None
    is_print = isinstance(value, ast.Call) and ast.unparse(value.func) in ("print", "traceback.print_exc")
    return is_print or isinstance(value, ast.Constant)


def _coroutines(tree: ast.Module) -> set[str]:
    """Names defined only as top-level `async` functions and never rebound."""
    definitions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    named = {node.name for node in definitions if isinstance(node, ast.AsyncFunctionDef) and not node.decorator_list}
    bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return named - bound - {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def can_fail(statement: ast.stmt) -> bool:
    """Whether executing the statement asserts, calls or raises; a definition alone does not."""
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
    """The line of the first assert, with its remedy, if no assert can fail and nothing else is checked. None
    otherwise."""
    nodes = [*ast.walk(tree)]
    lines = [node.lineno for node in nodes if isinstance(node, ast.Assert) and is_always_true(node)]
    if not lines or any(map(may_look, nodes)):
        return None
    return f"line {min(lines)} asserts what is always true, and nothing else is looked at; assert what the answer gives"


LOOKING = (ast.Assert, ast.Raise, ast.With, ast.AsyncWith)
"""Statements that can detect a wrong answer."""


def may_look(node: ast.AST) -> bool:
    """Whether the statement can detect a wrong answer; a bare call counts unless it prints."""
    if isinstance(node, ast.Expr):
        is_print = isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "print"
        return not is_print and not isinstance(node.value, ast.Constant)
    return isinstance(node, LOOKING) and not is_always_true(node)


def is_always_true(node: ast.AST) -> bool:
    """Whether it is an assert that is true by its form: `assert True`, `assert x or 1`, `assert (something,
    "message")`."""
    return isinstance(node, ast.Assert) and is_true(node.test)


def is_true(value: ast.expr) -> bool:
    """Whether the expression is true for any values of its names."""
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
    """Whether a test only computes and returns values, which nothing checks.

    False also if the source cannot be read.
    """
    import inspect

    try:
        [definition] = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    except (*UNREADABLE, OSError, TypeError):
        return False
    if not isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    nodes = [node for statement in definition.body for node in ast.walk(statement)]
    returns = any(isinstance(node, ast.Return) and node.value is not None for node in nodes)
    return not any(map(may_look, nodes)) and (returns or any(map(is_always_true, nodes)))


def watch_for_reads(paths: list[str]) -> Callable[[], bool]:
    """Returns whether one of the files was opened since, as an import does, or may have been, unseen.

    Libraries in C read data unseen, other processes everything, and PyPy tells of nothing.
    """
    is_code = {os.path.splitext(path)[1] for path in paths} == {".py"}
    watched, realpath = {os.path.realpath(path) for path in paths}, os.path.realpath
    names = {os.path.basename(path) for path in watched}
    events: set[str] = set()

    def see(event: str, given: tuple[Any, ...]) -> None:
        """Calls nothing that the tests may have replaced, unless a file of that name is opened."""
        events.add(event)
        path = given[0] if event == "open" else None
        if isinstance(path, str) and path.rpartition(os.sep)[2] in names and realpath(path) in watched:
            events.add("read")

    sys.addaudithook(see)
    return lambda: not is_code or bool(events & {"read", *STARTS_A_PROCESS}) or "open" not in events


STARTS_A_PROCESS = {
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty",
}  # fmt: skip
"""Audit events (https://docs.python.org/3/library/audit_events.html, seen 2026-12-01)."""
