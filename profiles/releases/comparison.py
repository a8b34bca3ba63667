"""A vendor's listing beside what is known of its models."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from pydantic import BaseModel

from ..catalogue import Catalogue
from ..model import ModelProfile
from ..price import Price
from ..proposal import Evidence, Fact, Proposal
from ..vocabulary import ProviderName
from .listing import ListedModel, Listing

KnownPrice = Callable[[ProviderName, str], Price | None]
"""The price of a wire id where a vendor's own listing does not say. None: not known."""


@dataclass(frozen=True)
class Comparison:
    listing: Listing
    catalogue: Catalogue
    known_price: KnownPrice
    today: dt.date

    @property
    def mine(self) -> list[ModelProfile]:
        """The profiles that the listing speaks of."""
        asked = (self.listing.provider, self.listing.base_url)
        return [p for p in self.catalogue if (p.provider, p.base_url) == asked]

    @property
    def unknown(self) -> list[ListedModel]:
        """What is offered and has no profile."""
        known = {listed.id for p in self.mine if (listed := self.listing.find(p.api_model)) is not None}
        offered = [listed for listed in self.listing.models if listed.lifecycle in (None, "active")]
        return [listed for listed in offered if listed.id not in known]

    def price_of(self, wire_id: str) -> Price | None:
        """What the listing says it costs, else what is known from elsewhere."""
        listed = self.listing.find(wire_id)
        stated = listed.price if listed is not None else None
        return stated or self.known_price(self.listing.provider, wire_id)

    def proposal(
        self,
        profile: str,
        place: tuple[str, ...],
        before: Fact,
        after: Fact,
        note: str,
        *warnings: str,
        source: str | None = None,
        needs_consent: bool = False,
    ) -> Proposal:
        """source: where it was read. None: in the listing."""
        evidence = Evidence("releases", source or self.listing.source, self.listing.seen, note=note)
        return Proposal(profile, place, before, after, evidence, warnings, needs_consent)


def as_fact(group: BaseModel, *, beside: BaseModel | None = None) -> dict[str, Fact]:
    """A group as YAML has it, without what it does not state.

    beside: the group that it takes the place of; what that states, and this does not, is stated as nothing.
    """
    facts = cast(dict[str, Fact], group.model_dump(mode="json", exclude_defaults=True))
    if beside is not None:
        ended = beside.model_dump(exclude_defaults=True).keys() - facts.keys()
        facts |= cast(dict[str, Fact], group.model_dump(mode="json", include=ended))
    return facts
