"""Limits the text of a tool's answer, because the host's model pays for it again in every later turn."""

import re

MAX_CHARACTERS = 8_000
"""About 2,000 tokens."""


def shortened(text: str, how_to_get_more: str) -> str:
    """The text truncated after the last line that fits, with a note on the rest. An open code fence is closed."""
    if len(text) <= MAX_CHARACTERS:
        return text
    head = text[:MAX_CHARACTERS]
    head = head[: head.rfind("\n") + 1].rstrip("\n") or head
    left = text[len(head) :].strip("\n")
    fence = f"\n{mark}" if (mark := _open_fence(head)) else ""
    lines, characters = left.count("\n") + 1, len(left)
    return f"{head}{fence}\n[{lines:,} more line(s), {characters:,} characters, are left out here. {how_to_get_more}]"


def _open_fence(text: str) -> str | None:
    """The marker of the code fence left open, if any. A fence may contain shorter ones."""
    mark: str | None = None
    for line in text.splitlines():
        if mark is None:
            begun = re.match("`{3,}", line)
            mark = begun[0] if begun else None
        elif line == mark:
            mark = None
    return mark
