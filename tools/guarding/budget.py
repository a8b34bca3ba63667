"""How many tokens a request may ask for, so that its worst case fits the money that is left."""

from dataclasses import dataclass

from ...profiles.model import ModelProfile


@dataclass(frozen=True)
class Allowance:
    """What one request may use."""

    max_output_tokens: int
    worst_case_usd: float
    """The price of the whole prompt, written to the cache, and of every output token allowed."""


def allow(
    profile: ModelProfile, *, prompt_tokens_at_most: int, wanted_tokens: int, least_tokens: int, left_usd: float | None
) -> Allowance | None:
    """The most that a request may use, or None when not even `least_tokens` of output can be paid.

    wanted_tokens: output tokens, thinking included, that the task should have; shrunk to what
    `left_usd` pays. left_usd: US dollars; None is no limit, and a model that costs nothing needs none.
    """

    def worst_case_usd(output_tokens: int) -> float:
        return _worst_case_usd(profile, prompt_tokens_at_most, output_tokens)

    tokens, price_usd = wanted_tokens, worst_case_usd(wanted_tokens)
    if left_usd is not None and price_usd > max(0.0, left_usd):
        spare_usd = left_usd - worst_case_usd(0)
        if spare_usd <= 0:
            return None
        tokens = int(spare_usd / (price_usd - worst_case_usd(0)) * wanted_tokens)
        if worst_case_usd(tokens) > left_usd:  # by the last bit of a float
            tokens -= 1
        if tokens < least_tokens:
            return None
    return Allowance(max_output_tokens=tokens, worst_case_usd=worst_case_usd(tokens))


def _worst_case_usd(profile: ModelProfile, prompt_tokens: int, output_tokens: int) -> float:
    return max(
        profile.cost_usd(input_tokens=prompt_tokens, output_tokens=output_tokens, cache_write_tokens=written)
        for written in (0, prompt_tokens)
    )
