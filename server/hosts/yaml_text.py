"""Changes single keys of a YAML text, and leaves the rest as it is, comments and order included.

Only mappings in block style are edited; one that is written inline, in braces, is refused.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import yaml

from .malformed import Malformed

# Values are YAML of any shape, hence Any in this module.

_PLAIN = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null)\Z)[a-z_][a-z0-9_-]*", re.IGNORECASE)
"""Keys that need no quotes."""
_INDENT = 2


class NotYaml(Malformed):
    """The text is not YAML, or not of a form that can be edited. The message names the place."""


def content(text: str) -> Any:
    """The root value; an empty mapping for a text without any. Raises NotYaml."""
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise NotYaml(" ".join(str(error).split())) from error
    return {} if value is None else value


def with_member(text: str, path: Sequence[str], value: Any) -> str:
    """The text with a key set; missing mappings on the path are created.

    value: a string, boolean, number, list of these, or mapping. Raises NotYaml, or TypeError if a value on the path is
    not a mapping or written inline.
    """
    if _has(content(text), path, value):
        return text
    after = _set(text, path, value)
    if not _has(content(after), path, value):
        raise NotYaml(f"{'.'.join(path)} has anchors, or a form that is not known here")
    return after


def without_member(text: str, path: Sequence[str]) -> str:
    """The text without a key, and the comments within its value; unchanged if it is missing.

    Raises NotYaml, or TypeError if it is part of a mapping that is written inline.
    """
    if _value(content(text), path) is None:
        return text
    found: list[_Pair] = []
    node: yaml.Node | None = _root(text)
    for depth, name in enumerate(path):
        pair = _pair(_block_mapping(node, path[:depth]), name)
        if pair is None:
            raise NotYaml(f"{'.'.join(path)} has anchors, or a form that is not known here")
        found.append(pair)
        node = pair[1]
    key, value = found[-1]
    begin = text.rfind("\n", 0, key.start_mark.index) + 1
    after = text[:begin] + text[_line_end(text, _end(value)) :]
    if len(found) > 1 and _value(content(after), path[:-1]) is None:  # an empty mapping must not become null
        at = _colon(after, found[-2][0])
        after = f"{after[:at]} {{}}{after[at:]}"
    return after


_Pair = tuple[yaml.Node, yaml.Node]


def _set(text: str, path: Sequence[str], value: Any) -> str:
    above: yaml.Node | None = None
    node: yaml.Node | None = _root(text)
    for depth, name in enumerate(path):
        new = _nested(path[depth:], value)
        if node is None:
            return _with_lines(text, len(text), new, 0)
        if above is not None and _is_empty(node):
            text = text[: node.start_mark.index].rstrip(" ") + text[node.end_mark.index :]
            at = _line_end(text, _colon(text, above))
            return _with_lines(text, at, new, above.start_mark.column + _INDENT)
        mapping = _block_mapping(node, path[:depth])
        pair = _pair(mapping, name)
        if pair is None:
            return _with_lines(text, _line_end(text, _end(mapping)), new, mapping.start_mark.column)
        above, node = pair
    if node is None:
        return text
    return text[: node.start_mark.index] + _encoded(value) + text[_end(node) :]


def _root(text: str) -> yaml.MappingNode | None:
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if node is not None and not isinstance(node, yaml.MappingNode):
        raise TypeError("the file is not a mapping")
    return node


def _block_mapping(node: yaml.Node | None, path: Sequence[str]) -> yaml.MappingNode:
    if not isinstance(node, yaml.MappingNode):
        raise TypeError(f"{'.'.join(path)} is not a mapping")
    if node.flow_style:
        raise TypeError(f"{'.'.join(path) or 'the file'} is written inline, in braces")
    return node


def _pair(node: yaml.MappingNode, name: str) -> _Pair | None:
    return next((pair for pair in cast(list[_Pair], node.value) if pair[0].value == name), None)


def _is_empty(node: yaml.Node) -> bool:
    """Whether a value is missing, or an empty mapping in braces."""
    return (isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null") or (
        isinstance(node, yaml.MappingNode) and not node.value
    )


def _end(node: yaml.Node) -> int:
    """Offset past the value; YAML's own marks of blocks lie behind the comments that follow."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = cast(list[yaml.Node | _Pair], node.value)[-1]
        node = last[1] if isinstance(last, tuple) else last
    return node.end_mark.index


def _line_end(text: str, at: int) -> int:
    if text[at - 1 : at] == "\n":
        return at
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


def _colon(text: str, key: yaml.Node) -> int:
    """Offset past the colon of a key."""
    return text.index(":", key.end_mark.index) + 1


def _with_lines(text: str, at: int, members: Mapping[str, Any], indent: int) -> str:
    end_of_line = "\r\n" if "\r\n" in text else "\n"
    head = text[:at] if not at or text[at - 1] == "\n" else text[:at] + end_of_line
    return head + _block(members, indent).replace("\n", end_of_line) + text[at:]


def _nested(path: Sequence[str], value: Any) -> Mapping[str, Any]:
    for name in reversed(path):
        value = {name: value}
    return value


def _block(members: Mapping[str, Any], indent: int) -> str:
    lines: list[str] = []
    for name, value in members.items():
        key = name if _PLAIN.fullmatch(name) else _encoded(name)
        if isinstance(value, Mapping) and value:
            lines.append(f"{' ' * indent}{key}:\n{_block(cast(Mapping[str, Any], value), indent + _INDENT)}")
        else:
            lines.append(f"{' ' * indent}{key}: {_encoded(value)}\n")
    return "".join(lines)


def _encoded(value: Any) -> str:
    """The value as JSON, which is YAML but for characters that YAML does not print."""
    written = json.dumps(value, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in written)


def _value(value: Any, path: Sequence[str]) -> Any:
    for name in path:
        value = cast(dict[str, Any], value).get(name) if isinstance(value, dict) else None
    return value


def _has(root: Any, path: Sequence[str], value: Any) -> bool:
    above = _value(root, path[:-1])
    members = cast(dict[str, Any], above) if isinstance(above, dict) else {}
    return path[-1] in members and members[path[-1]] == value
