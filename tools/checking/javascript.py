"""Analyses JavaScript and TypeScript source: its module system, its names, its tests."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .grammar import all_nodes, in_known_syntax, syntax_tree

if TYPE_CHECKING:
    from ast_grep_py import SgNode

ModuleSystem = Literal["esm", "cjs"]

_FUNCTIONS = {
    "function_declaration", "generator_function_declaration", "function_expression", "generator_function",
    "arrow_function", "method_definition", "class_declaration", "class",
}  # fmt: skip
_VALUES = {
    "function_declaration", "generator_function_declaration", "class_declaration", "abstract_class_declaration",
    "enum_declaration",
}  # fmt: skip
_TYPES = {"interface_declaration", "type_alias_declaration"}
_JSX = {"jsx_element", "jsx_self_closing_element", "jsx_fragment"}

_TEST_FRAMEWORK = re.compile(r"""(?:^|;)\s*(?:describe|it|test|suite)(?:\.\w+)*\s*\(|['"]node:test['"]""", re.MULTILINE)
_WAITS = re.compile(
    r"\basync\b|\.(?:then|rejects|doesNotReject)\s*\(|\bset(?:Timeout|Interval|Immediate)\b|\bnew Promise\b"
    r"|\bnextTick\b"
)
_REPLACES_EXIT = re.compile(r"""\bprocess\.exit\s*=[^=]|\(\s*process\s*,\s*['"]exit['"]""")
_SOLUTION = re.compile(r"""(['"])(?:\.{1,2}/)+(?:[\w-]+/)*solution(?:\.[cm]?[jt]sx?)?\1""")


@dataclass(frozen=True)
class Program:
    """The analysis of one file."""

    system: ModuleSystem
    values: frozenset[str]
    """Names defined at the top level that exist at run time."""
    types: frozenset[str]
    """Names that exist only for TypeScript's compiler."""
    imported: frozenset[str]
    exported: frozenset[str]
    """Exported names, including `default`. ES modules only."""
    has_jsx: bool
    can_fail: bool
    """Whether its top level throws, constructs, or calls anything but printing."""


def read_program(code: str, language: str) -> Program:
    """language: `javascript` or `typescript`."""
    root = syntax_tree(in_known_syntax(code, language), language)
    statements = root.children()
    values: set[str] = set()
    types: set[str] = set()
    imported: set[str] = set()
    exported: set[str] = set()
    for statement in statements:
        if statement.kind() == "import_statement":
            imported.update(_names(statement))
        if statement.kind() == "export_statement":
            exported.update(_exported(statement))
        for declaration in (statement, *(statement.children() if statement.kind() == "export_statement" else ())):
            values.update(_declared(declaration, _VALUES))
            types.update(_declared(declaration, _TYPES))
    kinds = {statement.kind() for statement in statements}
    awaits = any(node.kind() in ("await_expression", "for_in_statement") and _is_await(node) for node in _outside(root))
    is_esm = bool(kinds & {"import_statement", "export_statement"}) or awaits
    return Program(
        system="esm" if is_esm else "cjs",
        values=frozenset(values),
        types=frozenset(types - values),
        imported=frozenset(imported),
        exported=frozenset(exported),
        has_jsx="<" in code and any(node.kind() in _JSX for node in all_nodes(root)),
        can_fail=any(_does_something(node) for node in _outside(root)),
    )


def uses_a_test_framework(tests: str) -> bool:
    """Whether the tests call `describe`, `it` or `test`, rather than being a plain script."""
    return _TEST_FRAMEWORK.search(tests) is not None


def may_continue(tests: str) -> bool:
    """Whether a test script may continue asynchronously after its last line."""
    return _WAITS.search(tests) is not None


def with_one_solution(tests: str, folder: str = ".") -> str:
    """The tests with every specifier of the answer's module, such as `../src/solution.ts`, replaced by
    `./solution.js`.

    folder: the location of that module, relative to the tests.
    """
    return _SOLUTION.sub(rf"\1{folder}/solution.js\1", tests)


def with_tracked_exits(tests: str, language: str) -> str:
    """The tests with their `process.exit(…)` calls replaced by one that ends the tests, not the process.

    Tests that replace `process.exit` themselves are left alone.
    """
    if "process.exit" not in tests or _REPLACES_EXIT.search(tests):
        return tests
    root = syntax_tree(tests, language)
    called = (call.field("function") for call in root.find_all(kind="call_expression"))
    exits = [callee for callee in called if callee is not None and callee.text() == "process.exit"]
    return root.commit_edits([callee.replace("process$exit") for callee in exits])


def with_exports(code: str, program: Program, *, typescript: bool) -> str:
    """The answer with all top-level names exported, including private ones."""
    hidden = sorted(program.values - program.exported)
    if program.system == "cjs":
        return f"{code}\n;module.names = {{ {', '.join(hidden)} }};\n"
    lines = [f"export {{ {', '.join(hidden)} }};"] if hidden else []
    if typescript:
        # Imports of types without the `type` keyword would fail after type stripping.
        lines += [f"export const {name} = undefined;" for name in sorted(program.types)]
    return "\n".join([code, *lines, ""])


def with_imports(tests: str, program: Program, answer: Program, folder: str = ".") -> str:
    """The tests with the answer's names, except those they define themselves, imported on their first line.

    folder: as for `with_one_solution`.
    """
    taken = program.values | program.imported | program.types
    names = ", ".join(sorted((answer.values | (answer.exported - {"default"})) - answer.types - taken))
    if not names:
        return tests
    if program.system == "esm":
        return f'import {{ {names} }} from "{folder}/names.js"; {tests}'
    return f'const {{ {names} }} = require("{folder}/names.js"); {tests}'


def _declared(node: "SgNode", kinds: set[str]) -> Iterator[str]:
    if node.kind() in kinds:
        name = node.field("name")
        if name is not None:
            yield name.text()
    elif node.kind() in ("lexical_declaration", "variable_declaration") and "enum_declaration" in kinds:
        for declarator in node.children():
            pattern = declarator.field("name") if declarator.kind() == "variable_declarator" else None
            if pattern is not None:
                yield from _bound(pattern)


def _bound(pattern: "SgNode") -> Iterator[str]:
    """The names that a pattern binds."""
    kind = pattern.kind()
    if kind in ("identifier", "shorthand_property_identifier_pattern"):
        yield pattern.text()
    elif kind in ("assignment_pattern", "object_assignment_pattern"):
        left = pattern.field("left")
        if left is not None:
            yield from _bound(left)
    elif kind == "pair_pattern":
        value = pattern.field("value")
        if value is not None:
            yield from _bound(value)
    elif kind in ("object_pattern", "array_pattern", "rest_pattern"):
        for child in pattern.children():
            yield from _bound(child)


def _names(statement: "SgNode") -> Iterator[str]:
    """The names that an import binds."""
    for node in statement.find_all(kind="import_specifier"):
        name = node.field("alias") or node.field("name")
        if name is not None:
            yield name.text()
    for clause in statement.find_all(kind="import_clause"):
        yield from (child.text() for child in clause.children() if child.kind() == "identifier")
    for namespace in statement.find_all(kind="namespace_import"):
        yield from (child.text() for child in namespace.children() if child.kind() == "identifier")


def _exported(statement: "SgNode") -> Iterator[str]:
    children = statement.children()
    if any(child.kind() == "default" for child in children):
        yield "default"
        return
    for child in children:
        yield from _declared(child, _VALUES | _TYPES)
    for specifier in statement.find_all(kind="export_specifier"):
        name = specifier.field("alias") or specifier.field("name")
        if name is not None:
            yield name.text()


def _outside(root: "SgNode") -> Iterator["SgNode"]:
    """The nodes that run when the file is loaded: none inside functions and classes."""
    waiting = list(root.children())
    while waiting:
        node = waiting.pop()
        yield node
        if node.kind() not in _FUNCTIONS:
            waiting.extend(node.children())


def _is_await(node: "SgNode") -> bool:
    return node.kind() == "await_expression" or any(child.kind() == "await" for child in node.children())


def _does_something(node: "SgNode") -> bool:
    if node.kind() in ("throw_statement", "new_expression"):
        return True
    called = node.field("function") if node.kind() == "call_expression" else None
    if called is None:
        return False
    return re.match(r"console\.(?!assert\b)|require$|import$", called.text()) is None
