"""Changes single keys of a TOML text, and leaves the rest as it is, comments and order included.

Tables are edited line by line; one that is written inline, in braces, is refused. tomlkit 0.15 edits these too, but
puts a new table between a comment and the table below it, mixes line ends, and leaves blank lines (tried 2026-11-30).
"""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from .malformed import Malformed

# Values are TOML of any shape, hence Any in this module.

_SPACE = re.compile(r"[ \t]*")
_LINE_END = re.compile(r"[^\n]*(?:\n|\Z)")
_KEY_PART = re.compile(r"""[ \t]*([A-Za-z0-9_-]+|"(?:\\.|[^"\\])*"|'[^']*')[ \t]*(\.?)""")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRINGS = re.compile(
    r'''"""(?:\\.|[^\\])*?"""(?:"{0,2})'''
    r"""|'{3}.*?'{3}(?:'{0,2})"""
    r"""|"(?:\\.|[^"\\\n])*"|'[^'\n]*'""",
    re.DOTALL,
)


class NotToml(Malformed):
    """The text is not TOML. The message names line and column."""


@dataclass(frozen=True)
class _Statement:
    """A table's header or one key with its value, and where it stands."""

    begin: int
    """Offset of its line."""
    end: int
    """Offset past its last line."""
    key: tuple[str, ...]
    """From the root."""
    section: tuple[str, ...]
    """The table whose header precedes it; its own for a header."""
    value: tuple[int, int] | None
    """Offsets of the value. None: a header."""


