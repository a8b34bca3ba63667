"""Outlines a file: its imports and definitions with their signatures, from the syntax tree."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..checking.languages import language_of_file

if TYPE_CHECKING:
    from ast_grep_py import SgNode

CHARACTERS_AT_MOST = 1_000_000
"""Larger files are not parsed; parsing takes about 0.5 µs per character."""

_GRAMMARS = frozenset(
    ("bash", "c", "cpp", "csharp", "css", "go", "java", "javascript", "kotlin", "php", "python", "ruby", "rust")
) | {"swift", "typescript"}
"""The languages that are parsed; ast-grep uses the same names."""

_IMPORTS = re.compile(
    r"\w*import\w*|use_declaration|preproc_include|package_\w+|using_directive|namespace_use_declaration"
    r"|extern_crate_declaration|file_scoped_namespace_declaration|php_tag"
)
_FUNCTIONS = re.compile(r"\w*(?:function|method|constructor|arrow|lambda|closure)\w*|property_declaration")
_WRAPPERS = frozenset({"export_statement", "decorated_definition", "template_declaration", "expression_statement"})
_COMMENTS = re.compile(r"\w*comment")
_NAMING = ("name", "declarator", "left", "type", "key")
_NAMING_KINDS = re.compile(r"\w+_(?:declarator|spec)|(?:simple|type)_identifier")
_DEPTH_AT_MOST = 3
_NAME_DEPTH_AT_MOST = 6

# A definition without a body counts as its own signature up to this many lines.
_SIGNATURE_LINES = 3


@dataclass(frozen=True)
class Unit:
    """An import, a definition or a section of a file. Lines are counted from 0."""

    name: str
    """Empty: it has no name."""
    first_line: int
    last_line: int
    signature_last_line: int
    """The last line of the signature, which begins at `signature_first_line`, after any comments."""
    signature_first_line: int
    is_import: bool = False
    members: tuple["Unit", ...] = ()


def outline(path: str, text: str) -> tuple[Unit, ...]:
    """The units of a file, in order; split at headings (Markdown) or blank lines if the language is not parsed."""
    language = language_of_file(path)
    if language is None or language not in _GRAMMARS or len(text) > CHARACTERS_AT_MOST:
        return tuple(_sections(text) if language == "markdown" else _paragraphs(text))
    from ..checking.grammar import rough_tree

    name = "tsx" if path.lower().endswith(".tsx") else language
    return tuple(_units(rough_tree(text, name), depth=1))


def all_units(units: Sequence[Unit]) -> Iterator[Unit]:
    """The units and their members, in order."""
    for unit in units:
        yield unit
        yield from all_units(unit.members)


def _units(parent: "SgNode", depth: int) -> Iterator[Unit]:
    begins: int | None = None
    """First line of the comments directly before the next unit."""
    comments_end = -2
    for node in parent.children():
        first, last = _lines(node)
        kind = node.kind()
        if _COMMENTS.fullmatch(kind):
            begins = first if begins is None or first > comments_end + 1 else begins
            comments_end = last
            continue
        if not node.is_named():
            continue
        starts = begins if begins is not None and first == comments_end + 1 else first
        begins = None
        yield _unit(node, starts, depth)


def _unit(node: "SgNode", starts: int, depth: int) -> Unit:
    first, last = _lines(node)
    inner = _unwrapped(node)
    if _IMPORTS.fullmatch(inner.kind()):
        return Unit("", starts, last, last, starts, is_import=True)
    defining = _defining(inner)
    body = _body(defining)
    members: tuple[Unit, ...] = ()
    if body is None:
        ends = last if last - first < _SIGNATURE_LINES else first
    else:
        body_first = _lines(body)[0]
        ends = min(last, body_first if body.text()[:1] in "{(=" or body_first == first else body_first - 1)
        if depth < _DEPTH_AT_MOST and not _FUNCTIONS.fullmatch(defining.kind()):
            members = tuple(_units(body, depth + 1))
    return Unit(_name(inner), starts, last, max(first, ends), first, members=members)


def _unwrapped(node: "SgNode") -> "SgNode":
    """The definition inside an export, a decorator or a template."""
    while node.kind() in _WRAPPERS:
        inner = next((c for c in reversed(node.children()) if c.is_named() and not _COMMENTS.fullmatch(c.kind())), None)
        if inner is None:
            return node
        node = inner
    return node


def _defining(node: "SgNode") -> "SgNode":
    """The function or class assigned to a name (`const f = () => …`), or the node itself."""
    for child in node.children():
        if child.kind() in ("variable_declarator", "assignment", "type_spec"):
            return child.field("value") or child.field("right") or child.field("type") or node
    return node


def _body(node: "SgNode") -> "SgNode | None":
    return node.field("body") or next((c for c in node.children() if c.kind().endswith("_body")), None)


def _name(node: "SgNode") -> str:
    for _ in range(_NAME_DEPTH_AT_MOST):
        found = next((inner for field in _NAMING if (inner := node.field(field)) is not None), None)
        if found is None:
            found = next((c for c in node.children() if _NAMING_KINDS.fullmatch(c.kind())), None)
        if found is None:
            break
        node = found
    text = node.text()
    return text if re.fullmatch(r"[\w$:~.-]{1,100}", text) else ""


def _lines(node: "SgNode") -> tuple[int, int]:
    place = node.range()
    ends_before = place.end.column == 0 and place.end.line > place.start.line
    return place.start.line, place.end.line - ends_before


_HEADING = re.compile(r"#{1,6}\s+\S")


def _sections(text: str) -> Iterator[Unit]:
    """The sections of a Markdown file; the heading is the signature."""
    lines = text.split("\n")
    is_code = False
    begins = [0]
    for number, line in enumerate(lines):
        if line.lstrip().startswith("```"):
            is_code = not is_code
        elif not is_code and number and _HEADING.match(line):
            begins.append(number)
    yield from _between(begins, lines)


def _paragraphs(text: str) -> Iterator[Unit]:
    """The blocks between blank lines; the first line of each is the signature."""
    lines = text.split("\n")
    begins = [0, *(n for n in range(1, len(lines)) if lines[n].strip() and not lines[n - 1].strip())]
    yield from _between(begins, lines)


def _between(begins: Sequence[int], lines: Sequence[str]) -> Iterator[Unit]:
    for first, behind in zip(begins, [*begins[1:], len(lines)], strict=True):
        yield Unit("", first, behind - 1, first, first)
