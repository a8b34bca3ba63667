"""Checks whether code parses, by the tree-sitter grammars in the ast-grep wheel.

A tree-sitter grammar recovers from errors with `ERROR` nodes and zero-width tokens. It accepts some invalid programs
(for JavaScript, everything that is rejected after parsing, such as a duplicate declaration), and for several languages
it rejects valid ones: newer syntax, macros, embedded languages. For those an error is only a suspicion, not a failure.
`chargehand bench checking` measures both rates.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from .reading import finding_at, not_checked, static_result
from .result import CheckResult, Finding

if TYPE_CHECKING:
    from ast_grep_py import SgNode

BYTES_AT_MOST = 500_000
"""Parsing takes about 1 µs per byte, in one thread."""


_Forms: TypeAlias = tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]


@dataclass(frozen=True)
class Grammar:
    names: tuple[str, ...]
    """The names of the language's grammars in ast-grep; code that any of them accepts is accepted. ast-grep panics on
    unknown names."""
    is_reliable: bool
    """False: it also rejects valid code, in more than 2% of cases."""
    newer: _Forms = ()
    """Valid forms that it does not know, and the replacements, of as many lines, that are tried when it rejects the
    code."""


# `new(300)`: any value (Go 1.26).
_NEWER_GO = ((r"\bnew\(", "new_("),)
# `import module java.base;`, and statements before `super(…)` or `this(…)` (Java 25, JEP 511 and 513).
_NEWER_JAVA = ((r"(?m)^([ \t]*import\s+)module\s", r"\1"), (r"(?<![.\w>])(super|this)(?=\s*\()", r"\1_"))
# `def greet = puts "hi"`: a call without parentheses as the whole method (Ruby 3.1).
_NEWER_RUBY = ((r"(?:\bprivate\s+)?\bdef\s+(?:self\.)?\w+[?!]?(?:\([^()\n]*\))?[ \t]*=[ \t]+(?=[a-z_]\w*[?!]? )", ""),)
_NEWER_JAVASCRIPT: _Forms = (
    # `@(found.by()) class A {}`, and `static accessor x = 1` in a class.
    (r"(?<![\w$)\]])@\(", "@a("),
    (
        r"(?m)((?:^|[{;}])[ \t]*(?:@[\w$.]+(?:\([^()\n]*\))?[ \t]+)*(?:static[ \t]+)?)accessor[ \t]+(?=[\w$#\['\"])",
        r"\1",
    ),
    # `import defer * as a from 'a'`, `import source a from 'a'`, and both as calls.
    (r"\b(import\s+)(?:defer\s+(?=\*)|source\s+(?=[\w$]+\s+from\b))", r"\1"),
    (r"\bimport\.(?:source|defer)(?=\s*\()", "import"),
    # `export * from 'a' with { type: 'json' }`, and `assert`, which Node.js accepted before version 22.
    (r"""(\bfrom\s*(['"])[^'"\n]*\2[ \t]*)(?:with|assert)[ \t]*\{[^{}\n]*\}""", r"\1"),
    # `String.raw`C:\users``: invalid escapes elsewhere.
    (r"(?<=\.raw)`(?:\\.|[^`\\])*`", lambda found: found[0].replace("\\", "_")),
    # `[(a), b.c] = d` and `({ a: (b) } = c)`: parenthesized assignment targets.
    (r"(?<=[\[:,])(\s*)\(([\w$.]+)\)(?=\s*[\],}=](?!>))", r"\1\2"),
)

GRAMMARS: Mapping[str, Grammar] = {
    # Valid code that is rejected, measured 2026-11-24 with ast-grep 0.51 (share of files or snippets):
    "bash": Grammar(("bash",), False),  # 9 of 132 scripts of a Debian system
    "c": Grammar(("c",), False),  # 70 of 150 files: macros, and #if around half a statement
    "cpp": Grammar(("cpp",), False),  # the same
    "csharp": Grammar(("csharp",), False),
    "css": Grammar(("css",), False),  # 4 of 84 style sheets: legacy ones that browsers accept
    "go": Grammar(("go",), True, _NEWER_GO),  # none of 148 files of Go's own sources
    "html": Grammar(("html",), False),  # 22 of 145 pages; and HTML defines no page as invalid
    "java": Grammar(("java",), True, _NEWER_JAVA),
    # 8 of 1,174 of test262's parser tests, none of 150 files
    "javascript": Grammar(("javascript",), True, _NEWER_JAVASCRIPT),
    "kotlin": Grammar(("kotlin",), False),
    "php": Grammar(("php",), False),  # none of 150 files, but templates that begin outside `<?php`
    "ruby": Grammar(("ruby",), True, _NEWER_RUBY),  # none of 150 files of Ruby's own library
    "rust": Grammar(("rust",), False),  # 50 of 187 of rust-analyzer's parser tests
    "swift": Grammar(("swift",), False),
    # 14 of 150 files, with `in` and `out` variance annotations
    "typescript": Grammar(("typescript", "tsx"), False, _NEWER_JAVASCRIPT),
}
"""The grammars, by our name of the language."""


def check_grammar(code: str, language: str) -> CheckResult:
    """`parse`; `not_run`, with a warning `syntax-suspect`, if the grammar is unreliable and rejects the code."""
    began = time.monotonic()
    grammar = GRAMMARS[language]
    if len(code) > BYTES_AT_MOST:
        return not_checked(f"larger than {BYTES_AT_MOST // 1000} kB")
    problem = _syntax_problem(code, grammar)
    known = code if problem is None else _in_known_forms(code, grammar)
    if known != code:
        problem = _syntax_problem(known, grammar)
    if problem is None:
        return static_result("parse", [], began)
    source = f"tree-sitter {language}"
    if grammar.is_reliable:
        return static_result("parse", [finding_at(problem.line, "error", problem.message, source, code)], began)
    finding = finding_at(problem.line, "warning", f"syntax-suspect: {problem.message}", source, code)
    return _suspect(finding, language, time.monotonic() - began)


def syntax_tree(code: str, language: str) -> "SgNode":
    """The root of the syntax tree, from the first grammar that parses without errors. language: a key of GRAMMARS."""
    trees = [rough_tree(code, name) for name in GRAMMARS[language].names]
    return next((tree for tree in trees if next(_broken(tree), None) is None), trees[0])


def all_nodes(root: "SgNode") -> Iterator["SgNode"]:
    """The root and every node below it."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(node.children())


def in_known_syntax(code: str, language: str) -> str:
    """The code, or a version with newer forms replaced by older ones of as many lines if the grammar rejects it.

    language: a key of GRAMMARS.
    """
    grammar = GRAMMARS[language]
    return code if _syntax_problem(code, grammar) is None else _in_known_forms(code, grammar)


def rough_tree(code: str, name: str) -> "SgNode":
    """The root of the syntax tree, with `ERROR` nodes for invalid parts. name: a grammar that ast-grep knows."""
    return _parser()(code, name).root()


def reads_as(code: str, name: str) -> bool:
    """Whether the code parses without errors. name: a grammar that ast-grep knows, including `python`."""
    return next(_broken(rough_tree(code, name)), None) is None


def _suspect(finding: Finding, language: str, seconds: float) -> CheckResult:
    note = f"not certain: {language} may be wrong at line {finding.line}; its grammar also refuses some valid code"
    return replace(CheckResult("parse", "not_run", note=note), findings=(finding,), seconds=seconds)


def _in_known_forms(code: str, grammar: Grammar) -> str:
    for form, known in grammar.newer:
        code = re.sub(form, known, code)
    return code


@dataclass(frozen=True)
class _SyntaxProblem:
    line: int
    message: str


def _syntax_problem(code: str, grammar: Grammar) -> _SyntaxProblem | None:
    """The first syntax error, if every grammar of the language finds one."""
    first: _SyntaxProblem | None = None
    whole = code if code.endswith("\n") else f"{code}\n"  # Go's grammar needs a final line end
    for name in grammar.names:
        found = next(_broken(rough_tree(whole, name)), None)
        if found is None:
            return None
        first = first or found
    return first


def _broken(root: "SgNode") -> Iterator[_SyntaxProblem]:
    """The parser's error recoveries, in text order."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        kind, place = node.kind(), node.range()
        if kind == "ERROR":
            yield _SyntaxProblem(_line_of_error(node), "this cannot be read")
            continue
        children = node.children()
        if not children and place.start.index == place.end.index and node.parent() is not None:
            yield _SyntaxProblem(
                place.start.line + 1, f"`{kind}` is missing here" if kind else "something is missing here"
            )
        waiting.extend(reversed(children))


def _line_of_error(node: "SgNode") -> int:
    """The line of the innermost error, because an outer one may span the whole file."""
    inner = [child for child in node.children() if child.kind() == "ERROR"]
    return _line_of_error(inner[0]) if inner else node.range().start.line + 1


@cache
def _parser():
    from ast_grep_py import SgRoot  # slow to import, and only needed for languages other than Python

    return SgRoot
