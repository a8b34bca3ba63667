"""Finds stale facts: models about to retire, old prices, roles that no active model plays."""

import datetime as dt
from collections.abc import Iterator

from .catalogue import Catalogue
from .model import ModelProfile
from .vocabulary import ROLES

RETIRES_WITHIN_DAYS = 30
PRICE_AT_MOST_DAYS = 90


def stale_facts(catalogue: Catalogue, today: dt.date) -> tuple[str, ...]:
    """A sentence with the remedy for each problem: first invalid files, then by profile, then by role."""
    found = [str(problem) for problem in catalogue.problems]
    for profile in sorted(catalogue, key=lambda p: p.id):
        found += _of_profile(profile, today)
    return (*found, *_empty_roles(catalogue, today))


def _of_profile(profile: ModelProfile, today: dt.date) -> Iterator[str]:
    life = profile.lifecycle
    if life.status == "retired":
        return
    if life.retires_on is not None:
        days = (life.retires_on - today).days
        if days <= RETIRES_WITHIN_DAYS:
            when = f"retires on {life.retires_on}, in {days} day(s)" if days > 0 else f"retired on {life.retires_on}"
            then = f"; {life.successor} takes its place" if life.successor else "; it names no successor"
            yield (
                f"{profile.id}: {when}{then}. Set lifecycle.status to retired and remove its roles, or correct the day."
            )
    # The price of a model that is no longer offered does not matter.
    if profile.price is not None and profile.is_offered_on(today):
        age_days = (today - profile.price.seen).days
        if age_days > PRICE_AT_MOST_DAYS:
            yield (
                f"{profile.id}: its price was seen on {profile.price.seen}, {age_days} days ago. Check"
                f" {profile.price.source} and update price.seen."
            )


def _empty_roles(catalogue: Catalogue, today: dt.date) -> Iterator[str]:
    for role in ROLES:
        models = catalogue.models_in_role(role, today)
        if not any(model.lifecycle.status == "active" for model in models):
            last = f" ({models[0].id} retires on {models[0].lifecycle.retires_on})" if models else ""
            yield f"role {role}: no active model plays it{last}. Give a profile that is active `roles: {{{role}: 1}}`."
