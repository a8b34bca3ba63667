"""Which models stop answering soon, and who takes their place."""

import datetime as dt
from dataclasses import dataclass

from .catalogue import Catalogue
from .model import ModelProfile
from .vocabulary import ROLES, Role

DAYS_OF_NOTICE = 30
"""A retirement is announced so many days before it bites."""


@dataclass(frozen=True)
class Notice:
    """One model's last day, announced."""

    model: str
    retires_on: dt.date
    days: int
    """Days until it stops answering, at least 1."""
    roles: tuple[Role, ...]
    """The roles it plays until then."""
    successor: str | None
    """Who plays them from that day on. None: nobody is named, or nobody who is offered."""
    successor_is_on_probation: bool

    @property
    def text(self) -> str:
        """The notice in a sentence or two, without a full stop at the end."""
        days = "1 day" if self.days == 1 else f"{self.days} days"
        said = f"{self.model} stops answering on {self.retires_on}, in {days}"
        if self.successor is None:
            return f"{said}; no successor is known: `chargehand profiles update --from-releases` looks for one"
        if self.successor_is_on_probation:
            return (
                f"{said}; its successor is {self.successor}, which is on probation and takes its place once"
                " `chargehand evaluate` has measured it"
            )
        return f"{said}; its successor is {self.successor}"


def notice_of(profile: ModelProfile, catalogue: Catalogue, today: dt.date) -> Notice | None:
    """The notice that is due for a model. None: it stays, is gone, or goes later than is announced."""
    last = profile.lifecycle.retires_on
    if profile.lifecycle.status != "deprecated" or last is None:
        return None
    days = (last - today).days
    if not 0 < days <= DAYS_OF_NOTICE:
        return None
    successor = catalogue.successor_of(profile, last)
    return Notice(
        model=profile.id,
        retires_on=last,
        days=days,
        roles=tuple(role for role in ROLES if profile in catalogue.players(role, today)),
        successor=successor.id if successor else None,
        successor_is_on_probation=successor is not None and successor.lifecycle.on_probation,
    )


def notices(catalogue: Catalogue, today: dt.date) -> tuple[Notice, ...]:
    """All that are due, the soonest first."""
    due = (notice_of(profile, catalogue, today) for profile in catalogue)
    return tuple(sorted(filter(None, due), key=lambda notice: (notice.retires_on, notice.model)))
