"""All profiles at hand: who plays a role, and whom a name means."""

import datetime as dt
import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .errors import InvalidProfile, UnknownModel
from .model import ModelProfile
from .routing_rules import RoutingRules
from .vocabulary import ROLES, Role


@dataclass(frozen=True)
class Catalogue:
    """The profiles by id, the routing rules, and the mistakes that kept a file out."""

    profiles: Mapping[str, ModelProfile]
    rules: RoutingRules
    problems: tuple[InvalidProfile, ...] = field(default=())

    def __iter__(self) -> Iterator[ModelProfile]:
        return iter(self.profiles.values())

    def players(self, role: Role, today: dt.date, *, reference_first: bool = True) -> tuple[ModelProfile, ...]:
        """The profiles that play the role today, the preferred first; none that is retired.

        reference_first: the reference's own profile before all others, as policy `reference` wants.
        """
        offered = [p for p in self if role in p.roles and p.is_offered_on(today)]
        return tuple(sorted(offered, key=lambda p: (not (reference_first and p.in_reference), p.roles[role], p.id)))

    def retired_players(self, role: Role, today: dt.date) -> tuple[ModelProfile, ...]:
        """The profiles that once played the role and are no longer offered, the preferred first."""
        gone = [p for p in self if role in p.roles and not p.is_offered_on(today)]
        return tuple(sorted(gone, key=lambda p: (p.roles[role], p.id)))

    def named(self, name: str, today: dt.date) -> tuple[ModelProfile, ...]:
        """The profiles that a user's word for a model means, the preferred first, never empty.

        name: a profile id, a role, a line (`sonnet`), `provider/id`, `local/id`, or a wire id; case
        does not matter. A profile id or wire id means that one model even when it is retired.
        Raises UnknownModel with the nearest three.
        """
        wanted = name.strip().lower()
        if found := self._exactly(wanted):
            return (found,)
        for role in ROLES:
            if wanted == role and (players := self.players(role, today)):
                return players
        if in_line := [p for p in self if p.line == wanted and p.is_offered_on(today)]:
            return tuple(sorted(in_line, key=lambda p: (min(p.roles.values(), default=99), p.id)))
        provider, slash, rest = wanted.partition("/")
        if slash and (found := self._exactly(rest)):
            is_meant = found.provider == ("ollama" if provider == "local" else provider)
            if is_meant:
                return (found,)
        raise UnknownModel(name, self._nearest(wanted))

    def _exactly(self, wanted: str) -> ModelProfile | None:
        if wanted in self.profiles:
            return self.profiles[wanted]
        return next((p for p in self if p.api_model.lower() == wanted), None)

    def _nearest(self, wanted: str) -> list[str]:
        names = [*self.profiles, *ROLES, *{p.line for p in self if p.line}]
        return difflib.get_close_matches(wanted, names, n=3, cutoff=0.0)
