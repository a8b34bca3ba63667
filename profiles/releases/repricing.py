"""Changes to prices and token limits."""

from collections.abc import Iterator

from ..model import ModelProfile
from ..price import LongPromptRates, Price, Rates
from ..proposal import Proposal
from .comparison import Comparison, as_fact

_SUSPICIOUS_FACTOR = 5.0
_PRECISION_USD = 1e-9


def price_changes(comparison: Comparison) -> Iterator[Proposal]:
    """A proposal for each offered model whose price differs from its profile."""
    for profile in comparison.profiles:
        stated = comparison.price_of(profile.api_model)
        if profile.price is None or stated is None or not profile.is_offered_on(comparison.today):
            continue
        today = profile.price.on(comparison.today)
        wanted = _completed(stated, today, profile, comparison)
        if _same_price(today, wanted):
            continue
        doubts = tuple(_doubts(today, wanted))
        if not _is_listed(profile, comparison):
            doubts += (f"{wanted.source} gives no date: {profile.price.source} was read on {today.seen}.",)
        yield comparison.proposal(
            profile.id,
            ("price",),
            as_fact(profile.price),
            as_fact(wanted, beside=profile.price),
            _description(today, wanted),
            *doubts,
            source=wanted.source,
            needs_consent=bool(doubts),
        )


def limit_changes(comparison: Comparison) -> Iterator[Proposal]:
    """A proposal for each token limit that differs from the profile, for Anthropic only.

    Cerebras lists the limits of paid plans, which not every user has; local models report theirs at run time.
    """
    if comparison.listing.provider != "anthropic":
        return
    for profile in comparison.profiles:
        listed = comparison.listing.find(profile.api_model)
        if listed is None or not profile.is_offered_on(comparison.today):
            continue
        for field in ("context_tokens", "max_output_tokens"):
            before, after = getattr(profile, field), getattr(listed, field)
            if after is not None and after != before:
                note = f"its vendor states {after:,}"
                yield comparison.proposal(profile.id, (field,), before, after, note)


def _completed(stated: Price, today: Price, profile: ModelProfile, comparison: Comparison) -> Price:
    """The stated price; if only input and output rates are stated, the rest of `today` is kept."""
    if not _is_listed(profile, comparison):
        return stated
    rates = {
        "input_usd_per_million_tokens": stated.input_usd_per_million_tokens,
        "output_usd_per_million_tokens": stated.output_usd_per_million_tokens,
    }
    return today.model_copy(update={**rates, "source": stated.source, "seen": stated.seen})


def _is_listed(profile: ModelProfile, comparison: Comparison) -> bool:
    """Whether the vendor's own listing states the price."""
    listed = comparison.listing.find(profile.api_model)
    return listed is not None and listed.price is not None


def _same_price(one: Price, other: Price) -> bool:
    def parts(price: Price) -> tuple[list[tuple[float, ...]], ...]:
        return (
            [_rates(price), *_long_prompt_rates(price.long_prompt)],
            [(c.effective.toordinal(), *_rates(c)) for c in price.changes],
        )

    return parts(one) == parts(other)


def _rates(rates: Rates) -> tuple[float, ...]:
    plain = rates.input_usd_per_million_tokens
    read, write = rates.cache_read_usd_per_million_tokens, rates.cache_write_usd_per_million_tokens
    charged = (
        plain,
        rates.output_usd_per_million_tokens,
        plain if read is None else read,
        plain if write is None else write,
    )
    return tuple(round(usd / _PRECISION_USD) for usd in charged)


def _long_prompt_rates(rates: LongPromptRates | None) -> list[tuple[float, ...]]:
    return [] if rates is None else [(rates.above_prompt_tokens, *_rates(rates))]


def _description(before: Price, after: Price) -> str:
    """The change in words."""
    now = "" if _rates(before) == _rates(after) else f"{_shown(before)} becomes {_shown(after)}"
    later = [f"{_shown(change)} from {change.effective} on" for change in after.changes]
    return "; ".join([now, *later] if now else later) or "its rates for caching or for long prompts differ"


def _shown(rates: Rates) -> str:
    return f"${rates.input_usd_per_million_tokens:g} / ${rates.output_usd_per_million_tokens:g} per million tokens"


def _doubts(before: Price, after: Price) -> Iterator[str]:
    for rates in (after, *after.changes):
        pairs = (
            (before.input_usd_per_million_tokens, rates.input_usd_per_million_tokens),
            (before.output_usd_per_million_tokens, rates.output_usd_per_million_tokens),
        )
        if any(new * _SUSPICIOUS_FACTOR <= old or old * _SUSPICIOUS_FACTOR <= new for old, new in pairs if old != new):
            yield (
                f"{_shown(rates)} is far from {_shown(before)}: budgets depend on this price, so check the vendor's"
                " page."
            )
