"""All profiles at hand: who plays a role, and whom a name means."""

import bisect
import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

from .errors import InvalidProfile, UnknownModel
from .model import ModelProfile
from .routing_rules import RoutingRules
from .vocabulary import ROLES, Role, TaskType


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The profiles by id, the routing rules, and the mistakes that kept a file out. Equal to itself alone."""

    profiles: Mapping[str, ModelProfile]
    rules: RoutingRules
    problems: tuple[InvalidProfile, ...] = field(default=())
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """What the user's own files say, by profile id, in the form of a file: nothing that is measured replaces it."""
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """What is in force, in the same form."""

    def __iter__(self) -> Iterator[ModelProfile]:
        return iter(self.profiles.values())

    @property
    def not_in_force(self) -> str | None:
        """One line on the user's own files that are wrong, without anything that stands in them. None: none is."""
        wrong = [f"profiles/{p.file} is not in force: {p.fault}" for p in self.problems if p.file is not None]
        more = [f"nor are {len(wrong) - _TOLD_AT_MOST} others"] if len(wrong) > _TOLD_AT_MOST else []
        told = "; ".join([*wrong[:_TOLD_AT_MOST], *more])
        return f"{told}; `chargehand doctor` says more." if told else None

    def players(
        self, role: Role, today: dt.date, *, task_type: TaskType | None = None, reference_first: bool = True
    ) -> tuple[ModelProfile, ...]:
        """The profiles that play the role today, the preferred first; none that is retired or on probation.

        From the day a model is gone its successor plays its roles, in its place unless it has one of its own.

        task_type: a profile that suits it comes before the others, and one that avoids it after them.
        reference_first: the reference's own profile before all others, as policy `reference` wants.
        """
        return _players(self, role, today, task_type, reference_first=reference_first)

    def on(self, day: dt.date) -> "Catalogue":
        """The catalogue with the prices that are charged on a day."""
        begun = bisect.bisect_right(self._price_changes, day)
        if not begun:
            return self
        if begun not in self._after_changes:
            priced = {model: profile.priced_on(day) for model, profile in self.profiles.items()}
            self._after_changes[begun] = replace(self, profiles=priced)
        return self._after_changes[begun]

    @cached_property
    def _price_changes(self) -> tuple[dt.date, ...]:
        """The days on which a price changes, the first first."""
        return tuple(sorted({c.effective for p in self if p.price is not None for c in p.price.changes}))

    @cached_property
    def _after_changes(self) -> dict[int, "Catalogue"]:
        """By how many of those days have come; each is made when it is first wanted."""
        return {}

    def successor_of(self, profile: ModelProfile, today: dt.date) -> ModelProfile | None:
        """The first of its successors that is still offered, on probation or not. None: there is none."""
        passed = {profile.id}
        while (name := profile.lifecycle.successor) is not None and name not in passed:
            passed.add(name)
            if name not in self.profiles:
                return None
            profile = self.profiles[name]
            if profile.is_offered_on(today):
                return profile
        return None

    def retired_players(self, role: Role, today: dt.date) -> tuple[ModelProfile, ...]:
        """The profiles that once played the role and are no longer offered, the preferred first."""
        return _retired_players(self, role, today)

    def named(self, name: str, today: dt.date) -> tuple[ModelProfile, ...]:
        """The profiles that a user's word for a model means, the preferred first, never empty.

        name: a profile id, a role, a line (`sonnet`), `provider/id`, `local/id`, or a wire id; case
        does not matter. A profile id or wire id means that one model even when it is retired; a role or a
        line means retired ones only when it has no others.
        Raises UnknownModel with the nearest three.
        """
        wanted = name.strip().lower()
        if found := self._exactly(wanted):
            return (found,)
        for role in ROLES:
            if wanted == role and (players := self.players(role, today) or self.retired_players(role, today)):
                return players
        if in_line := [p for p in self if p.line and p.line.lower() == wanted]:
            offered = [p for p in in_line if p.plays_roles_on(today)] or [p for p in in_line if p.is_offered_on(today)]
            # Between equals the greater id is the newer model: claude-fable-5-2 before 5-1.
            newest_first = sorted(offered or in_line, key=lambda p: p.id, reverse=True)
            return tuple(sorted(newest_first, key=self._place_in_line))
        provider, slash, rest = wanted.partition("/")
        if slash and (found := self._exactly(rest)):
            is_meant = found.provider == ("ollama" if provider == "local" else provider)
            if is_meant:
                return (found,)
        raise UnknownModel(name, self._nearest(wanted))

    def _place_in_line(self, profile: ModelProfile) -> tuple[int, int]:
        """Sorts by preference; between equals, what plays the higher role goes first."""
        preference = min(profile.roles.values(), default=_UNPLACED)
        height = max((self.rules.ladder.index(role) for role in profile.roles), default=0)
        return preference, -height

    def _exactly(self, wanted: str) -> ModelProfile | None:
        if wanted in self.profiles:
            return self.profiles[wanted]
        return next((p for p in self if p.api_model.lower() == wanted), None)

    def _nearest(self, wanted: str) -> list[str]:
        import difflib

        names = [*self.profiles, *ROLES, *{p.line for p in self if p.line}]
        return difflib.get_close_matches(wanted, names, n=3, cutoff=0.0)


# Each decision asks for every role, and the answers change with the day.
_ANSWERS_KEPT = 256


@lru_cache(maxsize=_ANSWERS_KEPT)
def _players(
    catalogue: Catalogue, role: Role, today: dt.date, task_type: TaskType | None, *, reference_first: bool
) -> tuple[ModelProfile, ...]:
    places = _inherited(catalogue, role, today)
    places |= {p.id: p.roles[role] for p in catalogue if role in p.roles and p.plays_roles_on(today)}

    def order(profile: ModelProfile) -> tuple[bool, int, int, str]:
        fitness = (task_type in profile.avoids) - (task_type in profile.suits)
        return not (reference_first and profile.in_reference), fitness, places[profile.id], profile.id

    return tuple(sorted((catalogue.profiles[model] for model in places), key=order))


def _inherited(catalogue: Catalogue, role: Role, today: dt.date) -> dict[str, int]:
    """By the id of a successor that has no place of its own in the role: the one its predecessor left."""
    places: dict[str, int] = {}
    for gone in catalogue.retired_players(role, today):
        heir = catalogue.successor_of(gone, today)
        if heir is not None and heir.plays_roles_on(today) and role not in heir.roles_taken_away:
            places.setdefault(heir.id, gone.roles[role])
    return places


@lru_cache(maxsize=_ANSWERS_KEPT)
def _retired_players(catalogue: Catalogue, role: Role, today: dt.date) -> tuple[ModelProfile, ...]:
    gone = [p for p in catalogue if role in p.roles and not p.is_offered_on(today)]
    return tuple(sorted(gone, key=lambda p: (p.roles[role], p.id)))


_UNPLACED = 99
_TOLD_AT_MOST = 3
"""Files: a decision is read by a model, who pays for each word."""
