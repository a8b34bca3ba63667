"""Finds the fenced blocks in a model's reply."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from ..checking.languages import language_named, language_of_file

# A fence opens with at least three backticks or tildes and an info string (CommonMark 0.31.2 section 4.5). Models also
# indent it deeper within a list than CommonMark allows, or put it after a list marker.
_OPENING = re.compile(r"(?P<indent>[ \t]*(?:(?:[-*+]|\d{1,3}[.)])[ \t]+)?)(?P<mark>`{3,}|~{3,})[ \t]*(?P<info>[^`\n]*)")

SESSION = "pycon"
UNTAGGED = ""

# Ranks the languages of fences to find the answer: code, then data, then commands, then sample output.
_RANKS = {
    **dict.fromkeys(("text", "txt", "plaintext", "output", "log", "shell-session", SESSION), 0),
    **dict.fromkeys(("bash", "fish", "powershell", "ps1", "bat", "cmd", UNTAGGED), 1),
    **dict.fromkeys(("json", "json5", "jsonc", "jsonl", "yaml", "toml", "xml", "csv", "ini", "diff", "markdown"), 2),
}
RANK_OF_CODE = 3


@dataclass(frozen=True)
class Fence:
    language: str
    """UNTAGGED if the info string names no language, SESSION for a Python prompt session."""
    info: str
    mark: str
    lines: tuple[str, ...]
    """Without the indentation of the fence."""
    first_line: int
    last_line: int
    """Line numbers in the reply, counted from 0, of the opening and closing marks."""
    is_closed: bool

    @property
    def code(self) -> str:
        return "\n".join(self.lines)


def find_fences(lines: Sequence[str]) -> list[Fence]:
    """The outermost fences of a reply, in order."""
    found: list[Fence] = []
    begin = 0
    while begin < len(lines):
        opening = _OPENING.fullmatch(lines[begin])
        if opening is None:
            begin += 1
            continue
        end = _end(lines, begin + 1, opening)
        content = dedented(lines[begin + 1 : end], len(opening["indent"]))
        is_closed = end < len(lines)
        if is_closed or any(map(str.strip, content)):  # a mark on the last line opens nothing
            language = SESSION if _is_session(content) else _language(opening["info"])
            last = min(end, len(lines) - 1)
            found.append(
                Fence(language, opening["info"].strip(), opening["mark"], tuple(content), begin, last, is_closed)
            )
        begin = end + 1
    return found


def main_language(fences: Sequence[Fence]) -> str:
    """The language of the highest rank; ties go to the language with the most code."""
    size: dict[str, int] = {}
    for fence in fences:
        size[fence.language] = size.get(fence.language, 0) + len(fence.code)
    return max(size, key=lambda language: (rank(language), size[language]))


def rank(language: str | None) -> int:
    """How likely a fence of the language is the answer: RANK_OF_CODE, or less for data, commands and output."""
    return _RANKS.get(language or UNTAGGED, RANK_OF_CODE)


def dedented(lines: Sequence[str], width: int) -> list[str]:
    """The lines without the indentation of their fence; less is removed if only the fence is indented."""
    first = next((line for line in lines if line.strip()), "")
    width = min(width, indentation(first))
    return [line[min(width, indentation(line)) :] for line in lines]


def indentation(line: str) -> int:
    """The number of leading whitespace characters."""
    return len(line) - len(line.lstrip())


def _end(lines: Sequence[str], begin: int, opening: re.Match[str]) -> int:
    """The index of the closing line of a fence, or the number of lines if there is none.

    A nested fence, as in Markdown and docstrings, opens with a language tag and takes the next closing mark. Marks
    indented more than three spaces beyond the opening one (CommonMark's limit) belong to the code.
    """
    inner: list[str] = []
    deepest = len(opening["indent"]) + 3
    for number in range(begin, len(lines)):
        line = lines[number]
        fence = _OPENING.fullmatch(line)
        if fence is None or len(fence["indent"]) > deepest or fence["mark"][0] != opening["mark"][0]:
            continue
        if fence["info"].strip():
            if len(fence["mark"]) >= len(opening["mark"]):
                inner.append(fence["mark"])
        elif line.strip() == fence["mark"] and len(fence["mark"]) >= len((inner or [opening["mark"]])[-1]):
            if not inner:
                return number
            inner.pop()
    return len(lines)


@lru_cache(maxsize=256)
def _language(info: str) -> str:
    """The language in `python`, `python title="a.py"`, `{.python}`, `python:src/a.py` or `src/a.py`."""
    word = (info.split() or [""])[0].strip("{}.")
    return language_of_file(word) or language_named(word) or UNTAGGED


def _is_session(content: Sequence[str]) -> bool:
    """Whether it is a Python prompt session: always a sample, whatever its tag, since it is not a program."""
    return next((line for line in content if line.strip()), "").lstrip().startswith(">>> ")
