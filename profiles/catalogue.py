"""All profiles at hand: who plays a role, and whom a name means."""

import datetime as dt
import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import InvalidProfile, UnknownModel
from .model import ModelProfile
from .routing_rules import RoutingRules
from .vocabulary import ROLES, Role, TaskType


@dataclass(frozen=True)
class Catalogue:
    """The profiles by id, the routing rules, and the mistakes that kept a file out."""

    profiles: Mapping[str, ModelProfile]
    rules: RoutingRules
    problems: tuple[InvalidProfile, ...] = field(default=())
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """What the user's own files say, by profile id, in the form of a file: nothing that is measured replaces it."""
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """What is in force, in the same form."""

    def __iter__(self) -> Iterator[ModelProfile]:
        return iter(self.profiles.values())

    def players(
        self, role: Role, today: dt.date, *, task_type: TaskType | None = None, reference_first: bool = True
    ) -> tuple[ModelProfile, ...]:
        """The profiles that play the role today, the preferred first; none that is retired.

        task_type: a profile that suits it comes before the others, and one that avoids it after them.
        reference_first: the reference's own profile before all others, as policy `reference` wants.
        """
        offered = [p for p in self if role in p.roles and p.is_offered_on(today)]

        def order(profile: ModelProfile) -> tuple[bool, int, int, str]:
            fitness = (task_type in profile.avoids) - (task_type in profile.suits)
            return not (reference_first and profile.in_reference), fitness, profile.roles[role], profile.id

        return tuple(sorted(offered, key=order))

    def retired_players(self, role: Role, today: dt.date) -> tuple[ModelProfile, ...]:
        """The profiles that once played the role and are no longer offered, the preferred first."""
        gone = [p for p in self if role in p.roles and not p.is_offered_on(today)]
        return tuple(sorted(gone, key=lambda p: (p.roles[role], p.id)))

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
            offered = [p for p in in_line if p.is_offered_on(today)]
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
        names = [*self.profiles, *ROLES, *{p.line for p in self if p.line}]
        return difflib.get_close_matches(wanted, names, n=3, cutoff=0.0)


_UNPLACED = 99
