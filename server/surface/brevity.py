"""Keeps the text of a tool's answer short: what a model reads in every turn that follows is paid for each time."""

import re

CHARACTERS_AT_MOST = 8_000
"""About 2,000 tokens."""


def shortened(text: str, how_to_get_more: str) -> str:
    """The text up to the last line that fits, and a word on the rest; a code fence that was cut is closed."""
    if len(text) <= CHARACTERS_AT_MOST:
        return text
    head = text[:CHARACTERS_AT_MOST]
    head = head[: head.rfind("\n") + 1].rstrip("\n") or head
    left = text[len(head) :].strip("\n")
    fence = f"\n{mark}" if (mark := _open_fence(head)) else ""
    lines, characters = left.count("\n") + 1, len(left)
    return f"{head}{fence}\n[{lines:,} more line(s), {characters:,} characters, are left out here. {how_to_get_more}]"


def _open_fence(text: str) -> str | None:
    """The mark of the fence that the text leaves open: a longer one may hold shorter ones."""
    mark: str | None = None
    for line in text.splitlines():
        if mark is None:
            begun = re.match("`{3,}", line)
            mark = begun[0] if begun else None
        elif line == mark:
            mark = None
    return mark
