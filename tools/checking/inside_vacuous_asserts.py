"""Finds statements in Python tests that look like assertions but can never fail.

Loaded by `inside_tests.py`, which is next to it in the sandbox, and by nothing else.
"""

import ast
from collections.abc import Iterator


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
