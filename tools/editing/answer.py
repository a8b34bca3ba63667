"""Extracts the code and the file changes from a model's answer."""

import re
from dataclasses import dataclass

from ..checking.languages import guess_language
from ..guarding.text import visible
from .explanation import explains
from .fences import find_fences, main_language
from .reply_changes import Edit, Part, read_changes

# Task types whose answer is prose, unless the prose only wraps a single block of code.
PROSE_TYPES = frozenset({"documentation", "review", "architecture", "reasoning", "other"})

_PROSE = "markdown"

# Thinking that a server left in the answer. If the chat template emits the opening tag itself, only the closing tag
# appears. Without a closing tag there is no answer.
_THOUGHT = re.compile(
    r"\A\s*<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)|\A(?:(?!<think).)*?^[ \t]*</think(?:ing)?>[ \t]*$",
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True)
class Answer:
    """The parsed reply of a model."""

    code: str
    """The code, or the whole prose if the task asks for prose. Empty: the reply has none, declines, or only explains.
    """
    language: str | None
    """The language of its fence; `markdown` for requested prose. None: no fence, or no language tag."""
    is_whole: bool
    """False: a fence was never closed, so the code may be truncated."""
    parts: tuple[Part, ...] = ()
    """Whole files; those without a path are joined into one part per language."""
    edits: tuple[Edit, ...] = ()
    """Changes to existing files."""
    faults: tuple[str, ...] = ()
    """Files or edits that could not be parsed, each as a message to the model."""
    is_explanation: bool = False
    """True: it only describes in prose how the code would be written."""


def read_answer(reply: str, *, prose: bool) -> Answer:
    """The answer in a reply; several fences of its main language are joined in order.

    prose: True if the task asks for prose: the reply is then kept whole unless it consists of one fence.
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
    """Whether the reply is a refusal in prose without anything that looks like code.

    Conservative: code in any language and requested prose count as answers.
    """
    text = reply.strip().replace("\u2019", "'")
    return len(text) <= _REFUSAL_AT_MOST and _REFUSAL.match(text) is not None and guess_language(text) is None


# Common first sentences of refusals.
_REFUSAL = re.compile(
    r"(?:(?:i'm |i am )(?:very |so |really )?sorry\b|sorry,? (?:but|i)\b|i apologi[sz]e\b|as an ai\b"
    r"|(?:unfortunately,? )?i (?:cannot|can't|can not|won't|will not|am unable to|am not able to|must decline)\b"
    r"|(?:unfortunately,? )?i'm (?:unable|not able) to\b)[^\n]*[.!?]",
    re.IGNORECASE,
)
_REFUSAL_AT_MOST = 2_000


def _ended(code: str) -> str:
    return code if not code or code.endswith("\n") else code + "\n"