def content(text: str) -> Any:
    """The root table. Raises NotToml."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise NotToml(str(error)) from error


def with_member(text: str, path: Sequence[str], value: Any) -> str:
    """The text with a key set; missing tables on the path are created.

    value: a string, boolean, number, list of these, or mapping. Raises NotToml, or TypeError if a value on the path
    is not a table or written inline.
    """
    key, data = tuple(path), content(text)
    if _value(data, key) == value:
        return text
    statements = _statements(text)
    _require_tables(data, statements, key)
    if isinstance(value, Mapping):
        members = cast(Mapping[str, Any], value)
        for name, inner in members.items():
            text = with_member(text, [*key, name], inner)
        return text if members else _with_section(text, statements, key, "")
    for statement in statements:
        if statement.key == key and statement.value is not None:
            begin, end = statement.value
            return text[:begin] + _encoded(value) + text[end:]
    return _inserted(text, statements, key, value)


def without_member(text: str, path: Sequence[str]) -> str:
    """The text without a key or table, and the comments within it; unchanged if it is missing.

    Raises NotToml, or TypeError if it is part of a table that is written inline.
    """
    key, data = tuple(path), content(text)
    if _value(data, key) is None:
        return text
    statements = _statements(text)
    _require_tables(data, statements, key)
    runs: list[tuple[int, int]] = []
    is_last_ours = False
    for statement in statements:
        is_ours = statement.key[: len(key)] == key
        if is_ours and is_last_ours:
            runs[-1] = (runs[-1][0], statement.end)
        elif is_ours:
            runs.append((statement.begin, statement.end))
        is_last_ours = is_ours
    for begin, end in reversed(runs):
        text = _cut(text, begin, end)
    return text


def _value(data: Any, key: tuple[str, ...]) -> Any:
    for name in key:
        data = cast(dict[str, Any], data).get(name) if isinstance(data, dict) else None
    return data


def _require_tables(data: Any, statements: Sequence[_Statement], key: tuple[str, ...]) -> None:
    for length in range(1, len(key)):
        above = _value(data, key[:length])
        if above is not None and not isinstance(above, dict):
            raise TypeError(f"{'.'.join(key[:length])} is not a table")
        if any(statement.key == key[:length] and statement.value is not None for statement in statements):
            raise TypeError(f"{'.'.join(key[:length])} is written inline, in braces")


def _inserted(text: str, statements: Sequence[_Statement], key: tuple[str, ...], value: Any) -> str:
    """The text with a new key at the end of its table, which is created if missing."""
    *_, name = key
    table = key[:-1]
    neighbours = [statement for statement in statements if statement.section == table]
    if not neighbours:  # a table without header of its own, from dotted keys
        neighbours = [s for s in statements if len(s.section) < len(table) and s.key[: len(table)] == table]
    if not neighbours:
        return _with_section(text, statements, table, f"{_key(name)} = {_encoded(value)}{_line_end(text)}")
    last = neighbours[-1]
    relative = key[len(last.section) :]
    indent = _SPACE.match(text, last.begin)
    line = f"{indent[0] if indent else ''}{'.'.join(map(_key, relative))} = {_encoded(value)}{_line_end(text)}"
    return _with_lines(text, last.end, line)


def _with_section(text: str, statements: Sequence[_Statement], table: tuple[str, ...], lines: str) -> str:
    """The text with a new table after its siblings, or at the end."""
    siblings = [s for s in statements if len(table) > 1 and s.section[: len(table) - 1] == table[:-1]]
    at = siblings[-1].end if siblings else len(text)
    end = _line_end(text)
    blank = end if text[:at].strip() and not text[:at].endswith(("\n\n", "\n\r\n")) else ""
    return _with_lines(text, at, f"{blank}[{'.'.join(map(_key, table))}]{end}{lines}")


def _with_lines(text: str, at: int, lines: str) -> str:
    head = text[:at]
    return head + ("" if not head or head.endswith("\n") else _line_end(text)) + lines + text[at:]


def _cut(text: str, begin: int, end: int) -> str:
    """The text without some lines, and without the blank line before them if another or nothing follows."""
    blank = re.search(r"(?:\A|(?<=\n))[ \t]*\r?\n\Z", text[:begin])
    if blank and re.match(r"[ \t]*(?:\r?\n|\Z)", text[end:]):
        begin = blank.start()
    return text[:begin] + text[end:]


def _encoded(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_encoded, cast(Sequence[Any], value)))}]"
    # JSON's strings, booleans and numbers are TOML's, but for one control character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _encoded(name)


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _statements(text: str) -> Sequence[_Statement]:
    """The statements of a valid text, in order."""
    found: list[_Statement] = []
    at, section = 0, ()
    while at < len(text):
        begin, at = at, _skipped(_SPACE, text, at)
        if at == len(text) or text[at] in "#\r\n":
            at = _skipped(_LINE_END, text, at)
        elif text[at] == "[":
            section, at = _key_at(text, at + (2 if text.startswith("[[", at) else 1))
            at = _skipped(_LINE_END, text, at)
            found.append(_Statement(begin, at, section, section, None))
        else:
            key, at = _key_at(text, at)
            value_begin = _skipped(_SPACE, text, at + 1)
            value_end = _value_end(text, value_begin)
            at = _skipped(_LINE_END, text, value_end)
            found.append(_Statement(begin, at, section + key, section, (value_begin, value_end)))
    return found


def _skipped(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _key_at(text: str, at: int) -> tuple[tuple[str, ...], int]:
    """A dotted key and the offset past it."""
    names: list[str] = []
    while part := _KEY_PART.match(text, at):
        written, dot = part.groups()
        names.append(tomllib.loads(f"name = {written}")["name"] if written[0] in "\"'" else written)
        at = part.end()
        if not dot:
            break
    return tuple(names), at


def _value_end(text: str, at: int) -> int:
    """Offset past a value: at the end of its line, or at a comment, outside of strings and brackets."""
    depth, end = 0, at
    while at < len(text):
        letter = text[at]
        if letter in "\"'":
            at = end = max(at + 1, _skipped(_STRINGS, text, at))
            continue
        if letter == "#":
            if depth == 0:
                break
            at = _skipped(_LINE_END, text, at)
            continue
        if letter == "\n" and depth == 0:
            break
        depth += (letter in "[{") - (letter in "]}")
        at += 1
        if not letter.isspace():
            end = at
    return end
