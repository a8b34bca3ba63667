"""Price changes: which price applies on which day."""

import datetime as dt

import pytest
from pydantic import ValidationError

from chargehand.profiles.price import LongPromptRates, Price, PriceChange

SEEN = dt.date(2026, 11, 25)
NEW_YEAR, MAY = dt.date(2027, 1, 1), dt.date(2027, 5, 1)


def change(effective: dt.date, usd: float) -> PriceChange:
    rates = {"input_usd_per_million_tokens": usd, "output_usd_per_million_tokens": 10 * usd}
    return PriceChange(**rates, effective=effective, source="the vendor's notice", seen=SEEN)


def price(*changes: PriceChange) -> Price:
    return Price(
        input_usd_per_million_tokens=1,
        output_usd_per_million_tokens=10,
        cache_read_usd_per_million_tokens=0.1,
        source="the vendor's page",
        seen=SEEN,
        changes=changes,
    )


def per_million(charged: Price) -> float:
    return charged.cost_usd(input_tokens=1_000_000, output_tokens=0)


def test_a_price_change_applies_from_its_effective_day():
    announced = price(change(NEW_YEAR, 2))

    assert per_million(announced.on(NEW_YEAR - dt.timedelta(days=1))) == 1
    assert per_million(announced.on(NEW_YEAR)) == 2
    assert per_million(announced.on(NEW_YEAR + dt.timedelta(days=400))) == 2


def test_the_latest_effective_price_change_applies_whatever_their_order():
    announced = price(change(MAY, 3), change(NEW_YEAR, 2))

    assert [per_million(announced.on(day)) for day in (SEEN, NEW_YEAR, MAY)] == [1, 2, 3]


def test_a_price_resolved_for_a_day_can_be_resolved_for_a_later_day():
    on_new_year = price(change(MAY, 3), change(NEW_YEAR, 2)).on(NEW_YEAR)

    assert on_new_year.on(NEW_YEAR) == on_new_year
    assert per_million(on_new_year.on(MAY)) == 3


def test_a_price_change_replaces_all_rates():
    charged = price(change(NEW_YEAR, 2)).on(NEW_YEAR)

    assert charged.cache_read_usd_per_million_tokens is None


@pytest.mark.parametrize("effective", [dt.date(2026, 11, 1), SEEN], ids=["before", "on that day"])
def test_a_price_read_on_or_after_the_day_of_a_change_overrides_the_change(effective: dt.date):
    stale = price(change(effective, 2))

    assert per_million(stale.on(NEW_YEAR)) == 1


def test_an_effective_price_change_is_dated_by_when_it_was_read():
    assert price(change(NEW_YEAR, 2)).on(MAY).seen == SEEN


def test_a_share_of_a_price_also_applies_to_long_prompts_and_to_later_prices():
    long = LongPromptRates(above_prompt_tokens=100, input_usd_per_million_tokens=4, output_usd_per_million_tokens=40)
    full_price = price(change(NEW_YEAR, 2)).model_copy(update={"long_prompt": long})

    half = full_price.at_share(0.5)

    for day in (SEEN, NEW_YEAR):
        for tokens in (100, 101):
            used = {"input_tokens": tokens, "output_tokens": 7, "cache_read_tokens": 50}
            assert half.on(day).cost_usd(**used) == pytest.approx(full_price.on(day).cost_usd(**used) / 2)


@pytest.mark.parametrize("usd", [float("inf"), float("nan")])
def test_infinite_and_nan_prices_are_rejected(usd: float):
    with pytest.raises(ValidationError):
        change(NEW_YEAR, usd)
