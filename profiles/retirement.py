"""Upcoming retirements of models, with their successors."""

import datetime as dt
from dataclasses import dataclass

from .catalogue import Catalogue
from .model import ModelProfile
from .vocabulary import ROLES, Role

DAYS_OF_NOTICE = 30
"""Retirements are announced this many days ahead."""


@dataclass(frozen=True)
class Notice:
    """The upcoming retirement of one model."""

    model: str
    retires_on: dt.date
    days: int
    """Days until it retires, at least 1."""
    roles: tuple[Role, ...]
    """The roles it plays now."""
    successor: str | None
    """Id of the profile that then takes them over. None: none is known that is still offered."""
    successor_is_on_probation: bool

    @property
    def text(self) -> str:
        """The notice in words, without a final full stop."""
        days = "1 day" if self.days == 1 else f"{self.days} days"
        text = f"{self.model} stops answering on {self.retires_on}, in {days}"
        if self.successor is None:
            return f"{text}; no successor is known: `chargehand profiles update --from-releases` looks for one"
        if self.successor_is_on_probation:
            return (
                f"{text}; its successor is {self.successor}, which is on probation and takes its place once"
                " `chargehand evaluate` has measured it"
            )
        return f"{text}; its successor is {self.successor}"


def notice_of(profile: ModelProfile, catalogue: Catalogue, today: dt.date) -> Notice | None:
    """The notice due for a model. None: it stays, has retired, or retires later than DAYS_OF_NOTICE."""
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
        roles=tuple(role for role in ROLES if profile in catalogue.models_in_role(role, today)),
        successor=successor.id if successor else None,
        successor_is_on_probation=successor is not None and successor.lifecycle.on_probation,
    )


def notices(catalogue: Catalogue, today: dt.date) -> tuple[Notice, ...]:
    """All notices due, earliest retirement first."""
    due = (notice_of(profile, catalogue, today) for profile in catalogue)
    return tuple(sorted(filter(None, due), key=lambda notice: (notice.retires_on, notice.model)))
