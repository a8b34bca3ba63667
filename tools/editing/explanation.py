"""Tells replies that only describe code in prose from code without a fence.

Conservative: a reply counts as code if any line may be code, in any language.
"""

import re

from ..checking.grammar import reads_as

# Common openings of conversational replies.
_OPENING = re.compile(
    r"(?:(?:sure|certainly|of course|absolutely|okay|ok|yes)\b[,.!:]"
    r"|here(?:'s| is| are)\b|i(?:'d|'ll|'ve|'m| would| will| have| think| need| could| can| do)\b"
    r"|let(?:'s| me| us)\b|to (?:do|solve|fix|implement|achieve) (?:this|that|it)\b"
    r"|(?:you|we) (?:can|could|would|need)\b|could you\b|please (?:give|provide|share|show)\b)",
    re.IGNORECASE,
)
_LEAST_WORDS = 8

_LIST_MARK = re.compile(r"\s*(?:[-*+\u2022]|\d{1,2}[.)])\s+")
_HEADING = re.compile(r"#{2,6} [A-Z][^`]*")
_NAMED = re.compile(r"`[^`\n]*`|\*\*")
# Characters and patterns that are common in code and rare in sentences, other than the words below.
_OF_CODE = re.compile(r"[{}\[\];=<>$\\|&@]")
# English function words that are no keywords of programming languages. Without `a`, a common variable name.
_BINDING = re.compile(
    r"\b(?:the|an|to|that|would|will|this|these|you|your|we|be|are|is|should|can|which|it|its|of|and|then|[Ii]'?\w{0,2})\b"
)
_SENTENCE_END = re.compile(r"[.:!?,]$")


def explains(reply: str) -> bool:
    """Whether the reply consists only of sentences addressed to the user. reply: without fences."""
    text = reply.strip().replace("\u2019", "'")
    lines = [line.rstrip() for line in text.split("\n") if line.strip()]
    if _OPENING.match(text) is None or len(re.findall(r"\b[A-Za-z']{2,}\b", text)) < _LEAST_WORDS:
        return False
    return all(_HEADING.fullmatch(line) or _is_sentence(line) for line in lines)


def _is_sentence(line: str) -> bool:
    mark = _LIST_MARK.match(line)
    words = _NAMED.sub("", line[mark.end() :] if mark else line)
    if _OF_CODE.search(words) or _BINDING.search(words) is None:
        return False
    if mark is None and (line[0].isspace() or _SENTENCE_END.search(line) is None):
        return False
    body = " pass" if line.endswith(":") else ""
    return not reads_as(words + body, "python") and not reads_as(words, "javascript")
