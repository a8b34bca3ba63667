"""Finds the code, and the changes to files, in a model's answer."""

import re
from dataclasses import dataclass

from ..checking.languages import guess_language
from ..guarding.text import visible
from .explanation import explains
from .fences import find_fences, main_language
from .reply_changes import Edit, Part, read_changes

__all__ = ["PROSE_TYPES", "Answer", "Edit", "Part", "read_answer"]

# Task types whose answer is prose unless the prose is only a wrapping around one block of code.
PROSE_TYPES = frozenset({"documentation", "review", "architecture", "reasoning", "other"})

_PROSE = "markdown"

# Thinking that a server left in the answer. Chat templates that open it themselves leave only its end;
# without an end there is no answer behind it.
_THOUGHT = re.compile(
    r"\A\s*<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)|\A(?:(?!<think).)*?^[ \t]*</think(?:ing)?>[ \t]*$",
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True)
class Answer:
    """What a model's reply holds."""

    code: str
    """The code, or the whole prose where the task asks for prose. Empty: there is none, or the model declines or
    only explains."""
    language: str | None
    """The language that its fence names; `markdown` for prose that was asked for. None: no fence, or no name."""
    is_whole: bool
    """False: a fence was never closed, so the code may end too soon."""
    parts: tuple[Part, ...] = ()
    """Whole files, for whoever applies them; those without a path are joined, one for each language."""
    edits: tuple[Edit, ...] = ()
    """Changes to files that are there already."""
    faults: tuple[str, ...] = ()
    """What was meant as a file or an edit and cannot be read, each as a message to the model."""
    is_explanation: bool = False
    """True: it only says in words how the code would be written."""


def read_answer(reply: str, *, prose: bool) -> Answer:
    """The answer in a reply; several fences of its language are joined in order.

    prose: True when the task asks for text: then the reply is kept whole unless it is one fence.
    """
    text = visible(_THOUGHT.sub("", reply)).lstrip("\n").rstrip()
    lines = text.split("\n")
    fences = find_fences(lines)
    changes = read_changes(text, fences)
    is_one_fence = len(fences) == 1 and (fences[0].first_line, fences[0].last_line) == (0, len(lines) - 1)
    is_explanation = not prose and not fences and not changes.parts and not changes.edits and explains(text)
    if is_explanation or (not prose and not fences and declines(text)):
        code, language, is_whole = "", None, True
    elif not fences or (prose and not is_one_fence):
        code, language, is_whole = text, None, all(fence.is_closed for fence in fences)
    else:
        language = main_language(fences)
        chosen = [fence for fence in fences if fence.language == language]
        code = "\n\n".join(fence.code.strip("\n") for fence in chosen)
        is_whole = all(fence.is_closed for fence in chosen)
    language = language or (_PROSE if prose else None)
    return Answer(_ended(code), language, is_whole, changes.parts, changes.edits, changes.faults, is_explanation)


def declines(reply: str) -> bool:
    """Whether it is a refusal in words, and nothing in it looks like code.

    Only what is sure: code in whatever language, and prose that somebody asked for, are answers.
    """
    text = reply.strip().replace("\u2019", "'")
    return len(text) <= _REFUSAL_AT_MOST and _REFUSAL.match(text) is not None and guess_language(text) is None


# How models decline, in the forms that their refusals begin with.
_REFUSAL = re.compile(
    r"(?:(?:i'm |i am )(?:very |so |really )?sorry\b|sorry,? (?:but|i)\b|i apologi[sz]e\b|as an ai\b"
    r"|(?:unfortunately,? )?i (?:cannot|can't|can not|won't|will not|am unable to|am not able to|must decline)\b"
    r"|(?:unfortunately,? )?i'm (?:unable|not able) to\b)[^\n]*[.!?]",
    re.IGNORECASE,
)
_REFUSAL_AT_MOST = 2_000


def _ended(code: str) -> str:
    return code if not code or code.endswith("\n") else code + "\n"
