"""Whether a model is to think about a request, and how hard."""

from ...profiles.model import ModelProfile, ThinkingRules
from ..provider import Thinking

# The least complexity (1 to 10) for each effort. Vendors' words are matched by their order, so that a
# vendor with other words than these still gets its lowest, its middle, or its third.
_MEDIUM_FROM, _HIGH_FROM = 4.0, 7.5

LEAST = 0.0
"""A complexity below every task's: asks for the least thinking a model can do."""


def decide_thinking(profile: ModelProfile, complexity: float, *, is_repair: bool = False) -> Thinking:
    """How hard the model thinks about a task of this complexity; a repair thinks wherever it can."""
    rules = profile.thinking
    if rules is None:
        return Thinking(on=False)
    on = profile.thinks_always or is_repair or complexity >= rules.on_from_complexity
    return Thinking(on=on, effort=_effort(rules, complexity, is_repair=is_repair))


def _effort(rules: ThinkingRules, complexity: float, *, is_repair: bool) -> str | None:
    if not rules.efforts:
        return None
    step = (complexity >= _MEDIUM_FROM) + (complexity >= _HIGH_FROM) + is_repair
    return rules.efforts[min(step, len(rules.efforts) - 1, 2)]
