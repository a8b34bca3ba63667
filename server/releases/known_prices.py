"""Prices from the data in the genai-prices wheel, never updated online. Each price's source names the version."""

import datetime as dt
import importlib.metadata
from decimal import Decimal
from typing import TYPE_CHECKING

from ...profiles.price import LongPromptRates, Price, PriceChange
from ...profiles.vocabulary import ProviderName

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, TieredPrices

_DIRECT_SELLERS: tuple[ProviderName, ...] = ("anthropic", "cerebras")
_RATES = {
    "input_usd_per_million_tokens": "input_mtok",
    "output_usd_per_million_tokens": "output_mtok",
    "cache_read_usd_per_million_tokens": "cache_read_mtok",
    "cache_write_usd_per_million_tokens": "cache_write_mtok",
}


class KnownPrices:
    """Looks up prices as of one day; the package is imported on the first lookup."""

    def __init__(self, today: dt.date) -> None:
        self._today = today

    def __call__(self, provider: ProviderName, wire_id: str) -> Price | None:
        """The price on that day, with announced changes. None: unknown, or in a form that `Price` cannot express."""
        if provider not in _DIRECT_SELLERS:
            return None
        from genai_prices.data_snapshot import get_snapshot
        from genai_prices.types import ModelPrice, StartDateConstraint

        vendor = next((p for p in get_snapshot().providers if p.id == provider), None)
        model = vendor.find_model(wire_id) if vendor else None
        if model is None:
            return None
        if isinstance(model.prices, ModelPrice):
            return self._price(model.prices)
        dated: list[tuple[dt.date, ModelPrice]] = []
        for conditional in model.prices:
            if conditional.constraint is None:
                dated.append((dt.date.min, conditional.prices))
            elif isinstance(conditional.constraint, StartDateConstraint):
                dated.append((conditional.constraint.start_date, conditional.prices))
            else:
                return None  # depends on the time of day, which `Price` cannot express
        begun = [prices for start, prices in dated if start <= self._today]
        return self._price(begun[-1], [(s, p) for s, p in dated if s > self._today]) if begun else None

    def _price(self, now: "ModelPrice", later: "list[tuple[dt.date, ModelPrice]] | None" = None) -> Price | None:
        rates = self._rates(now)
        if rates is None:
            return None
        price = Price.model_validate(rates)
        changes = [{**r, "effective": start} for start, prices in later or () if (r := self._rates(prices)) is not None]
        return price.model_copy(update={"changes": tuple(PriceChange.model_validate(change) for change in changes)})

    def _rates(self, prices: "ModelPrice") -> dict[str, object] | None:
        found: dict[str, Decimal | TieredPrices | None] = {
            ours: getattr(prices, their) for ours, their in _RATES.items()
        }
        tiers = {
            tier.start
            for rate in found.values()
            if rate is not None and not isinstance(rate, Decimal)
            for tier in rate.tiers
        }
        if len(tiers) > 1 or None in (found["input_usd_per_million_tokens"], found["output_usd_per_million_tokens"]):
            return None
        rates: dict[str, object] = {ours: _base(rate) for ours, rate in found.items()}
        if tiers:
            (start,) = tiers
            above = {ours: _above(rate) for ours, rate in found.items()}
            rates["long_prompt"] = LongPromptRates.model_validate({"above_prompt_tokens": start, **above})
        rates["source"] = f"genai-prices {importlib.metadata.version('genai-prices')}"
        rates["seen"] = self._today
        return rates


def _base(rate: "Decimal | TieredPrices | None") -> float | None:
    if rate is None or isinstance(rate, Decimal):
        return None if rate is None else float(rate)
    return float(rate.base)


def _above(rate: "Decimal | TieredPrices | None") -> float | None:
    if rate is None or isinstance(rate, Decimal):
        return _base(rate)
    return float(rate.tiers[-1].price) if rate.tiers else float(rate.base)
