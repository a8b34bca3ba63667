"""What a model is expected to make of a task: success, dollars, seconds."""

from dataclasses import dataclass

from ...memory_store.confidence import Belief
from ...profiles.model import ModelProfile
from ...profiles.routing_rules import Prior
from .thinking import decide_thinking

# Our own rule of thumb until a model's use is measured: an answer of 150 tokens for a rename, 340 for a
# function (complexity 3), 2,600 for a hard module (8); thinking takes three times the answer again.
_ANSWER_TOKENS_AT_ZERO = 100
_ANSWER_GROWTH = 1.5
_THINKING_SHARE = 3


@dataclass(frozen=True)
class Expectation:
    """What is expected of one model for one task."""

    success: float
    """Probability, 0 to 1, that its work passes."""
    output_tokens: int
    """Thinking included."""
    cost_usd: float
    seconds: float | None
    """Generation alone. None: no speed of the model is known."""


def expected_output_tokens(complexity: float, *, thinking: bool) -> int:
    """Output tokens expected for a task of this complexity (1 to 10), thinking included."""
    answer = _ANSWER_TOKENS_AT_ZERO * _ANSWER_GROWTH**complexity
    return round(answer * (1 + _THINKING_SHARE if thinking else 1))


def expect(
    profile: ModelProfile, *, complexity: float, prompt_tokens: int, belief: Belief, prior: Prior
) -> Expectation:
    """What the model is expected to make of a task of this complexity and prompt length."""
    output_tokens = expected_output_tokens(complexity, thinking=decide_thinking(profile, complexity).on)
    speed = profile.speed
    return Expectation(
        success=belief.expected_success(prior),
        output_tokens=output_tokens,
        cost_usd=profile.cost_usd(input_tokens=prompt_tokens, output_tokens=output_tokens),
        seconds=None if speed is None else output_tokens / speed.typical_tokens_per_second,
    )
