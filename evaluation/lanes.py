"""Which answers an evaluation asks for beside each other, and which one after the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..tools.provider import Availability
from ..tools.services import Services
from .suite.task import SuiteTask

AT_ONCE = 4
"""Requests under way at one vendor elsewhere."""


@dataclass(frozen=True)
class Want:
    """One answer that an evaluation is to have."""

    item: SuiteTask
    model: str
    """Profile id."""
    repetition: int

    @property
    def key(self) -> tuple[str, str, int]:
        return self.item.id, self.model, self.repetition


@dataclass(frozen=True)
class Lane:
    wants: Sequence[Want]
    at_once: int


def lanes(wants: Sequence[Want], there: Mapping[str, Availability], services: Services) -> Sequence[Lane]:
    """One lane for each vendor elsewhere, and for each server that takes one request at a time.

    In a lane of models on this machine each has all its items in a row, so that none is loaded twice; of a vendor
    elsewhere each item goes to all models first, so that a small budget measures all of them.
    """
    before_servers: dict[str, list[Want]] = {}
    at_vendors: dict[str, list[Want]] = {}
    for want in wants:
        server = there[want.model].queue if want.model in there else None
        if server is None:
            (profile, *_) = services.catalogue.named(want.model, services.today)
            at_vendors.setdefault(profile.provider, []).append(want)
        else:
            before_servers.setdefault(server, []).append(want)
    return (
        *(Lane(sorted(members, key=lambda want: want.model), 1) for members in before_servers.values()),
        *(Lane(members, AT_ONCE) for members in at_vendors.values()),
    )
