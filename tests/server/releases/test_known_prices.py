"""Prices from the price list that is installed along, as of one day."""

import datetime as dt

import pytest

from chargehand.profiles.vocabulary import ProviderName
from chargehand.server.releases.known_prices import KnownPrices

# The list dates the day from which long prompts of this model cost no more than others.
DATED, CHANGE = "claude-opus-4-6", dt.date(2026, 3, 13)


def test_a_dated_price_applies_from_its_day_and_is_announced_before():
    before = KnownPrices(CHANGE - dt.timedelta(days=1))("anthropic", DATED)
    after = KnownPrices(CHANGE)("anthropic", DATED)

    assert before is not None
    assert after is not None
    assert before.input_usd_per_million_tokens == after.input_usd_per_million_tokens == 5
    assert before.long_prompt is not None
    assert (before.long_prompt.above_prompt_tokens, before.long_prompt.input_usd_per_million_tokens) == (200_000, 10)
    assert [(change.effective, change.long_prompt) for change in before.changes] == [(CHANGE, None)]
    assert (after.long_prompt, after.changes, after.seen) == (None, (), CHANGE)
    assert after.source.startswith("genai-prices ")


@pytest.mark.parametrize(
    ("provider", "model"),
    [("anthropic", "claude-nothing-1"), ("openai_compatible", DATED), ("ollama", "qwen3:30b-a3b")],
)
def test_an_unknown_model_and_one_that_its_maker_does_not_sell_have_no_price(provider: ProviderName, model: str):
    assert KnownPrices(CHANGE)(provider, model) is None
