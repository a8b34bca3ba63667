"""Who could do a task, and what speaks against each."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Literal

from ...memory_store.confidence import Belief
from ...memory_store.overruns import Overrun
from ...memory_store.pace import Pace
from ...memory_store.recollection import Recollection
from ...profiles.catalogue import Catalogue
from ...profiles.model import ModelProfile
from ...profiles.price import in_dollars
from ...profiles.retirement import notice_of
from ...profiles.vocabulary import Role, TaskType
from ..editing.packing import room_in
from ..provider import Availability
from .expectation import Expectation, expect, expected_output_tokens
from .prior import Ability
from .thinking import decide_thinking


@dataclass(frozen=True)
class Constraints:
    """What the caller and the task allow; nothing that breaks one is ever chosen."""

    local_only: bool = False
    max_cost_usd: float | None = None
    """US dollars for the one request. None: no limit of the caller's."""
    of_the_day_usd: float | None = None
    """US dollars that the day's budget has left. None: it has no limit, or none that counts here."""
    max_latency_s: float | None = None
    prompt_tokens: int = 0
    """An estimate of everything that must be sent."""
    least_prompt_tokens: int | None = None
    """The same with the files in their most needed parts. None: nothing can be left out."""

    @cached_property
    def usd(self) -> float | None:
        """US dollars that may be spent at all. None: no limit."""
        limits = [usd for usd in (self.max_cost_usd, self.of_the_day_usd) if usd is not None]
        return min(limits, default=None)

    def prompt_tokens_in(self, window_tokens: int | None, output_tokens: int) -> int:
        """What is sent to a model of this window: the files in part where they do not fit whole.

        output_tokens: what its answer is expected to take.
        """
        whole, least = self.prompt_tokens, self.least_prompt_tokens
        if window_tokens is None or least is None or whole + output_tokens <= window_tokens:
            return whole
        return min(whole, max(least, room_in(window_tokens, output_tokens)))


ObstacleKind = Literal["retired", "not_local", "unreachable", "too_long", "too_dear", "day_spent", "too_slow"]


@dataclass(frozen=True)
class Obstacle:
    """One thing that keeps a model from being asked."""

    kind: ObstacleKind
    text: str
    """For readers; nothing is decided by it."""


@dataclass(frozen=True)
class Candidate:
    """One model in one role, with all that keeps it from being asked."""

    role: Role
    profile: ModelProfile
    availability: Availability
    expected: Expectation
    prompt_tokens: int
    """What its prompt takes, the context files packed where they must be."""
    obstacles: tuple[Obstacle, ...] = ()
    """The gravest first. Empty: it can be asked."""
    doubts: tuple[str, ...] = ()
    """What is not known and therefore held against nobody."""
    pace: Pace | None = None
    """How fast it answers on this machine. None: too little is known."""
    overruns: tuple[Overrun, ...] = ()
    """Where its pace is not known and it runs on a machine of the user's: what it could not answer in its time."""
    measured_tasks: int = 0
    """Of a suite that it was measured at, here."""
    is_estimated: bool = True
    """True: what it is expected to do rests on no result of its own."""
    ancestor: str | None = None
    """Of an estimate: the model of its line whose results it rests on. None: on where its role stands."""

    @property
    def grounds(self) -> str:
        """What its expected success rests on, in words; empty: published results, or tasks remembered."""
        if self.is_estimated:
            return f"estimated from {f'results of {self.ancestor}' if self.ancestor else 'its role'}"
        return f"measured on {self.measured_tasks} tasks" if self.measured_tasks else ""

    @property
    def is_usable(self) -> bool:
        return not self.obstacles

    @property
    def why_not(self) -> str | None:
        """The gravest obstacle, in words. None: it can be asked."""
        return self.obstacles[0].text if self.obstacles else None

    @property
    def is_too_dear_alone(self) -> bool:
        """Whether it could be asked but for its cost."""
        return bool(self.obstacles) and {obstacle.kind for obstacle in self.obstacles} <= {"too_dear", "day_spent"}

    @property
    def window_tokens(self) -> int | None:
        """What prompt and answer may take together. None: it is not known."""
        return self.availability.window_of(self.profile)


