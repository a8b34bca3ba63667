"""Finds the fenced blocks in a model's reply."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from ..checking.languages import language_named, language_of_file

# A fence opens with at least three backticks or tildes and an info string (CommonMark 0.31.2 section
# 4.5); models also put it deeper into a list than CommonMark lets them, or behind a list's mark.
_OPENING = re.compile(r"(?P<indent>[ \t]*(?:(?:[-*+]|\d{1,3}[.)])[ \t]+)?)(?P<mark>`{3,}|~{3,})[ \t]*(?P<info>[^`\n]*)")

SESSION = "pycon"
UNTAGGED = ""

# Which fences are the answer when several languages stand side by side: any language before data, data
# before how to install and call it, and sample output last.
_RANKS = {
    **dict.fromkeys(("text", "txt", "plaintext", "output", "log", "shell-session", SESSION), 0),
    **dict.fromkeys(("bash", "fish", "powershell", "ps1", "bat", "cmd", UNTAGGED), 1),
    **dict.fromkeys(("json", "json5", "jsonl", "yaml", "toml", "xml", "csv", "ini", "diff", "markdown"), 2),
}
RANK_OF_CODE = 3


@dataclass(frozen=True)
class Fence:
    language: str
    """UNTAGGED where its info string names none, SESSION where it is typed at Python's prompt."""
    info: str
    mark: str
    lines: tuple[str, ...]
    """Without what the fence is indented by."""
    first_line: int
    last_line: int
    """Of the reply, counted from 0; the marks' own."""
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
        content = outdented(lines[begin + 1 : end], len(opening["indent"]))
        is_closed = end < len(lines)
        if is_closed or any(map(str.strip, content)):  # a mark at the very end opens nothing
            language = SESSION if _is_session(content) else _language(opening["info"])
            last = min(end, len(lines) - 1)
            found.append(
                Fence(language, opening["info"].strip(), opening["mark"], tuple(content), begin, last, is_closed)
            )
        begin = end + 1
    return found


def main_language(fences: Sequence[Fence]) -> str:
    """The language of the highest rank; between equals, the one that most of the code is in."""
    size: dict[str, int] = {}
    for fence in fences:
        size[fence.language] = size.get(fence.language, 0) + len(fence.code)
    return max(size, key=lambda language: (rank(language), size[language]))


def rank(language: str | None) -> int:
    """How likely a fence of the language is the answer itself: RANK_OF_CODE, or less for what stands beside code."""
    return _RANKS.get(language or UNTAGGED, RANK_OF_CODE)


def outdented(lines: Sequence[str], width: int) -> list[str]:
    """The lines without what their fence is indented by; less where only the fence is, and not its code."""
    first = next((line for line in lines if line.strip()), "")
    width = min(width, indentation(first))
    return [line[min(width, indentation(line)) :] for line in lines]


def indentation(line: str) -> int:
    """How many characters of white space a line begins with."""
    return len(line) - len(line.lstrip())


def _end(lines: Sequence[str], begin: int, opening: re.Match[str]) -> int:
    """The line that closes a fence, or the number of lines when none does.

    A fence inside it, as Markdown and docstrings have them, opens with a language and takes the next
    close for itself. What is indented further than CommonMark's three spaces belongs to the code.
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
    """From `python`, `python title="a.py"`, `{.python}`, `python:src/a.py` or `src/a.py`."""
    word = (info.split() or [""])[0].strip("{}.")
    return language_of_file(word) or language_named(word) or UNTAGGED


def _is_session(content: Sequence[str]) -> bool:
    """Whether it is typed at Python's prompt: a sample, whatever its tag says, since it is no program."""
    return next((line for line in content if line.strip()), "").lstrip().startswith(">>> ")
