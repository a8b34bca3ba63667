"""Finds the tests that a commit added or changed in its test files."""

import ast
from collections.abc import Iterator, Mapping, Sequence

from .intent import parsed


def written_tests(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Selectors of added or changed tests: `path::name`, `path::Class::name`. before, after: test files by path."""
    selectors: list[str] = []
    for path, text in after.items():
        old = dict(_tests(before.get(path, "")))
        selectors += [f"{path}::{name}" for name, code in _tests(text) if old.get(name) != code]
    return selectors


def _tests(text: str) -> Iterator[tuple[str, str]]:
    """The name and AST dump of each test; the dump ignores formatting."""
    tree = parsed(text)
    for node in tree.body if tree is not None else ():
        if isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}::{name}", code) for name, code in _functions(node.body))
    yield from _functions(tree.body if tree is not None else ())


def _functions(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            yield node.name, ast.dump(node)
