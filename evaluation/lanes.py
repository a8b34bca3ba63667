"""Groups an evaluation's requests into lanes, which run concurrently, each with its own limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..tools.provider import Availability
from ..tools.services import Services
from .suite.task import SuiteTask

AT_ONCE = 4
"""Concurrent requests to one remote vendor."""


@dataclass(frozen=True)
class WantedAnswer:
    """One answer that an evaluation needs."""

    item: SuiteTask
    model: str
    """Profile id."""
    repetition: int

    @property
    def key(self) -> tuple[str, str, int]:
        return self.item.id, self.model, self.repetition


@dataclass(frozen=True)
class Lane:
    wants: Sequence[WantedAnswer]
    at_once: int


def lanes(
    wants: Sequence[WantedAnswer], availability: Mapping[str, Availability], services: Services
) -> Sequence[Lane]:
    """One lane per remote vendor, and one per server that takes one request at a time.

    A server's lane runs all items of a model before the next model, so that none is loaded twice; a vendor's lane
    keeps the order of `wants`.
    """
    before_servers: dict[str, list[WantedAnswer]] = {}
    at_vendors: dict[str, list[WantedAnswer]] = {}
    for want in wants:
        server = availability[want.model].queue if want.model in availability else None
        if server is None:
            (profile, *_) = services.catalogue.named(want.model, services.today)
            at_vendors.setdefault(profile.provider, []).append(want)
        else:
            before_servers.setdefault(server, []).append(want)
    return (
        *(Lane(sorted(members, key=lambda want: want.model), 1) for members in before_servers.values()),
        *(Lane(members, AT_ONCE) for members in at_vendors.values()),
    )
