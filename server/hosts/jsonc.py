"""Changes single members of a JSON text that may contain comments and trailing commas, and leaves the rest as it is.

VS Code and Zed read such files, and their users edit them by hand, so all other text is preserved exactly.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from .malformed import Malformed

# Values are JSON of any shape, hence Any in this module.

_DEEPEST = 100
"""Levels of objects and arrays; far more than any configuration has, and far below Python's recursion limit."""

_TRAILING_COMMENT = re.compile(r"[ \t]*(?://[^\r\n]*|/\*(?:(?!\*/)[^\r\n])*\*/(?=[ \t]*\r?\n))")
"""A comment between a value and the end of its line."""


class NotJson(Malformed):
    """The text is not JSON, comments and trailing commas allowed. The message names line and column."""


class DuplicateMember(NotJson):
    """The member to change occurs more than once in its object. The message names the line."""


@dataclass(frozen=True)
class Node:
    """A value and its position in the text."""

    begin: int
    end: int
    """Offset past its last character."""
    value: Any
    members: "Mapping[str, Member] | None" = None
    """For an object. None otherwise."""
    elements: "Sequence[Node] | None" = None
    """For an array. None otherwise."""
    duplicates: "Mapping[str, DuplicateMember]" = field(default_factory=dict[str, "DuplicateMember"])
    """For an object: an error for each name that occurs more than once. JSON parsers use the last occurrence."""

    def member(self, name: str) -> "Member | None":
        """The member of that name. Raises DuplicateMember if there are several."""
        if name in self.duplicates:
            raise self.duplicates[name]
        return self.members.get(name) if self.members is not None else None


@dataclass(frozen=True)
class Member:
    begin: int
    """Offset of its name."""
    node: Node


def parse(text: str) -> Node:
    """The root value. Raises NotJson."""
    reader = _Reader(text)
    reader.skip()
    node = reader.value()
    reader.skip()
    if reader.at < len(text):
        raise reader.error("there is text after the end")
    return node


def content(text: str) -> Any:
    """The root value in Python's types. Raises NotJson."""
    return parse(text).value


def with_member(text: str, path: Sequence[str], value: Any) -> str:
    """The text with a member set; missing objects on the path are created.

    Raises NotJson, or TypeError if a value on the path is not an object.
    """
    *way, name = path
    node, depth = parse(text), 0
    for depth, step in enumerate(way, start=1):
        _require_object(node, way[: depth - 1])
        member = node.member(step)
        if member is None:
            made: Any = value
            for inner in reversed([*way[depth:], name]):
                made = {inner: made}
            return _inserted(text, node, step, made, depth)
        node = member.node
    _require_object(node, way)
    found = node.member(name)
    if found is None:
        return _inserted(text, node, name, value, depth + 1)
    if found.node.value == value:
        return text
    return text[: found.node.begin] + _encoded(value, text, _indent_of(text, found.begin)) + text[found.node.end :]


def without_member(text: str, path: Sequence[str]) -> str:
    """The text without a member; unchanged if it is missing. Raises NotJson."""
    *way, name = path
    node = _at(text, way)
    member = node.member(name) if node is not None else None
    if node is None or member is None:
        return text
    return _cut(text, node, member.begin, member.node.end)


def with_element(text: str, path: Sequence[str], value: Any) -> str:
    """The text with a value appended to an array, created if missing. Raises NotJson or TypeError."""
    node = _at(text, path)
    if node is None:
        return with_member(text, path, [value])
    if node.elements is None:
        raise TypeError(f"{'.'.join(path)} is not an array")
    return _appended(text, node, _encoded(value, text, _unit(text) * (len(path) + 1)), len(path) + 1)


def without_element(text: str, path: Sequence[str], index: int) -> str:
    """The text without one element of an array; unchanged if it is missing. Raises NotJson."""
    node = _at(text, path)
    if node is None or node.elements is None or index >= len(node.elements):
        return text
    element = node.elements[index]
    return _cut(text, node, element.begin, element.end)


def _at(text: str, path: Sequence[str]) -> Node | None:
    node = parse(text)
    for step in path:
        member = node.member(step)
        if member is None:
            return None
        node = member.node
    return node


def _require_object(node: Node, path: Sequence[str]) -> None:
    if node.members is None:
        raise TypeError(f"{'.'.join(path) or 'the file'} is not an object")


def _inserted(text: str, node: Node, name: str, value: Any, depth: int) -> str:
    indent = _unit(text) * depth
    return _appended(text, node, f"{json.dumps(name, ensure_ascii=False)}: {_encoded(value, text, indent)}", depth)


def _appended(text: str, node: Node, written: str, depth: int) -> str:
    """The text with an entry appended to an object or array, on a new line."""
    unit, end_of_line = _unit(text), _line_end(text)
    last = [m.node.end for m in (node.members or {}).values()] + [e.end for e in node.elements or ()]
    if not last:
        between = text[node.begin + 1 : node.end - 1].rstrip()
        head, tail = text[: node.begin + 1] + between, unit * (depth - 1) + text[node.end - 1 :]
        return f"{head}{end_of_line}{unit * depth}{written}{end_of_line}{tail}"
    end = max(last)
    comma = _comma_after(text, end)
    if comma is None:
        text, node_end, at = f"{text[:end]},{text[end:]}", node.end + 1, end + 1
    else:  # the file uses trailing commas, so the new entry gets one too
        node_end, at, written = node.end, comma, f"{written},"
    if comment := _TRAILING_COMMENT.match(text, at):  # a comment on the same line stays with its entry
        at = comment.end()
    tail = text[at:]
    if "\n" not in text[at:node_end]:
        tail = f"{end_of_line}{unit * (depth - 1)}{tail.lstrip()}"
    return f"{text[:at]}{end_of_line}{unit * depth}{written}{tail}"