@dataclass(frozen=True)
class Circumstances:
    """All that candidates are judged by."""

    catalogue: Catalogue
    availability: Mapping[str, Availability]
    """By profile id; a profile without an entry has no adapter."""
    recollection: Recollection
    today: dt.date
    pace: Mapping[str, Pace] = field(default_factory=dict[str, Pace])
    """By profile id; absent: too little is known of its speed on this machine."""
    overruns: Mapping[str, tuple[Overrun, ...]] = field(default_factory=dict[str, tuple[Overrun, ...]])
    """By profile id; absent: it had its answers in time, or was not asked lately."""
    chances: Mapping[str, float] = field(default_factory=dict[str, float])
    """By profile id, the probability of success, 0 to 1; absent: what memory believes of it counts."""
    abilities: Mapping[str, Ability] = field(default_factory=dict[str, Ability])
    """By profile id; absent: nobody asked."""
    is_told: bool = False
    """Whether the user says what became of answers on which nothing was run."""


def roles_in_order(wanted: Role, circumstances: Circumstances, *, local_only: bool) -> tuple[Role, ...]:
    """The wanted role, then those above it on the ladder, then those below, nearest first.

    local_only: the machine's own roles come before all others, of which only a model that the user
    runs locally can be asked.
    """
    rules = circumstances.catalogue.rules
    order = _outwards(wanted, rules.ladder)
    if not local_only:
        return order
    return tuple(sorted(order, key=lambda role: role not in rules.local_roles))


def _outwards(wanted: Role, ladder: tuple[Role, ...]) -> tuple[Role, ...]:
    at = ladder.index(wanted)
    return (*ladder[at:], *reversed(ladder[:at]))


def candidates_for(
    roles: Sequence[Role],
    complexity: float,
    task_type: TaskType,
    constraints: Constraints,
    circumstances: Circumstances,
    *,
    reference_first: bool = True,
) -> Iterator[Candidate]:
    """Every profile of the roles, in the roles' order and each role's own order of preference.

    reference_first: in each role the reference's own profile before all others.
    """
    catalogue, today = circumstances.catalogue, circumstances.today
    for role in roles:
        players = catalogue.players(role, today, task_type=task_type, reference_first=reference_first)
        for profile in (*players, *catalogue.retired_players(role, today)):
            yield judge(profile, role, complexity, constraints, circumstances)


def judge(
    profile: ModelProfile, role: Role, complexity: float, constraints: Constraints, circumstances: Circumstances
) -> Candidate:
    """The profile as a candidate: what it is expected to do, and what speaks against it."""
    availability = circumstances.availability.get(profile.id) or Availability(
        is_reachable=False,
        is_local=False,
        host="",
        why_not=f"no adapter for provider {profile.provider} in this version",
    )
    pace = circumstances.pace.get(profile.id)
    is_unmeasured = pace is None and profile.price is None
    overruns = circumstances.overruns.get(profile.id, ()) if is_unmeasured else ()
    output_tokens = expected_output_tokens(complexity, thinking=decide_thinking(profile, complexity).on)
    window = availability.window_of(profile)
    prompt_tokens = constraints.prompt_tokens_in(window, output_tokens)
    belief, ability = circumstances.recollection.beliefs.get(profile.id), circumstances.abilities.get(profile.id)
    is_estimated = belief is None and (ability is None or ability.is_estimated)
    expected = expect(
        profile,
        complexity=complexity,
        prompt_tokens=prompt_tokens,
        belief=belief or Belief(),
        prior=circumstances.catalogue.rules.prior,
        pace=pace,
        overruns=overruns,
        is_cold=availability.is_loaded is False,
        chance=circumstances.chances.get(profile.id),
    )
    return Candidate(
        role=role,
        profile=profile,
        availability=availability,
        expected=expected,
        prompt_tokens=prompt_tokens,
        obstacles=tuple(_obstacles(profile, availability, expected, constraints, circumstances.today)),
        doubts=tuple(_doubts(profile, availability, expected, complexity, constraints, circumstances)),
        pace=pace,
        overruns=overruns,
        measured_tasks=ability.measured_tasks if ability else 0,
        is_estimated=is_estimated,
        ancestor=ability.ancestor if ability and is_estimated else None,
    )


