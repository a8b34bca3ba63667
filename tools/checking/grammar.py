"""Whether code parses by the tree-sitter grammar of its language; they come inside the ast-grep wheel.

A tree-sitter grammar repairs what it cannot read, with `ERROR` nodes and with tokens of no width. It
accepts some invalid programs (for JavaScript all that a compiler refuses later, as a name declared
twice), and for several languages it refuses valid ones: newer syntax, macros, embedded languages. Where
it does, what it refuses is a suspicion and no failure. `chargehand bench checking` measures both.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from .reading import finding_at, not_checked, read_result
from .result import CheckResult, Finding

if TYPE_CHECKING:
    from ast_grep_py import SgNode

BYTES_AT_MOST = 500_000
"""Reading takes about a microsecond a byte, in one thread."""


_Forms: TypeAlias = tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]


@dataclass(frozen=True)
class Grammar:
    names: tuple[str, ...]
    """What ast-grep calls the grammars of the language; code that any of them accepts is accepted.
    A name that it does not know makes it panic."""
    refuses_only_what_is_wrong: bool
    """False: it also refuses valid code, more often than one time in fifty."""
    newer: _Forms = ()
    """Valid forms that it does not know, and what it is given in their place, in as many lines, when it refuses the
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
    # `export * from 'a' with { type: 'json' }`, and `assert`, which Node.js took before version 22.
    (r"""(\bfrom\s*(['"])[^'"\n]*\2[ \t]*)(?:with|assert)[ \t]*\{[^{}\n]*\}""", r"\1"),
    # `String.raw`C:\users``: what is no escape elsewhere.
    (r"(?<=\.raw)`(?:\\.|[^`\\])*`", lambda found: found[0].replace("\\", "_")),
    # `[(a), b.c] = d` and `({ a: (b) } = c)`: brackets around what is assigned to.
    (r"(?<=[\[:,])(\s*)\(([\w$.]+)\)(?=\s*[\],}=](?!>))", r"\1\2"),
)

GRAMMARS: Mapping[str, Grammar] = {
    # Valid code that is refused, measured 2026-11-24 with ast-grep 0.51 (share of files or snippets):
    "bash": Grammar(("bash",), False),  # 9 of 132 scripts of a Debian system
    "c": Grammar(("c",), False),  # 70 of 150 files: macros, and #if around half a statement
    "cpp": Grammar(("cpp",), False),  # the same
    "csharp": Grammar(("csharp",), False),
    "css": Grammar(("css",), False),  # 4 of 84 style sheets: old ones that browsers take
    "go": Grammar(("go",), True, _NEWER_GO),  # none of 148 files of Go's own sources
    "html": Grammar(("html",), False),  # 22 of 145 pages; and HTML defines no invalid page
    "java": Grammar(("java",), True, _NEWER_JAVA),
    "javascript": Grammar(
        ("javascript",), True, _NEWER_JAVASCRIPT
    ),  # 8 of 1,174 of test262's parser tests, none of 150 files
    "kotlin": Grammar(("kotlin",), False),
    "php": Grammar(("php",), False),  # none of 150 files, but templates that begin outside of `<?php`
    "ruby": Grammar(("ruby",), True, _NEWER_RUBY),  # none of 150 files of Ruby's own library
    "rust": Grammar(("rust",), False),  # 50 of 187 of rust-analyzer's parser tests
    "swift": Grammar(("swift",), False),
    "typescript": Grammar(
        ("typescript", "tsx"), False, _NEWER_JAVASCRIPT
    ),  # 14 of 150 files, by `in` and `out` of types
}
"""What can be read, by our name of the language."""


def check_grammar(code: str, language: str) -> CheckResult:
    """`parse`; not_run, with a warning `syntax-suspect`, where the grammar's refusal proves nothing."""
    began = time.monotonic()
    grammar = GRAMMARS[language]
    if len(code) > BYTES_AT_MOST:
        return not_checked(f"larger than {BYTES_AT_MOST // 1000} kB")
    trouble = _trouble(code, grammar)
    known = code if trouble is None else _in_known_forms(code, grammar)
    if known != code:
        trouble = _trouble(known, grammar)
    if trouble is None:
        return read_result("parse", [], began)
    source = f"tree-sitter {language}"
    if grammar.refuses_only_what_is_wrong:
        return read_result("parse", [finding_at(trouble.line, "error", trouble.message, source, code)], began)
    finding = finding_at(trouble.line, "warning", f"syntax-suspect: {trouble.message}", source, code)
    return _suspect(finding, language, time.monotonic() - began)


def syntax_tree(code: str, language: str) -> "SgNode":
    """The root of the code's tree, by the first grammar that reads all of it. language: a key of GRAMMARS."""
    trees = [rough_tree(code, name) for name in GRAMMARS[language].names]
    return next((tree for tree in trees if next(_broken(tree), None) is None), trees[0])


def readable(code: str, language: str) -> str:
    """The code, with newer forms as older ones of as many lines where the grammar refuses it as it is.

    language: a key of GRAMMARS.
    """
    grammar = GRAMMARS[language]
    return code if _trouble(code, grammar) is None else _in_known_forms(code, grammar)


def rough_tree(code: str, name: str) -> "SgNode":
    """The root of the code's tree, with `ERROR` nodes where it cannot be read. name: one that ast-grep knows."""
    return _parser()(code, name).root()


def reads_as(code: str, name: str) -> bool:
    """Whether the grammar reads all of the code. name: one that ast-grep knows, `python` too."""
    return next(_broken(rough_tree(code, name)), None) is None


def _suspect(finding: Finding, language: str, seconds: float) -> CheckResult:
    note = f"not certain: {language} may be wrong at line {finding.line}; its grammar also refuses some valid code"
    return replace(CheckResult("parse", "not_run", note=note), findings=(finding,), seconds=seconds)


def _in_known_forms(code: str, grammar: Grammar) -> str:
    for form, known in grammar.newer:
        code = re.sub(form, known, code)
    return code


@dataclass(frozen=True)
class _Trouble:
    line: int
    message: str


def _trouble(code: str, grammar: Grammar) -> _Trouble | None:
    """The first place that no grammar of the language can read."""
    first: _Trouble | None = None
    whole = code if code.endswith("\n") else f"{code}\n"  # Go's ends a declaration at a line's end alone
    for name in grammar.names:
        found = next(_broken(rough_tree(whole, name)), None)
        if found is None:
            return None
        first = first or found
    return first


def _broken(root: "SgNode") -> Iterator[_Trouble]:
    """What the parser put in or left out to go on, in the order of the text."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        kind, place = node.kind(), node.range()
        if kind == "ERROR":
            yield _Trouble(_line_of_error(node), "this cannot be read")
            continue
        children = node.children()
        if not children and place.start.index == place.end.index and node.parent() is not None:
            yield _Trouble(place.start.line + 1, f"`{kind}` is missing here" if kind else "something is missing here")
        waiting.extend(reversed(children))


def _line_of_error(node: "SgNode") -> int:
    """The line of the innermost error: one that swallowed the whole file says nothing by its first line."""
    inner = [child for child in node.children() if child.kind() == "ERROR"]
    return _line_of_error(inner[0]) if inner else node.range().start.line + 1


@cache
def _parser():
    from ast_grep_py import SgRoot  # heavy, and not needed before the first answer in another language

    return SgRoot
