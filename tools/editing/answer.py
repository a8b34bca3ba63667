"""Finds the code in a model's answer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..checking.languages import language_named, language_of_file
from ..guarding.text import visible

# Task types whose answer is prose unless the prose is only a wrapping around one block of code.
PROSE_TYPES = frozenset({"documentation", "review", "architecture", "reasoning", "other"})

# A fence opens with at least three backticks or tildes and an info string (CommonMark 0.31.2 section
# 4.5); models also put it deeper into a list than CommonMark lets them, or behind a list's mark.
_OPENING = re.compile(r"(?P<indent>[ \t]*(?:(?:[-*+]|\d{1,3}[.)])[ \t]+)?)(?P<mark>`{3,}|~{3,})[ \t]*(?P<info>[^`\n]*)")

# Thinking that a server left in the answer. Chat templates that open it themselves leave only its end;
# without an end there is no answer behind it.
_THOUGHT = re.compile(
    r"\A\s*<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)|\A(?:(?!<think).)*?^[ \t]*</think(?:ing)?>[ \t]*$",
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)

_SESSION = "pycon"
_UNTAGGED = ""

# Which fences are the answer when several languages stand side by side: any language before data, data
# before how to install and call it, and sample output last.
_RANKS = {
    **dict.fromkeys(("text", "txt", "plaintext", "output", "log", "shell-session", _SESSION), 0),
    **dict.fromkeys(("bash", "fish", "powershell", "ps1", "bat", "cmd", _UNTAGGED), 1),
    **dict.fromkeys(("json", "json5", "jsonl", "yaml", "toml", "xml", "csv", "ini", "diff", "markdown"), 2),
}
_RANK_OF_CODE = 3


@dataclass(frozen=True)
class Answer:
    """What a model's reply holds."""

    code: str
    """The code, or the whole prose where the task asks for prose."""
    language: str | None
    """The language that its fence names. None: no fence, or no name."""
    is_whole: bool
    """False: a fence was never closed, so the code may end too soon."""


@dataclass(frozen=True)
class _Fence:
    language: str
    code: str
    first_line: int
    last_line: int
    """Of the reply, counted from 0; the marks' own."""
    is_closed: bool


def read_answer(reply: str, *, prose: bool) -> Answer:
    """The answer in a reply; several fences of its language are joined in order.

    prose: True when the task asks for text: then the reply is kept whole unless it is one fence.
    """
    text = visible(_THOUGHT.sub("", reply)).lstrip("\n").rstrip()
    lines = text.split("\n")
    fences = _fences(lines)
    is_one_fence = len(fences) == 1 and (fences[0].first_line, fences[0].last_line) == (0, len(lines) - 1)
    if not fences or (prose and not is_one_fence):
        return Answer(_ended(text), language=None, is_whole=all(fence.is_closed for fence in fences))
    language = _main_language(fences)
    chosen = [fence for fence in fences if fence.language == language]
    return Answer(
        code=_ended("\n\n".join(fence.code.strip("\n") for fence in chosen)),
        language=language or None,
        is_whole=all(fence.is_closed for fence in chosen),
    )


def _fences(lines: Sequence[str]) -> list[_Fence]:
    found: list[_Fence] = []
    begin = 0
    while begin < len(lines):
        opening = _OPENING.fullmatch(lines[begin])
        if opening is None:
            begin += 1
            continue
        end = _end(lines, begin + 1, opening)
        content = _outdented(lines[begin + 1 : end], len(opening["indent"]))
        is_closed = end < len(lines)
        if is_closed or any(map(str.strip, content)):  # a mark at the very end opens nothing
            language = _SESSION if _is_session(content) else _language(opening["info"])
            found.append(_Fence(language, "\n".join(content), begin, min(end, len(lines) - 1), is_closed))
        begin = end + 1
    return found


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


def _outdented(lines: Sequence[str], width: int) -> list[str]:
    """The lines without what their fence is indented by; less where only the fence is, and not its code."""
    first = next((line for line in lines if line.strip()), "")
    width = min(width, _indentation(first))
    return [line[min(width, _indentation(line)) :] for line in lines]


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _language(info: str) -> str:
    """From `python`, `python title="a.py"`, `{.python}`, `python:src/a.py` or `src/a.py`."""
    word = (info.split() or [""])[0].strip("{}.")
    return language_of_file(word) or language_named(word) or _UNTAGGED


def _is_session(content: Sequence[str]) -> bool:
    """Whether it is typed at Python's prompt: a sample, whatever its tag says, since it is no program."""
    return next((line for line in content if line.strip()), "").lstrip().startswith(">>> ")


def _main_language(fences: Sequence[_Fence]) -> str:
    """The language of the highest rank; between equals, the one that most of the code is in."""
    size: dict[str, int] = {}
    for fence in fences:
        size[fence.language] = size.get(fence.language, 0) + len(fence.code)
    return max(size, key=lambda language: (_RANKS.get(language, _RANK_OF_CODE), size[language]))


def _ended(code: str) -> str:
    return code if not code or code.endswith("\n") else code + "\n"
