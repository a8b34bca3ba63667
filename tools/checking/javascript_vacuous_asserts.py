"""Finds statements in JavaScript tests that look like assertions but can never fail."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .grammar import all_nodes, syntax_tree

if TYPE_CHECKING:
    from ast_grep_py import SgNode

_ASSERT = re.compile(r"(?:console\.)?assert|assert(?:\.\w+)+")
_ASSERT_TRUE = re.compile(r"(?:console\.)?assert|assert\.ok")
_TRUE = {"arrow_function": "a function", "function_expression": "a function", "array": "an array"}
_PRINT = re.compile(r"console\.(?:log|error|warn|info|debug|trace)")
_TEST = re.compile(r"(?:\w+\.)?(?:test|it|describe|suite)(?:\.\w+)*")
_OWN_ASSERT = re.compile(r"\bfunction\s+assert\b|\bassert\s*=(?!=)(?!\s*(?:require|await)\b)")
"""A redefined `assert` may count failures instead of throwing."""
_FUNCTIONS = ("arrow_function", "function_expression", "function_declaration", "method_definition")
_EQUALITY = ("==", "!=", "===", "!==")


def first_vacuous_assert(tests: str, language: str, own: frozenset[str]) -> str | None:
    """The first line that looks like an assertion and can never fail, with its remedy. None: there is none.

    Conservative, as in `inside_vacuous_tests.py`. language: a key of GRAMMARS. own: names that the tests define.
    """
    root = syntax_tree(tests, language)
    nodes = list(all_nodes(root))
    found = [*_unwatched_comparisons(nodes, own), *_uncalled(nodes), *_always_true(nodes)]
    if not _OWN_ASSERT.search(tests):
        found += [*_taken_by_catch(nodes), *_rejections_printed(root, nodes)]
    return "line {} {}".format(*min(found)) if found else None


def _unwatched_comparisons(nodes: Sequence["SgNode"], own: frozenset[str]) -> Iterator[tuple[int, str]]:
    for node in nodes:
        if (
            node.kind() == "expression_statement"
            and _is_equality(_only_child(node))
            and not _may_be_there_to_raise(node)
        ):
            yield _line(node), "compares and nobody looks at it; write `assert(...)` around it"
        if node.kind() == "arrow_function" and _is_a_test(node) and not own & {"test", "it"}:
            body = node.field("body")
            if body is not None and _is_equality(body):
                yield _line(body), "returns a comparison, which nobody looks at; write `assert(...)` around it"


def _uncalled(nodes: Sequence["SgNode"]) -> Iterator[tuple[int, str]]:
    for node in nodes:
        named = _only_child(node) if node.kind() == "expression_statement" else None
        if named is not None and named.kind() == "member_expression" and re.fullmatch(r"assert\.\w+", named.text()):
            yield _line(node), f"names `{named.text()}` and does not call it; write `{named.text()}(...)`"


def _always_true(nodes: Sequence["SgNode"]) -> Iterator[tuple[int, str]]:
    for node in nodes:
        arguments = node.field("arguments") if _is_call(node, _ASSERT_TRUE) else None
        given = [] if arguments is None else _statements(arguments)
        if given and given[0].kind() in _TRUE:
            yield _line(node), f"asserts {_TRUE[given[0].kind()]}, which is always true; assert a condition"


def _taken_by_catch(nodes: Sequence["SgNode"]) -> Iterator[tuple[int, str]]:
    for node in nodes:
        if node.kind() != "try_statement":
            continue
        handler, final = node.field("handler"), node.field("finalizer")
        rest = [block.field("body") for block in (handler, final) if block is not None]
        body = node.field("body")
        if handler is None or body is None or not all(block is not None and _only_prints(block) for block in rest):
            continue
        if (line := _last_assert(body)) is not None:
            yield line, "asserts where `catch` takes the failure and goes on; let it through"


def _rejections_printed(root: "SgNode", nodes: Sequence["SgNode"]) -> Iterator[tuple[int, str]]:
    """`main().catch(console.error)` at the top level, if `main` ends with asserts and is called only there."""
    for statement in _statements(root):
        called = _only_child(statement) if statement.kind() == "expression_statement" else None
        if called is not None and called.kind() == "await_expression":
            called = _only_child(called)
        is_caught = False
        while called is not None and (link := _link(called)) is not None:
            method, receiver, arguments = link
            if method not in ("then", "catch", "finally") or len(arguments) != 1 or not _is_print(arguments[0]):
                break
            is_caught, called = is_caught or method == "catch", receiver
        body = _async_body(called, nodes) if called is not None and is_caught else None
        if body is not None and _last_assert(body) is not None:
            yield _line(statement), "only prints what its asserts find; leave out the `.catch(...)`"


def _link(call: "SgNode") -> tuple[str, "SgNode", list["SgNode"]] | None:
    """The method, the receiver and the arguments of `receiver.method(...)`. None: it is not such a call."""
    function, arguments = call.field("function"), call.field("arguments")
    if call.kind() != "call_expression" or function is None or arguments is None:
        return None
    receiver, method = function.field("object"), function.field("property")
    if function.kind() != "member_expression" or receiver is None or method is None:
        return None
    return method.text(), receiver, _statements(arguments)


def _async_body(call: "SgNode", nodes: Sequence["SgNode"]) -> "SgNode | None":
    """The body of the called async function: an inline one, or one that is called only here."""
    function = call.field("function") if call.kind() == "call_expression" else None
    if function is not None and function.kind() == "parenthesized_expression":
        function = _only_child(function)
    elif function is not None and function.kind() == "identifier":
        name = function.text()
        if sum(node.kind() == "identifier" and node.text() == name for node in nodes) != 2:  # declared, called
            return None
        declared = (node for node in nodes if node.kind() == "function_declaration")
        function = next((node for node in declared if _name(node) == name), None)
    if function is None or function.kind() not in _FUNCTIONS or not function.text().startswith("async"):
        return None
    return function.field("body")


def _name(declaration: "SgNode") -> str | None:
    name = declaration.field("name")
    return None if name is None else name.text()


def _last_assert(block: "SgNode") -> int | None:
    """The line of the last assert of a block, if only prints follow it. None otherwise."""
    statements = _statements(block)
    while statements and _prints(statements[-1]):
        statements.pop()
    return _line(statements[-1]) if statements and _calls(statements[-1], _ASSERT) else None


def _only_prints(block: "SgNode") -> bool:
    return all(_prints(statement) for statement in _statements(block))


def _prints(statement: "SgNode") -> bool:
    return _calls(statement, _PRINT)


def _is_print(function: "SgNode") -> bool:
    """Whether a promise callback only prints."""
    if function.kind() not in ("arrow_function", "function_expression"):
        return _PRINT.fullmatch(function.text()) is not None
    body = function.field("body")
    if body is None:
        return False
    return _only_prints(body) if body.kind() == "statement_block" else _is_call(body, _PRINT)


def _calls(statement: "SgNode", names: re.Pattern[str]) -> bool:
    called = _only_child(statement) if statement.kind() == "expression_statement" else None
    if called is not None and called.kind() == "await_expression":
        called = _only_child(called)
    return called is not None and _is_call(called, names)


def _is_call(node: "SgNode", names: re.Pattern[str]) -> bool:
    function = node.field("function") if node.kind() == "call_expression" else None
    return function is not None and names.fullmatch(function.text()) is not None


def _is_equality(node: "SgNode | None") -> bool:
    operator = node.field("operator") if node is not None and node.kind() == "binary_expression" else None
    return operator is not None and operator.text() in _EQUALITY


def _may_be_there_to_raise(statement: "SgNode") -> bool:
    """Whether it is inside a `try`, or in a function that is not a test, which `assert.throws` may call."""
    return any(
        node.kind() == "try_statement" or (node.kind() in _FUNCTIONS and not _is_a_test(node))
        for node in statement.ancestors()
    )


def _is_a_test(function: "SgNode") -> bool:
    arguments = function.parent()
    call = arguments.parent() if arguments is not None and arguments.kind() == "arguments" else None
    return call is not None and _is_call(call, _TEST)


def _only_child(node: "SgNode") -> "SgNode | None":
    children = _statements(node)
    return children[0] if len(children) == 1 else None


def _statements(block: "SgNode") -> list["SgNode"]:
    return [child for child in block.children() if child.is_named() and child.kind() != "comment"]


def _line(node: "SgNode") -> int:
    return node.range().start.line + 1
