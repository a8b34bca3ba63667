"""Estimates thinking that a vendor bills and does not show, for a reply that broke off before it was counted.

Claude 5.5 omits the text of its thinking, and bills it (https://platform.claude.com/docs/en/build-with-claude/thinking,
seen 2026-11-30).
"""

from dataclasses import replace

from ..provider import Usage
from ..routing.candidates import Candidate

_USUAL_TOKENS_PER_SECOND = 63.0
"""Claude Sonnet 4.5 as measured by Artificial Analysis
(https://lattice.uptownhr.com/claude-opus-4-5/speed-analysis, seen 2026-11-30)."""


def add_unseen_thinking(usage: Usage, candidate: Candidate, thought_s: float, *, at_most: int) -> Usage:
    """The usage with the thinking that the model usually does in this time.

    By the model's pace on this machine, else by its profile's speed. at_most: output tokens of the whole reply.
    """
    pace, speed = candidate.pace, candidate.profile.speed
    measured = pace.thinking_tokens_per_second() if pace else None
    published = speed.typical_tokens_per_second if speed else _USUAL_TOKENS_PER_SECOND
    tokens = min(round(thought_s * (measured or published)), max(0, at_most - usage.output_tokens))
    return replace(usage, output_tokens=usage.output_tokens + tokens, thinking_tokens=tokens)
