"""Vendors' published prices and the formula for the cost of a request."""

import datetime as dt
from typing import Self

from pydantic import BaseModel, ConfigDict, Field


class Rates(BaseModel):
    """US dollars per million tokens, by kind of token."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    input_usd_per_million_tokens: float = Field(ge=0)
    """For prompt tokens neither read from nor written to the cache."""
    output_usd_per_million_tokens: float = Field(ge=0)
    """Thinking tokens are billed as output."""
    cache_read_usd_per_million_tokens: float | None = Field(default=None, ge=0)
    """For prompt tokens read from the cache. None: charged as input."""
    cache_write_usd_per_million_tokens: float | None = Field(default=None, ge=0)
    """For prompt tokens written to the five-minute cache. None: charged as input."""

    def at_share(self, share: float) -> Self:
        """The rates multiplied by `share`."""
        rates = {name: getattr(self, name) for name in Rates.model_fields}
        return self.model_copy(update={name: rate and rate * share for name, rate in rates.items()})


class LongPromptRates(Rates):
    """The rates for all tokens of a request with a long prompt."""

    above_prompt_tokens: int = Field(gt=0)
    """Prompt length, cache reads and writes included, above which these rates apply."""


class _Sourced(Rates):
    long_prompt: LongPromptRates | None = None
    """None: the same rates for all prompt lengths."""
    source: str
    """Where the price was read: a link, or the name and version of a data set."""
    seen: dt.date
    """The day it was read."""

    def at_share(self, share: float) -> Self:
        """See `Rates`; applies to long prompts too."""
        long_prompt = self.long_prompt and self.long_prompt.at_share(share)
        return super().at_share(share).model_copy(update={"long_prompt": long_prompt})


class PriceChange(_Sourced):
    """The price from a given day on."""

    effective: dt.date
    """The first day (UTC) it applies."""


class Price(_Sourced):
    """A vendor's current price and announced changes."""

    changes: tuple[PriceChange, ...] = ()
    """Announced changes, in any order. Those already in effect on `seen` are part of the price and are ignored."""

    def at_share(self, share: float) -> Self:
        """See `Rates`; applies to announced changes too."""
        changes = tuple(change.at_share(share) for change in self.changes)
        return super().at_share(share).model_copy(update={"changes": changes})

    def on(self, day: dt.date) -> "Price":
        """The price in effect on a day, with the changes still to come."""
        ahead = sorted((c for c in self.changes if c.effective > self.seen), key=lambda c: c.effective)
        begun = [change for change in ahead if change.effective <= day]
        if not begun:
            return self
        facts = begun[-1].model_dump(exclude={"effective"})
        facts["changes"] = tuple(change for change in ahead if change.effective > day)
        return Price.model_validate(facts)

    def cost_usd(
        self,
        *,
        input_tokens: int,
        output_tokens: int,
        cache_read_tokens: int = 0,
        cache_write_tokens: int = 0,
    ) -> float:
        """The price of one request in US dollars.

        input_tokens: the whole prompt, cached parts included. output_tokens: thinking included.
        """
        rates: Rates = self
        if self.long_prompt is not None and input_tokens > self.long_prompt.above_prompt_tokens:
            rates = self.long_prompt
        plain = rates.input_usd_per_million_tokens
        read, write = rates.cache_read_usd_per_million_tokens, rates.cache_write_usd_per_million_tokens
        fresh_tokens = max(0, input_tokens - cache_read_tokens - cache_write_tokens)
        per_million = (
            fresh_tokens * plain
            + cache_read_tokens * (plain if read is None else read)
            + cache_write_tokens * (plain if write is None else write)
            + output_tokens * rates.output_usd_per_million_tokens
        )
        return per_million / 1_000_000


def in_dollars(usd: float) -> str:
    """An amount for display: four decimals from one cent (and for zero), six below."""
    return f"{'-' if usd < 0 else ''}${abs(usd):.{4 if abs(usd) >= 0.01 or usd == 0 else 6}f}"
