"""Predicts the cost and time of a model's next answer, and whether the time is reliable enough to exclude it."""

from ...memory_store.overruns import least_seconds
from .candidates import Candidate
from .expectation import expected_seconds, usual_output_tokens
from .plan import Outlay
from .thinking import should_think

# A repair sends, beside the prompt and the previous answer, the failure: a few lines of a traceback.
_FAILURE_TOKENS = 200


def predict_outlay(candidate: Candidate, complexity: float, *, is_repair: bool) -> Outlay:
    """The expected cost and time of the candidate's next answer; for a repair its model is already loaded.

    A local model's profile was measured on another machine, so a time from it alone is only a guess.
    """
    profile, pace = candidate.profile, candidate.pace
    thinking = should_think(profile, complexity, is_repair=is_repair)
    prompt_tokens = candidate.prompt_tokens
    if is_repair:
        prompt_tokens += usual_output_tokens(complexity, thinking=False, pace=pace) + _FAILURE_TOKENS
    output_tokens = usual_output_tokens(complexity, thinking=thinking, pace=pace)
    seconds = expected_seconds(
        profile,
        complexity=complexity,
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens,
        thinking=thinking,
        pace=pace,
        overruns=candidate.overruns,
        is_cold=candidate.availability.is_loaded is False and not is_repair,
    )
    least = least_seconds(candidate.overruns, complexity, thinking=thinking, prompt_tokens=prompt_tokens)
    return Outlay(
        cost_usd=profile.cost_usd(input_tokens=prompt_tokens, output_tokens=output_tokens),
        seconds=seconds,
        is_guess=pace is None and profile.price is None and seconds != least,
    )
