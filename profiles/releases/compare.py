"""Compares a vendor's listing with the profiles: retirements, successors, new models and prices, as proposals."""

import datetime as dt
from dataclasses import dataclass

from ..catalogue import Catalogue
from ..proposal import Proposal
from .comparison import Comparison, KnownPrice
from .lifecycle import lifecycle_changes
from .listing import Listing
from .newcomer import newcomer_proposal, newcomers
from .repricing import limit_changes, price_changes


@dataclass(frozen=True)
class Findings:
    proposals: tuple[Proposal, ...] = ()
    notes: tuple[str, ...] = ()
    """Observations that change nothing, for display."""
    problems: tuple[str, ...] = ()
    """Vendors that could not be read, each with the remedy."""


def compare(listing: Listing, catalogue: Catalogue, known_price: KnownPrice, today: dt.date) -> Findings:
    """The changes that follow from a listing, as proposals; nothing is written."""
    comparison = Comparison(listing, catalogue, known_price, today)
    new, skipped = newcomers(comparison)
    changes, notes = lifecycle_changes(comparison, new)
    proposals = (
        *changes,
        *(newcomer_proposal(comparison, newcomer) for newcomer in new),
        *limit_changes(comparison),
        *price_changes(comparison),
    )
    return Findings(proposals, (*notes, *skipped))
