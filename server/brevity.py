"""Keeps the text of a tool's answer short: what a model reads in every turn that follows is paid for each time."""

CHARACTERS_AT_MOST = 8_000
"""About 2,000 tokens."""


def shortened(text: str, how_to_get_more: str) -> str:
    """The text up to the last line that fits, and a word on the rest; a code fence that was cut is closed."""
    if len(text) <= CHARACTERS_AT_MOST:
        return text
    head = text[:CHARACTERS_AT_MOST]
    head = head[: head.rfind("\n") + 1].rstrip("\n") or head
    left = text[len(head) :].strip("\n")
    fence = "\n```" if sum(line.startswith("```") for line in head.splitlines()) % 2 else ""
    lines, characters = left.count("\n") + 1, len(left)
    return f"{head}{fence}\n[{lines:,} more line(s), {characters:,} characters, are left out here. {how_to_get_more}]"