def _cut(text: str, node: Node, begin: int, end: int) -> str:
    """The text without a member or element of a node, its comma, and the line if it is left empty."""
    after = _comma_after(text, end)
    if after is not None:
        end = after
    else:  # the last entry: remove the comma before it instead
        before = [m.node.end for m in (node.members or {}).values()] + [e.end for e in node.elements or ()]
        earlier = max((place for place in before if place <= begin), default=None)
        if earlier is not None and (comma := _comma_after(text, earlier)) is not None:
            text = text[: comma - 1] + text[comma:]
            begin, end = begin - 1, end - 1
    line = text.rfind("\n", 0, begin) + 1
    if not text[line:begin].strip() and (rest := re.compile(r"[ \t]*\r?\n").match(text, end)):
        begin, end = line, rest.end()
    return text[:begin] + text[end:]


def _comma_after(text: str, at: int) -> int | None:
    """Offset past the comma that follows a position, comments between them allowed. None: no comma follows."""
    reader = _Reader(text, at)
    reader.skip()
    return reader.at + 1 if text[reader.at : reader.at + 1] == "," else None


def _encoded(value: Any, text: str, indent: str) -> str:
    """The value as JSON in the style of the text; lines after the first are indented."""
    return json.dumps(value, indent=_unit(text), ensure_ascii=False).replace("\n", f"{_line_end(text)}{indent}")


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _unit(text: str) -> str:
    """One level of indentation, from the first indented line."""
    first = re.search(r"^[{\[].*\n([ \t]+)\S", text, re.MULTILINE)
    return first[1] if first else "  "


def _indent_of(text: str, at: int) -> str:
    line = text.rfind("\n", 0, at) + 1
    indent = re.compile(r"[ \t]*").match(text, line)
    return indent[0] if indent else ""


class _Reader:
    """A recursive-descent parser that starts at an offset."""

    _SPACE = re.compile(r"(?:[ \t\r\n\ufeff]|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
    _STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
    _PLAIN = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")

    def __init__(self, text: str, at: int = 0) -> None:
        self.text = text
        self.at = at
        self._depth = 0

    def skip(self) -> None:
        space = self._SPACE.match(self.text, self.at)
        self.at = space.end() if space else self.at

    def value(self) -> Node:
        match self.text[self.at : self.at + 1]:
            case "{" | "[" as bracket:
                if self._depth == _DEEPEST:
                    raise self.error(f"it is nested more than {_DEEPEST} levels deep")
                self._depth += 1
                node = self._object() if bracket == "{" else self._array()
                self._depth -= 1
                return node
            case '"':
                begin, name = self.at, self._string()
                return Node(begin, self.at, name)
            case _:
                begin, plain = self.at, self._PLAIN.match(self.text, self.at)
                if plain is None:
                    raise self.error("a value is missing")
                self.at = plain.end()
                return Node(begin, self.at, json.loads(plain[0]))

    def error(self, what: str) -> NotJson:
        line = self.text.count("\n", 0, self.at) + 1
        column = self.at - self.text.rfind("\n", 0, self.at)
        return NotJson(f"line {line}, column {column}: {what}")

    def _object(self) -> Node:
        begin, members, duplicates = self.at, dict[str, Member](), dict[str, DuplicateMember]()
        self.at += 1
        while not self._closes("}", has_some=bool(members)):
            named = self.at
            name = self._string()
            if name in members:
                duplicates[name] = DuplicateMember(
                    f"line {self.text.count(chr(10), 0, named) + 1}: {name!r:.80} stands twice"
                )
            self.skip()
            if self.text[self.at : self.at + 1] != ":":
                raise self.error("a colon is missing")
            self.at += 1
            self.skip()
            members[name] = Member(named, self.value())
        return Node(
            begin,
            self.at,
            {name: member.node.value for name, member in members.items()},
            members,
            duplicates=duplicates,
        )

    def _array(self) -> Node:
        begin, elements = self.at, list[Node]()
        self.at += 1
        while not self._closes("]", has_some=bool(elements)):
            elements.append(self.value())
        return Node(begin, self.at, [element.value for element in elements], elements=elements)

    def _closes(self, bracket: str, *, has_some: bool) -> bool:
        """Whether the closing bracket is next, and consume it; otherwise consume the required comma."""
        self.skip()
        if has_some and self.text[self.at : self.at + 1] == ",":
            self.at += 1
            self.skip()
            has_some = False
        if self.text[self.at : self.at + 1] == bracket:
            self.at += 1
            return True
        if has_some:
            raise self.error(f"a comma or {bracket} is missing")
        return False

    def _string(self) -> str:
        found = self._STRING.match(self.text, self.at)
        if found is None:
            raise self.error("a string in double quotes is missing")
        try:
            value = cast(str, json.loads(found[0]))
        except ValueError as error:
            raise self.error("a string contains an unknown escape") from error
        self.at = found.end()
        return value
