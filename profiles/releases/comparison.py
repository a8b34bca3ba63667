"""A vendor's listing together with the profiles of its models."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from pydantic import BaseModel

from ..catalogue import Catalogue
from ..model import Endpoint, ModelProfile
from ..price import Price
from ..proposal import Evidence, Fact, Proposal
from ..vocabulary import ProviderName
from .listing import ListedModel, Listing

KnownPrice = Callable[[ProviderName, str], Price | None]
"""The price for a wire id when the vendor's listing states none. None: not known."""


@dataclass(frozen=True)
class Comparison:
    listing: Listing
    catalogue: Catalogue
    known_price: KnownPrice
    today: dt.date

    @property
    def _endpoint(self) -> Endpoint:
        return self.listing.endpoint or Endpoint(self.listing.provider)

    @property
    def profiles(self) -> list[ModelProfile]:
        """The profiles of the vendor or server listed."""
        return [p for p in self.catalogue if p.endpoint == self._endpoint]

    @property
    def unknown(self) -> list[ListedModel]:
        """Offered models without a profile. One for the same address with another key or other headers counts."""
        url = self._endpoint.base_url
        here = [p for p in self.catalogue if (p.provider, p.base_url) == (self.listing.provider, url)]
        known = {listed.id for p in here if (listed := self.listing.find(p.api_model)) is not None}
        offered = [listed for listed in self.listing.models if listed.lifecycle in (None, "active")]
        return [listed for listed in offered if listed.id not in known]

    def price_of(self, wire_id: str) -> Price | None:
        """The price in the listing, else from `known_price`."""
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
        """A proposal with this listing as evidence. source: where it was read; None: in the listing."""
        evidence = Evidence("releases", source or self.listing.source, self.listing.seen, note=note)
        return Proposal(profile, place, before, after, evidence, warnings, needs_consent)


def as_fact(group: BaseModel, *, beside: BaseModel | None = None) -> dict[str, Fact]:
    """A group as YAML values, without defaults.

    beside: the group it replaces; fields set there and default here are included, so that they are reset.
    """
    facts = cast(dict[str, Fact], group.model_dump(mode="json", exclude_defaults=True))
    if beside is not None:
        ended = beside.model_dump(exclude_defaults=True).keys() - facts.keys()
        facts |= cast(dict[str, Fact], group.model_dump(mode="json", include=ended))
    return facts
