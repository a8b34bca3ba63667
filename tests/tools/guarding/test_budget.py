"""The output tokens that the remaining money allows for a request."""

import datetime as dt
import math
import random

import pytest

from chargehand.profiles.model import Lifecycle, ModelProfile
from chargehand.profiles.price import LongPromptRates, Price
from chargehand.tools.guarding.budget import Allowance, allow

TODAY = dt.date(2026, 11, 24)


def _profile(price: Price | None) -> ModelProfile:
    return ModelProfile(
        id="m",
        name="M",
        provider="ollama",
        api_model="m",
        price=price,
        lifecycle=Lifecycle(status="active", source="made up", seen=TODAY),
    )


def _price(input_usd: float = 1.0, output_usd: float = 10.0, **more: float | LongPromptRates) -> Price:
    return Price(
        input_usd_per_million_tokens=input_usd,
        output_usd_per_million_tokens=output_usd,
        source="made up",
        seen=TODAY,
        **more,
    )


PAID = _profile(_price())
FREE = _profile(None)


def _allow(
    profile: ModelProfile, left_usd: float | None, *, prompt: int = 1_000, wanted: int = 4_000, least: int = 256
):
    return allow(profile, prompt_tokens_at_most=prompt, wanted_tokens=wanted, min_tokens=least, left_usd=left_usd)


def test_with_enough_money_all_wanted_tokens_are_allowed():
    assert _allow(PAID, 1.0) == Allowance(max_output_tokens=4_000, worst_case_usd=pytest.approx(0.041))


def test_without_a_limit_all_wanted_tokens_are_allowed():
    assert _allow(PAID, None) == _allow(PAID, 1.0)


def test_the_answer_is_shortened_to_what_the_remaining_money_pays_for():
    allowed = _allow(PAID, 0.011)

    assert allowed is not None
    assert allowed.max_output_tokens == pytest.approx(1_000, abs=1)
    assert allowed.worst_case_usd <= 0.011


def test_money_a_rounding_error_short_of_a_token_does_not_pay_for_it():
    left_usd = math.nextafter(0.0041, 0.0)

    allowed = _allow(PAID, left_usd, wanted=4_096)

    assert allowed is not None
    assert (allowed.max_output_tokens, allowed.worst_case_usd <= left_usd) == (309, True)


def test_nothing_is_allowed_if_not_even_the_minimum_of_tokens_can_be_paid():
    assert _allow(PAID, 0.001 + 0.00255) is None
    assert _allow(PAID, 0.001 + 0.00257) is not None


@pytest.mark.parametrize("left_usd", [0.0, 0.001, 0.0005, -1.0])
def test_nothing_is_allowed_if_the_prompt_alone_uses_up_the_money(left_usd: float):
    assert _allow(PAID, left_usd) is None


@pytest.mark.parametrize("left_usd", [None, 0.0, 0.000001, -0.5])
@pytest.mark.parametrize("profile", [FREE, _profile(_price(0, 0))], ids=["free", "priced at nothing"])
def test_a_free_model_is_always_allowed(profile: ModelProfile, left_usd: float | None):
    assert _allow(profile, left_usd) == Allowance(max_output_tokens=4_000, worst_case_usd=0)


def test_the_worst_case_includes_writing_the_prompt_to_the_cache():
    profile = _profile(_price(cache_write_usd_per_million_tokens=1.25, cache_read_usd_per_million_tokens=0.1))

    allowed = _allow(profile, 1.0)

    assert allowed is not None
    assert allowed.worst_case_usd == pytest.approx(0.00125 + 0.04)


def test_a_cheaper_cache_write_does_not_lower_the_worst_case():
    profile = _profile(_price(cache_write_usd_per_million_tokens=0.5))

    assert _allow(profile, 1.0) == _allow(PAID, 1.0)


def test_a_long_prompt_is_priced_at_the_long_prompt_rates():
    long = LongPromptRates(
        above_prompt_tokens=200_000, input_usd_per_million_tokens=2.0, output_usd_per_million_tokens=20.0
    )
    profile = _profile(_price(long_prompt=long))

    short_prompt, long_prompt = _allow(profile, 10.0, prompt=200_000), _allow(profile, 10.0, prompt=200_001)

    assert short_prompt is not None
    assert long_prompt is not None
    assert short_prompt.worst_case_usd == pytest.approx(0.2 + 0.04)
    assert long_prompt.worst_case_usd == pytest.approx(0.400002 + 0.08)


def test_random_allowances_fit_the_remaining_money_and_use_it_up():
    rng = random.Random(20261124)
    for _ in range(20_000):
        profile = _random_profile(rng)
        prompt, wanted = rng.randrange(0, 400_000), rng.randrange(1, 64_000)
        least, left_usd = rng.randrange(1, 2_000), rng.choice([0.0, 10 ** rng.uniform(-7, 1)])

        allowed = _allow(profile, left_usd, prompt=prompt, wanted=wanted, least=least)

        def cost_usd(tokens: int, profile: ModelProfile = profile, prompt: int = prompt) -> float:
            with_cache_write = profile.cost_usd(input_tokens=prompt, output_tokens=tokens, cache_write_tokens=prompt)
            return max(with_cache_write, profile.cost_usd(input_tokens=prompt, output_tokens=tokens))

        if allowed is None:
            assert cost_usd(min(least, wanted) + 2) > left_usd
            continue
        assert allowed.worst_case_usd <= left_usd
        assert allowed.worst_case_usd == cost_usd(allowed.max_output_tokens)
        assert allowed.max_output_tokens <= wanted
        if allowed.max_output_tokens < wanted:
            assert allowed.max_output_tokens >= least
            assert cost_usd(allowed.max_output_tokens + 2) > left_usd


_PROFILES = [
    _profile(
        _price(
            round(random.Random(seed).uniform(0.05, 20), 2),
            round(random.Random(seed + 1).uniform(0.1, 90), 2),
            cache_write_usd_per_million_tokens=round(random.Random(seed + 2).uniform(0.05, 25), 3),
        )
    )
    for seed in range(20)
]


def _random_profile(rng: random.Random) -> ModelProfile:
    return rng.choice(_PROFILES)


def test_a_model_that_charges_only_for_its_prompt_is_not_asked_when_the_money_does_not_pay_for_that():
    assert _allow(_profile(_price(output_usd=0.0)), 0.000_5) is None
