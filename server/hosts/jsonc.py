"""Changes single members of a JSON text that may hold comments and trailing commas, and nothing else in it.

VS Code and Zed read such files, and their users write them by hand: what was there stays to the letter.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

# Values are JSON of any shape, hence Any in this module.


_REMARK = re.compile(r"[ \t]*(?://[^\r\n]*|/\*(?:(?!\*/)[^\r\n])*\*/(?=[ \t]*\r?\n))")
"""A comment between a value and the end of its line."""


class NotJson(ValueError):
    """The text is no JSON, comments and trailing commas allowed. The message names line and column."""


class StandsTwice(NotJson):
    """A member that is to be changed, and stands more than once in its object. The message names its line."""


@dataclass(frozen=True)
class Node:
    """A value and where it stands."""

    begin: int
    end: int
    """Just past its last character."""
    value: Any
    members: "Mapping[str, Member] | None" = None
    """Of an object."""
    elements: "Sequence[Node] | None" = None
    """Of an array."""
    twice: "Mapping[str, StandsTwice]" = field(default_factory=dict[str, "StandsTwice"])
    """Of an object: a complaint by each name that stands in it more than once; readers of JSON go by the last."""

    def member(self, name: str) -> "Member | None":
        """The one member of that name. Raises StandsTwice."""
        if name in self.twice:
            raise self.twice[name]
        return self.members.get(name) if self.members is not None else None


@dataclass(frozen=True)
class Member:
    begin: int
    """Where its name begins."""
    node: Node


def parse(text: str) -> Node:
    """Raises NotJson."""
    reader = _Reader(text)
    reader.skip()
    node = reader.value()
    reader.skip()
    if reader.at < len(text):
        raise reader.wrong("there is text after the end")
    return node


def with_member(text: str, path: Sequence[str], value: Any) -> str:
    """The text with a member set; objects on the way to it are made.

    Raises NotJson, or TypeError where something on the way is no object.
    """
    *way, name = path
    node, depth = parse(text), 0
    for depth, step in enumerate(way, start=1):
        _refuse_no_object(node, way[: depth - 1])
        member = node.member(step)
        if member is None:
            made: Any = value
            for inner in reversed([*way[depth:], name]):
                made = {inner: made}
            return _inserted(text, node, step, made, depth)
        node = member.node
    _refuse_no_object(node, way)
    found = node.member(name)
    if found is None:
        return _inserted(text, node, name, value, depth + 1)
    if found.node.value == value:
        return text
    return text[: found.node.begin] + _written(value, text, _indent_of(text, found.begin)) + text[found.node.end :]


def without_member(text: str, path: Sequence[str]) -> str:
    """The text without a member; as it is when there is none. Raises NotJson."""
    *way, name = path
    node = _at(text, way)
    member = node.member(name) if node is not None else None
    if node is None or member is None:
        return text
    return _cut(text, node, member.begin, member.node.end)


def with_element(text: str, path: Sequence[str], value: Any) -> str:
    """The text with a value at the end of an array, which is made when it is missing. Raises NotJson or TypeError."""
    node = _at(text, path)
    if node is None:
        return with_member(text, path, [value])
    if node.elements is None:
        raise TypeError(f"{'.'.join(path)} is not an array")
    return _appended(text, node, _written(value, text, _unit(text) * (len(path) + 1)), len(path) + 1)


def without_element(text: str, path: Sequence[str], index: int) -> str:
    """The text without the element of an array. Raises NotJson."""
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


def _refuse_no_object(node: Node, path: Sequence[str]) -> None:
    if node.members is None:
        raise TypeError(f"{'.'.join(path) or 'the file'} is not an object")


def _inserted(text: str, node: Node, name: str, value: Any, depth: int) -> str:
    indent = _unit(text) * depth
    return _appended(text, node, f"{json.dumps(name, ensure_ascii=False)}: {_written(value, text, indent)}", depth)


def _appended(text: str, node: Node, written: str, depth: int) -> str:
    """The text with something written at the end of an object or array, on a line of its own."""
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
    else:  # who ends the last line with a comma gets the new one so, too
        node_end, at, written = node.end, comma, f"{written},"
    if remark := _REMARK.match(text, at):  # a comment that speaks of what stands before it stays with it
        at = remark.end()
    tail = text[at:]
    if "\n" not in text[at:node_end]:
        tail = f"{end_of_line}{unit * (depth - 1)}{tail.lstrip()}"
    return f"{text[:at]}{end_of_line}{unit * depth}{written}{tail}"


def _cut(text: str, node: Node, begin: int, end: int) -> str:
    """The text without a member or element of a node, its comma, and the line that it leaves empty."""
    after = _comma_after(text, end)
    if after is not None:
        end = after
    else:  # the last: the comma before it goes instead
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
    """Just past the comma that follows a place, comments between them allowed. None: none does."""
    reader = _Reader(text, at)
    reader.skip()
    return reader.at + 1 if text[reader.at : reader.at + 1] == "," else None


def _written(value: Any, text: str, indent: str) -> str:
    """The value as the text would have it, its lines after the first indented."""
    return json.dumps(value, indent=_unit(text), ensure_ascii=False).replace("\n", f"{_line_end(text)}{indent}")


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _unit(text: str) -> str:
    """What the file indents by: its first indented line says."""
    first = re.search(r"^[{\[].*\n([ \t]+)\S", text, re.MULTILINE)
    return first[1] if first else "  "


def _indent_of(text: str, at: int) -> str:
    line = text.rfind("\n", 0, at) + 1
    indent = re.compile(r"[ \t]*").match(text, line)
    return indent[0] if indent else ""


class _Reader:
    """Reads values from a place on."""

    _SPACE = re.compile(r"(?:[ \t\r\n\ufeff]|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
    _STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
    _PLAIN = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")

    def __init__(self, text: str, at: int = 0) -> None:
        self.text = text
        self.at = at

    def skip(self) -> None:
        space = self._SPACE.match(self.text, self.at)
        self.at = space.end() if space else self.at

    def value(self) -> Node:
        match self.text[self.at : self.at + 1]:
            case "{":
                return self._object()
            case "[":
                return self._array()
            case '"':
                begin, name = self.at, self._string()
                return Node(begin, self.at, name)
            case _:
                begin, plain = self.at, self._PLAIN.match(self.text, self.at)
                if plain is None:
                    raise self.wrong("a value is missing")
                self.at = plain.end()
                return Node(begin, self.at, json.loads(plain[0]))

    def wrong(self, what: str) -> NotJson:
        line = self.text.count("\n", 0, self.at) + 1
        column = self.at - self.text.rfind("\n", 0, self.at)
        return NotJson(f"line {line}, column {column}: {what}")

    def _object(self) -> Node:
        begin, members, twice = self.at, dict[str, Member](), dict[str, StandsTwice]()
        self.at += 1
        while not self._closes("}", has_some=bool(members)):
            named = self.at
            name = self._string()
            if name in members:
                twice[name] = StandsTwice(f"line {self.text.count(chr(10), 0, named) + 1}: {name!r:.80} stands twice")
            self.skip()
            if self.text[self.at : self.at + 1] != ":":
                raise self.wrong("a colon is missing")
            self.at += 1
            self.skip()
            members[name] = Member(named, self.value())
        return Node(begin, self.at, {name: member.node.value for name, member in members.items()}, members, twice=twice)

    def _array(self) -> Node:
        begin, elements = self.at, list[Node]()
        self.at += 1
        while not self._closes("]", has_some=bool(elements)):
            elements.append(self.value())
        return Node(begin, self.at, [element.value for element in elements], elements=elements)

    def _closes(self, bracket: str, *, has_some: bool) -> bool:
        """Whether the bracket is next, and then past it; else past the comma that must stand there."""
        self.skip()
        if has_some and self.text[self.at : self.at + 1] == ",":
            self.at += 1
            self.skip()
            has_some = False
        if self.text[self.at : self.at + 1] == bracket:
            self.at += 1
            return True
        if has_some:
            raise self.wrong(f"a comma or {bracket} is missing")
        return False

    def _string(self) -> str:
        found = self._STRING.match(self.text, self.at)
        if found is None:
            raise self.wrong("a string in double quotes is missing")
        try:
            value = cast(str, json.loads(found[0]))
        except ValueError as error:
            raise self.wrong("a string contains an unknown escape") from error
        self.at = found.end()
        return value
