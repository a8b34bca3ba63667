"""Finds JavaScript tests in which a failure may go unnoticed, and makes useless answers to try them on."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .grammar import all_nodes, syntax_tree
from .javascript import Program
from .unnoticed_failures import Useless

if TYPE_CHECKING:
    from ast_grep_py import SgNode

_ENDS = re.compile(r"(?i)assert|equal|throws|rejects|match|fail|exit|expect|should|\bok$")
"""Names of functions that end the tests for a wrong answer."""
_TEST = re.compile(r"(?:\w+\.)?(?:test|it|describe|suite)(?:\.\w+)*")
_FUNCTIONS = ("arrow_function", "function_expression", "function")
_SPOILED = """
const spoiled$ = new Proxy(function () {}, %s);
"""
_TRAPS = {
    "refusing": """Object.fromEntries(
  ["get", "set", "has", "apply", "construct", "ownKeys", "getPrototypeOf", "getOwnPropertyDescriptor"].map((name) => [
    name, () => { throw new Error("this answer refuses to be used"); },
  ]),
)""",
    "inert": """{
  get: (_, name) =>
    name === "then" || name === "__esModule" ? undefined
    : name === Symbol.toPrimitive ? () => ""
    : name === Symbol.iterator ? [][Symbol.iterator]
    : name === "length" ? 0
    : spoiled$,
  set: () => true,
  has: () => false,
  apply: () => spoiled$,
  construct: () => spoiled$,
}""",
}


def may_notice_nothing(tests: str, language: str, own: frozenset[str]) -> bool:
    """Whether no assert is certain to be reached and to end the tests.

    language: a key of GRAMMARS. own: names that the tests define.
    """
    return not any(_ends(statement, own) for statement in _reached(syntax_tree(tests, language)))


def only_tells(tests: str, language: str, own: frozenset[str]) -> bool:
    """Whether tests print what the answer gives, and nothing in them throws or calls what may."""
    nodes = list(all_nodes(syntax_tree(tests, language)))
    called = {name for node in nodes if (name := _called(node)) is not None and name not in own}
    if "exitCode" in tests or any(node.kind() == "throw_statement" for node in nodes):
        return False
    return not any(map(_ENDS.search, called)) and any(name.startswith("console.") for name in called)


def spoiled(answer: Program, useless: Useless) -> str:
    """The text of a useless answer with the same names: each refuses to be used, or gives itself and equals nothing."""
    names = sorted((answer.values | answer.exported) - answer.types - {"default"})
    text = _SPOILED % _TRAPS[useless]
    if answer.system == "cjs":
        listed = ", ".join(f"{name}: spoiled$" for name in names)
        return f"{text}module.exports = {{ {listed} }};\n"
    listed = ", ".join(f"spoiled$ as {name}" for name in names)
    default = "export default spoiled$;\n" if "default" in answer.exported else ""
    return f"{text}export {{ {listed} }};\n{default}"


def _reached(block: "SgNode") -> Iterator["SgNode"]:
    """The statements of a block, up to a `return`, and of the tests in it."""
    for statement in block.children():
        if statement.kind() == "return_statement":
            return
        yield statement
        call = _call(statement)
        if call is not None and _TEST.fullmatch(_called(call) or ""):
            yield from _in_callbacks(call)


def _in_callbacks(call: "SgNode") -> Iterator["SgNode"]:
    arguments = call.field("arguments")
    for given in () if arguments is None else arguments.children():
        body = given.field("body") if given.kind() in _FUNCTIONS else None
        if body is not None and body.kind() == "statement_block":
            yield from _reached(body)
        elif body is not None:
            yield body


def _ends(statement: "SgNode", own: frozenset[str]) -> bool:
    if statement.kind() in ("throw_statement", "if_statement"):
        return statement.kind() == "throw_statement" or re.search(r"\bthrow\b|exit", statement.text()) is not None
    name = _called(_call(statement) or statement)
    return name is not None and name not in own and _ENDS.search(name) is not None


def _call(statement: "SgNode") -> "SgNode | None":
    """The call that a statement is, awaited or not."""
    node = statement
    while node.kind() in ("expression_statement", "await_expression", "parenthesized_expression"):
        inside = [child for child in node.children() if child.is_named() and child.kind() != "comment"]
        if len(inside) != 1:
            return None
        node = inside[0]
    return node if node.kind() == "call_expression" else None


def _called(node: "SgNode") -> str | None:
    """The name of the called function, of a computed one its last part."""
    function = node.field("function") if node.kind() == "call_expression" else None
    if function is None or re.fullmatch(r"[\w$.]+", function.text()):
        return None if function is None else function.text()
    method = function.field("property")
    return "" if method is None else method.text()
