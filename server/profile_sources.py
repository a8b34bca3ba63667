"""Where proposals come from: a source for each word of `chargehand profiles update --from-…`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line knows the words before anything is imported
    from ..evaluation.profiling.found import Found
    from ..tools.workshop import Workshop


@dataclass(frozen=True)
class Source:
    read: "Callable[[Workshop], Awaitable[Found]]"
    help: str


async def _evaluation(shop: "Workshop") -> "Found":
    from ..evaluation.profiling.from_evaluation import proposals_from_evaluation

    return await proposals_from_evaluation(shop.ledger, shop.catalogue, shop.today)


SOURCES: Mapping[str, Source] = {
    "evaluation": Source(_evaluation, "what `chargehand evaluate` measured on this machine"),
}
"""In the order in which they are read."""