def _obstacles(
    profile: ModelProfile,
    availability: Availability,
    expected: Expectation,
    constraints: Constraints,
    today: dt.date,
) -> Iterator[Obstacle]:
    if not profile.is_offered_on(today):
        lifecycle = profile.lifecycle
        since = f" since {lifecycle.retires_on}" if lifecycle.retires_on else ""
        instead = f"; its successor is {lifecycle.successor}" if lifecycle.successor else ""
        yield Obstacle("retired", f"retired{since}{instead}")
    if constraints.local_only and not availability.is_local:
        yield Obstacle("not_local", "not local: what it is sent would leave the machine")
    if not availability.is_reachable:
        yield Obstacle("unreachable", availability.why_not or "not reachable")
    window = availability.window_of(profile)
    prompt_tokens = constraints.prompt_tokens_in(window, expected.output_tokens)
    needed = prompt_tokens + expected.output_tokens
    if window is not None and window < needed:
        packed = (
            ", with the context files cut to what the task needs" if prompt_tokens < constraints.prompt_tokens else ""
        )
        yield Obstacle(
            "too_long",
            f"prompt and answer take about {needed:,} tokens ({prompt_tokens:,} of them the prompt{packed}),"
            f" its window holds {window:,}",
        )
    if constraints.usd is not None and expected.cost_usd > constraints.usd:
        yield _beyond_the_money(expected.cost_usd, constraints)
    if constraints.max_latency_s is not None and (expected.seconds or 0) > constraints.max_latency_s:
        told = f"expected to take {expected.seconds:.0f} s, more than max_latency_s {constraints.max_latency_s:g}"
        yield Obstacle("too_slow", told)


def _beyond_the_money(cost_usd: float, constraints: Constraints) -> Obstacle:
    """The narrower of the two limits, the caller's or the day's."""
    told, of_the_day_usd = f"expected to cost {in_dollars(cost_usd)}, more than", constraints.of_the_day_usd
    if of_the_day_usd is not None and of_the_day_usd == constraints.usd:
        left = f"the {in_dollars(of_the_day_usd)} left of CHARGEHAND_DAILY_BUDGET_USD, which resets at 00:00 UTC"
        return Obstacle("day_spent", f"{told} {left}")
    limit = format(Decimal(f"{constraints.max_cost_usd:g}"), "f")  # 0.00001, not 1e-05
    return Obstacle("too_dear", f"{told} max_cost_usd {limit}")


def _doubts(
    profile: ModelProfile,
    availability: Availability,
    expected: Expectation,
    complexity: float,
    constraints: Constraints,
    circumstances: Circumstances,
) -> Iterator[str]:
    notice = notice_of(profile, circumstances.catalogue, circumstances.today)
    if notice is not None:
        yield notice.text
    if profile.lifecycle.on_probation:
        yield f"{profile.id} is on probation: nothing was measured of it here, so it is asked only when it is named"
    if availability.window_of(profile) is None:
        yield f"{profile.id}: its context window is not known, so the prompt's length was not held against it"
    if constraints.max_latency_s is not None and expected.seconds is None:
        yield f"{profile.id}: its speed is not known, so it was not excluded for max_latency_s"
    if profile.complexity_at_most is not None and complexity > profile.complexity_at_most:
        yield f"{profile.id} is meant for complexity up to {profile.complexity_at_most:g}; this task has {complexity:g}"
