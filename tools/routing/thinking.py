"""Decides whether a model should think about a request, and with what effort."""

from ...profiles.model import ModelProfile, ThinkingRules
from ..provider import Thinking

# Minimum complexity (1 to 10) for a vendor's second and third effort. Efforts are chosen by position, because
# vendors name them differently.
_MEDIUM_FROM, _HIGH_FROM = 4.0, 7.5

LEAST = 0.0
"""A complexity below that of any task: requests the least thinking that a model supports."""


def decide_thinking(profile: ModelProfile, complexity: float, *, is_repair: bool = False) -> Thinking:
    """The thinking for a task of this complexity; a repair thinks if the model can."""
    if profile.thinking is None:
        return Thinking(on=False)
    return Thinking(
        on=should_think(profile, complexity, is_repair=is_repair),
        effort=_effort(profile.thinking, complexity, is_repair=is_repair),
    )


def should_think(profile: ModelProfile, complexity: float, *, is_repair: bool = False) -> bool:
    """Whether the model thinks at all about such a task."""
    rules = profile.thinking
    if rules is None:
        return False
    return is_repair or complexity >= rules.on_from_complexity or profile.thinks_always


def _effort(rules: ThinkingRules, complexity: float, *, is_repair: bool) -> str | None:
    if not rules.efforts:
        return None
    step = (complexity >= _MEDIUM_FROM) + (complexity >= _HIGH_FROM) + is_repair
    return rules.efforts[min(step, len(rules.efforts) - 1, 2)]
