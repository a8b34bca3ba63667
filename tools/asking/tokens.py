"""Estimates how many tokens a text takes, without the vendor's tokenizer."""

BYTES_PER_TOKEN = 3.2
"""UTF-8 bytes per token of code and English, on the low side, so that estimates are on the high side.
Claude's tokenizer since 4.7 takes about 30% more tokens than its predecessor for the same text
(https://platform.claude.com/docs/en/about-claude/models/overview, seen 2026-11-23)."""


def estimate_tokens(text: str) -> int:
    """Estimated tokens of a text; rather too many than too few."""
    return round(_size_bytes(text) / BYTES_PER_TOKEN)


def most_tokens(text: str) -> int:
    """An upper bound, in practice, on the tokens of a text; used to reserve money.

    Half a token per ASCII character and three quarters per byte of any other, which dense code, Chinese and
    emoji stay well below; plus a hundred for the few tokens around a message.
    """
    ascii_bytes = len(text.encode("ascii", errors="ignore"))
    return ascii_bytes // 2 + (_size_bytes(text) - ascii_bytes) * 3 // 4 + 100


def _size_bytes(text: str) -> int:
    return len(text.encode(errors="replace"))
