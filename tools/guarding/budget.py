"""Limits a request's output tokens so that its worst-case price fits the remaining budget."""

from dataclasses import dataclass

from ...profiles.model import ModelProfile


@dataclass(frozen=True)
class Allowance:
    """The output tokens and the money that one request may use."""

    max_output_tokens: int
    worst_case_usd: float
    """The price if the whole prompt is written to the cache and every allowed output token is used."""


def allow(
    profile: ModelProfile, *, prompt_tokens_at_most: int, wanted_tokens: int, min_tokens: int, left_usd: float | None
) -> Allowance | None:
    """The most that a request may use, or None if the budget does not cover `min_tokens` of output.

    wanted_tokens: the desired output tokens, thinking included; reduced to what `left_usd` pays for.
    left_usd: remaining US dollars; None means no limit. Free models are never limited.
    """

    def worst_case_usd(output_tokens: int) -> float:
        return _worst_case_usd(profile, prompt_tokens_at_most, output_tokens)

    tokens, price_usd = wanted_tokens, worst_case_usd(wanted_tokens)
    if left_usd is not None and price_usd > max(0.0, left_usd):
        spare_usd = left_usd - worst_case_usd(0)
        if spare_usd <= 0:
            return None
        tokens = int(spare_usd / (price_usd - worst_case_usd(0)) * wanted_tokens)
        if worst_case_usd(tokens) > left_usd:  # floating-point rounding
            tokens -= 1
        if tokens < min_tokens:
            return None
    return Allowance(max_output_tokens=tokens, worst_case_usd=worst_case_usd(tokens))


def _worst_case_usd(profile: ModelProfile, prompt_tokens: int, output_tokens: int) -> float:
    return max(
        profile.cost_usd(input_tokens=prompt_tokens, output_tokens=output_tokens, cache_write_tokens=written)
        for written in (0, prompt_tokens)
    )
