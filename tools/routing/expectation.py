"""The expected success, cost and time of a model on a task."""

from collections.abc import Sequence
from dataclasses import dataclass

from ...memory_store.confidence import Belief
from ...memory_store.overruns import Overrun, least_seconds
from ...memory_store.pace import Pace
from ...profiles.model import ModelProfile
from ...profiles.routing_rules import Prior
from .thinking import should_think

# Our own rule of thumb until a model's use is measured: an answer of 150 tokens for a rename, 340 for a
# function (complexity 3), 2,600 for a hard module (8); thinking adds three times the answer.
_ANSWER_TOKENS_AT_ZERO = 100
_ANSWER_GROWTH = 1.5
_THINKING_SHARE = 3

# Our estimate of a prompt's tokens is high; a vendor may count as little as half of it.
_ESTIMATE_OVER_COUNT = 2.0


@dataclass(frozen=True)
class Expectation:
    """The expected results of one model on one task."""

    success: float
    """Probability, 0 to 1, that its answer passes."""
    output_tokens: int
    """Thinking included."""
    cost_usd: float
    seconds: float | None
    """For generation, including a cold load. None: the model's speed is unknown."""


def expected_output_tokens(complexity: float, *, thinking: bool) -> int:
    """Output tokens expected for a task of this complexity (1 to 10), thinking included."""
    answer = _ANSWER_TOKENS_AT_ZERO * _ANSWER_GROWTH**complexity
    return round(answer * (1 + _THINKING_SHARE if thinking else 1))


def usual_output_tokens(complexity: float, *, thinking: bool, pace: Pace | None) -> int:
    """The model's own usual number for such tasks if enough of them were seen, else `expected_output_tokens`."""
    seen = pace.output_tokens(complexity, thinking=thinking) if pace else None
    return round(seen) if seen else expected_output_tokens(complexity, thinking=thinking)


def expect(
    profile: ModelProfile,
    *,
    complexity: float,
    prompt_tokens: int,
    belief: Belief,
    prior: Prior,
    pace: Pace | None = None,
    overruns: Sequence[Overrun] = (),
    is_cold: bool = False,
    chance: float | None = None,
) -> Expectation:
    """The model's expected results on a task of this complexity and prompt length.

    pace: its measured speed on this machine. None: the profile's speed and the overruns are used. is_cold: it must
    be loaded first. chance: its probability of success by all evidence. None: the belief is used.
    """
    thinking = should_think(profile, complexity)
    output_tokens = usual_output_tokens(complexity, thinking=thinking, pace=pace)
    return Expectation(
        success=belief.expected_success(prior) if chance is None else chance,
        output_tokens=output_tokens,
        cost_usd=profile.cost_usd(input_tokens=prompt_tokens, output_tokens=output_tokens),
        seconds=expected_seconds(
            profile,
            complexity=complexity,
            prompt_tokens=prompt_tokens,
            output_tokens=output_tokens,
            thinking=thinking,
            pace=pace,
            overruns=overruns,
            is_cold=is_cold,
        ),
    )


def expected_seconds(
    profile: ModelProfile,
    *,
    complexity: float,
    prompt_tokens: int,
    output_tokens: int,
    thinking: bool,
    pace: Pace | None,
    overruns: Sequence[Overrun],
    is_cold: bool,
) -> float | None:
    """Expected duration of a reply of `output_tokens`; None if the model's speed is unknown."""
    if pace is None:
        guess = None if profile.speed is None else output_tokens / profile.speed.typical_tokens_per_second
        if not overruns:
            return guess
        least = least_seconds(overruns, complexity, thinking=thinking, prompt_tokens=prompt_tokens)
        return max((seconds for seconds in (guess, least) if seconds is not None), default=None)
    first_seconds = pace.first_token_seconds(thinking=thinking)
    if profile.price is None:
        # A self-hosted model's time to read the prompt grows with its length.
        first_seconds *= max(1.0, prompt_tokens / max(1.0, pace.prompt_tokens() * _ESTIMATE_OVER_COUNT))
    stream_seconds = output_tokens * pace.seconds_per_token(thinking=thinking)
    return (pace.load_seconds if is_cold else 0.0) + first_seconds + stream_seconds
