"""All loaded profiles: finds the models that play a role and resolves model names."""

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
    """The profiles by id, the routing rules, and an error for each rejected file. Compared by identity."""

    profiles: Mapping[str, ModelProfile]
    rules: RoutingRules
    problems: tuple[InvalidProfile, ...] = field(default=())
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """Facts from the user's own files, by profile id, structured as in YAML; measured facts never override them."""
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """The effective facts, merged from all layers, in the same structure."""

    def __iter__(self) -> Iterator[ModelProfile]:
        return iter(self.profiles.values())

    @property
    def not_in_force(self) -> str | None:
        """One line that names the user's invalid files, without quoting their contents. None: all are valid."""
        wrong = [f"profiles/{p.file} is not in force: {p.fault}" for p in self.problems if p.file is not None]
        more = [f"nor are {len(wrong) - _FILES_LISTED_AT_MOST} others"] if len(wrong) > _FILES_LISTED_AT_MOST else []
        summary = "; ".join([*wrong[:_FILES_LISTED_AT_MOST], *more])
        return f"{summary}; `chargehand doctor` says more." if summary else None

    def models_in_role(
        self, role: Role, today: dt.date, *, task_type: TaskType | None = None, reference_first: bool = True
    ) -> tuple[ModelProfile, ...]:
        """The profiles that play the role today, most preferred first, without retired ones and those on probation.

        When a model retires, its successor takes over its roles, at the same rank unless it has its own.

        task_type: profiles that suit it come first, those that avoid it last.
        reference_first: profiles from the reference come before all others, as policy `reference` requires.
        """
        return _models_in_role(self, role, today, task_type, reference_first=reference_first)

    def place_of(self, profile: ModelProfile, role: Role, today: dt.date) -> int | None:
        """Its place in the order of a role: its own, or the one that its predecessor left it. None: it has neither."""
        return profile.roles.get(role, _inherited(self, role, today).get(profile.id))

    def roles_of(self, profile: ModelProfile, today: dt.date) -> dict[Role, int]:
        """The roles of a profile, each with its rank: those in its file, then those inherited from retired models."""
        inherited: dict[Role, int] = {
            r: place for r in ROLES if (place := self.place_of(profile, r, today)) is not None
        }
        return profile.roles | inherited

    def on(self, day: dt.date) -> "Catalogue":
        """The catalogue with the prices in effect on a day."""
        begun = bisect.bisect_right(self._price_changes, day)
        if not begun:
            return self
        if begun not in self._after_changes:
            priced = {model: profile.priced_on(day) for model, profile in self.profiles.items()}
            self._after_changes[begun] = replace(self, profiles=priced)
        return self._after_changes[begun]

    @cached_property
    def _price_changes(self) -> tuple[dt.date, ...]:
        """The days on which a price changes, earliest first."""
        return tuple(sorted({c.effective for p in self if p.price is not None for c in p.price.changes}))

    @cached_property
    def _after_changes(self) -> dict[int, "Catalogue"]:
        """Repriced catalogues by the number of price changes passed; filled on demand."""
        return {}

    def successor_of(self, profile: ModelProfile, today: dt.date) -> ModelProfile | None:
        """The first model in its chain of successors that is still offered, even if on probation. None: none is."""
        passed = {profile.id}
        while (name := profile.lifecycle.successor) is not None and name not in passed:
            passed.add(name)
            if name not in self.profiles:
                return None
            profile = self.profiles[name]
            if profile.is_offered_on(today):
                return profile
        return None

    def retired_models_in_role(self, role: Role, today: dt.date) -> tuple[ModelProfile, ...]:
        """The profiles with this role that are no longer offered, most preferred first."""
        return _retired_players(self, role, today)

    def named(self, name: str, today: dt.date) -> tuple[ModelProfile, ...]:
        """The profiles that a user's name for a model refers to, most preferred first, never empty.

        name: a profile id, a role, a line (`sonnet`), `provider/id`, `local/id`, or a wire id; case-insensitive.
        A profile id or wire id matches that model even when it is retired; a role or a line matches retired
        models only when it has no others.
        Raises UnknownModel with the three closest names.
        """
        wanted = name.strip().lower()
        if found := self._find_exact(wanted):
            return (found,)
        for role in ROLES:
            if wanted == role and (
                models := self.models_in_role(role, today) or self.retired_models_in_role(role, today)
            ):
                return models
        if in_line := [p for p in self if p.line and p.line.lower() == wanted]:
            offered = [p for p in in_line if p.plays_roles_on(today)] or [p for p in in_line if p.is_offered_on(today)]
            # On a tie the greater id is the newer model: claude-fable-5-2 before 5-1.
            newest_first = sorted(offered or in_line, key=lambda p: p.id, reverse=True)
            return tuple(sorted(newest_first, key=self._rank_in_line))
        provider, slash, rest = wanted.partition("/")
        if slash and (found := self._find_exact(rest)):
            is_meant = found.provider == ("ollama" if provider == "local" else provider)
            if is_meant:
                return (found,)
        raise UnknownModel(name, self._nearest(wanted))

    def _rank_in_line(self, profile: ModelProfile) -> tuple[int, int]:
        """Sort key: by preference, then by the highest role."""
        preference = min(profile.roles.values(), default=_UNRANKED)
        height = max((self.rules.ladder.index(role) for role in profile.roles), default=0)
        return preference, -height

    def _find_exact(self, wanted: str) -> ModelProfile | None:
        if wanted in self.profiles:
            return self.profiles[wanted]
        return next((p for p in self if p.api_model.lower() == wanted), None)

    def _nearest(self, wanted: str) -> list[str]:
        import difflib

        names = [*self.profiles, *ROLES, *{p.line for p in self if p.line}]
        return difflib.get_close_matches(wanted, names, n=3, cutoff=0.0)


# Every decision looks up every role, and the results depend on the day.
_ANSWERS_KEPT = 256


@lru_cache(maxsize=_ANSWERS_KEPT)
def _models_in_role(
    catalogue: Catalogue, role: Role, today: dt.date, task_type: TaskType | None, *, reference_first: bool
) -> tuple[ModelProfile, ...]:
    places = _inherited(catalogue, role, today)
    places |= {p.id: p.roles[role] for p in catalogue if role in p.roles and p.plays_roles_on(today)}

    def order(profile: ModelProfile) -> tuple[bool, int, int, str]:
        fitness = (task_type in profile.avoids) - (task_type in profile.suits)
        return not (reference_first and profile.in_reference), fitness, places[profile.id], profile.id

    return tuple(sorted((catalogue.profiles[model] for model in places), key=order))


def _inherited(catalogue: Catalogue, role: Role, today: dt.date) -> dict[str, int]:
    """The rank that each eligible successor inherits from a retired model in the role, by profile id."""
    places: dict[str, int] = {}
    for retired in catalogue.retired_models_in_role(role, today):
        successor = catalogue.successor_of(retired, today)
        if successor is not None and successor.plays_roles_on(today) and role not in successor.roles_taken_away:
            places.setdefault(successor.id, retired.roles[role])
    return places


@lru_cache(maxsize=_ANSWERS_KEPT)
def _retired_players(catalogue: Catalogue, role: Role, today: dt.date) -> tuple[ModelProfile, ...]:
    retired = [p for p in catalogue if role in p.roles and not p.is_offered_on(today)]
    return tuple(sorted(retired, key=lambda p: (p.roles[role], p.id)))


_UNRANKED = 99
_FILES_LISTED_AT_MOST = 3
"""Files listed by name; the limit saves tokens, since decisions are read by a model."""
