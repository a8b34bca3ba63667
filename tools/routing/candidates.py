"""Candidate models for a task, each with the obstacles that rule it out."""

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
from .thinking import should_think


@dataclass(frozen=True)
class Constraints:
    """Limits set by the caller and the task; a model that violates one is never chosen."""

    local_only: bool = False
    max_cost_usd: float | None = None
    """US dollars for a single request. None: the caller sets no limit."""
    left_today_usd: float | None = None
    """US dollars left of the day's budget. None: it has no limit, or is ignored here."""
    max_latency_s: float | None = None
    prompt_tokens: int = 0
    """Estimate for the whole prompt, with complete context files."""
    least_prompt_tokens: int | None = None
    """The same with only the essential parts of the files. None: nothing can be left out."""

    @cached_property
    def usd(self) -> float | None:
        """The tighter of the two limits, in US dollars. None: no limit."""
        limits = [usd for usd in (self.max_cost_usd, self.left_today_usd) if usd is not None]
        return min(limits, default=None)

    def prompt_tokens_in(self, window_tokens: int | None, output_tokens: int) -> int:
        """Prompt tokens for a model with this window, with the files shortened if they do not fit.

        output_tokens: expected for its answer.
        """
        whole, least = self.prompt_tokens, self.least_prompt_tokens
        if window_tokens is None or least is None or whole + output_tokens <= window_tokens:
            return whole
        return min(whole, max(least, room_in(window_tokens, output_tokens)))


ObstacleKind = Literal["retired", "not_local", "unreachable", "too_long", "too_expensive", "day_spent", "too_slow"]


@dataclass(frozen=True)
class Obstacle:
    """One reason why a model cannot be asked."""

    kind: ObstacleKind
    text: str
    """For display only."""


@dataclass(frozen=True)
class Candidate:
    """One model in one role, with all obstacles to asking it."""

    role: Role
    profile: ModelProfile
    availability: Availability
    expected: Expectation
    prompt_tokens: int
    """Estimate for its prompt, with the context files shortened if they must be."""
    obstacles: tuple[Obstacle, ...] = ()
    """The most serious first. Empty: it can be asked."""
    pace: Pace | None = None
    """Its measured speed on this machine. None: too little is known."""
    overruns: tuple[Overrun, ...] = ()
    """For a self-hosted model of unknown pace: the requests that it could not answer in time."""
    measured_tasks: int = 0
    """Suite tasks on which it was measured on this machine."""
    is_estimated: bool = True
    """True: its expected success rests on no result of its own."""
    ancestor: str | None = None
    """For an estimate: the model of its line whose results it uses. None: its role's default."""

    @property
    def evidence_text(self) -> str:
        """The basis of its expected success, in words; empty: published results, or remembered tasks."""
        if self.is_estimated:
            return f"estimated from {f'results of {self.ancestor}' if self.ancestor else 'its role'}"
        return f"measured on {self.measured_tasks} tasks" if self.measured_tasks else ""

    @property
    def is_usable(self) -> bool:
        return not self.obstacles

    @property
    def why_not(self) -> str | None:
        """The most serious obstacle, in words. None: it can be asked."""
        return self.obstacles[0].text if self.obstacles else None

    @property
    def is_only_too_expensive(self) -> bool:
        """Whether its cost is the only obstacle."""
        return bool(self.obstacles) and {obstacle.kind for obstacle in self.obstacles} <= {"too_expensive", "day_spent"}

    @property
    def window_tokens(self) -> int | None:
        """Maximum for prompt and answer together. None: unknown."""
        return self.availability.window_of(self.profile)


@dataclass(frozen=True)
class Circumstances:
    """The facts by which candidates are judged."""

    catalogue: Catalogue
    availability: Mapping[str, Availability]
    """By profile id; a profile without an entry has no adapter."""
    recollection: Recollection
    today: dt.date
    pace: Mapping[str, Pace] = field(default_factory=dict[str, Pace])
    """By profile id; absent: too little is known of its speed on this machine."""
    overruns: Mapping[str, tuple[Overrun, ...]] = field(default_factory=dict[str, tuple[Overrun, ...]])
    """By profile id; absent: it answered in time, or was not asked lately."""
    chances: Mapping[str, float] = field(default_factory=dict[str, float])
    """By profile id, the probability of success, 0 to 1; absent: memory's belief is used."""
    abilities: Mapping[str, Ability] = field(default_factory=dict[str, Ability])
    """By profile id; absent: not looked up."""
    has_user_feedback: bool = False
    """Whether the user reports outcomes of answers on which nothing was executed."""

    def availability_of(self, profile: ModelProfile) -> Availability:
        return self.availability.get(profile.id) or Availability(
            is_reachable=False,
            is_local=False,
            host="",
            why_not=f"no adapter for provider {profile.provider} in this version",
        )

    def overruns_of(self, profile: ModelProfile) -> tuple[Overrun, ...]:
        """The requests that a self-hosted model of unknown pace could not answer in time; of others none count."""
        counts = profile.price is None and profile.id not in self.pace
        return self.overruns.get(profile.id, ()) if counts else ()


def roles_in_order(wanted: Role, circumstances: Circumstances, *, local_only: bool) -> tuple[Role, ...]:
    """The wanted role, then those above it on the ladder, then those below, nearest first.

    local_only: the local roles come before all others, in which only models that run on this machine
    can be asked.
    """
    rules = circumstances.catalogue.rules
    order = _up_then_down(wanted, rules.ladder)
    if not local_only:
        return order
    return tuple(sorted(order, key=lambda role: role not in rules.local_roles))


def _up_then_down(wanted: Role, ladder: tuple[Role, ...]) -> tuple[Role, ...]:
    at = ladder.index(wanted)
    return (*ladder[at:], *reversed(ladder[:at]))


def candidates_for(
    roles: Sequence[Role],
    complexity: float,
    task_type: TaskType,
    constraints: Constraints,
    circumstances: Circumstances,
    *,
    reference_first: bool,
) -> Iterator[Candidate]:
    """Every profile of the roles, by role, then by the role's order of preference, with retired ones last.

    reference_first: in each role the reference's own profile comes first.
    """
    catalogue, today = circumstances.catalogue, circumstances.today
    for role in roles:
        models = catalogue.models_in_role(role, today, task_type=task_type, reference_first=reference_first)
        for profile in (*models, *catalogue.retired_models_in_role(role, today)):
            yield judge(profile, role, complexity, constraints, circumstances)


def judge(
    profile: ModelProfile, role: Role, complexity: float, constraints: Constraints, circumstances: Circumstances
) -> Candidate:
    """The profile as a candidate, with its expected results and its obstacles."""
    availability, pace = circumstances.availability_of(profile), circumstances.pace.get(profile.id)
    overruns = circumstances.overruns_of(profile)
    output_tokens = expected_output_tokens(complexity, thinking=should_think(profile, complexity))
    prompt_tokens = constraints.prompt_tokens_in(availability.window_of(profile), output_tokens)
    belief, ability = circumstances.recollection.beliefs.get(profile.id), circumstances.abilities.get(profile.id)
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
    is_estimated = belief is None and (ability is None or ability.is_estimated)
    return Candidate(
        role=role,
        profile=profile,
        availability=availability,
        expected=expected,
        prompt_tokens=prompt_tokens,
        obstacles=tuple(_obstacles(profile, availability, expected, constraints, circumstances.today)),
        pace=pace,
        overruns=overruns,
        measured_tasks=ability.measured_tasks if ability else 0,
        is_estimated=is_estimated,
        ancestor=ability.ancestor if ability and is_estimated else None,
    )


def doubts_about(
    candidate: Candidate, complexity: float, constraints: Constraints, circumstances: Circumstances
) -> Iterator[str]:
    """Warnings that do not rule a candidate out, such as unknown limits."""
    profile = candidate.profile
    notice = notice_of(profile, circumstances.catalogue, circumstances.today)
    if notice is not None:
        yield notice.text
    if profile.lifecycle.on_probation:
        yield f"{profile.id} is on probation: nothing was measured of it here, so it is asked only when it is named"
    if candidate.window_tokens is None:
        yield f"{profile.id}: its context window is not known, so the prompt's length was not held against it"
    if constraints.max_latency_s is not None and candidate.expected.seconds is None:
        yield f"{profile.id}: its speed is not known, so it was not excluded for max_latency_s"
    if profile.complexity_at_most is not None and complexity > profile.complexity_at_most:
        yield f"{profile.id} is meant for complexity up to {profile.complexity_at_most:g}; this task has {complexity:g}"


def _obstacles(
    profile: ModelProfile,
    availability: Availability,
    expected: Expectation,
    constraints: Constraints,
    today: dt.date,
) -> Iterator[Obstacle]:
    if not profile.is_offered_on(today):
        yield _retired(profile)
    if constraints.local_only and not availability.is_local:
        yield Obstacle("not_local", "not local: what it is sent would leave the machine")
    if not availability.is_reachable:
        yield Obstacle("unreachable", availability.why_not or "not reachable")
    window = availability.window_of(profile)
    prompt_tokens = constraints.prompt_tokens_in(window, expected.output_tokens)
    if window is not None and window < prompt_tokens + expected.output_tokens:
        yield _too_long(
            window, prompt_tokens, expected.output_tokens, is_packed=prompt_tokens < constraints.prompt_tokens
        )
    if constraints.usd is not None and expected.cost_usd > constraints.usd:
        yield _cost_obstacle(expected.cost_usd, constraints)
    if constraints.max_latency_s is not None and (expected.seconds or 0) > constraints.max_latency_s:
        text = f"expected to take {expected.seconds:.0f} s, more than max_latency_s {constraints.max_latency_s:g}"
        yield Obstacle("too_slow", text)


def _retired(profile: ModelProfile) -> Obstacle:
    lifecycle = profile.lifecycle
    since = f" since {lifecycle.retires_on}" if lifecycle.retires_on else ""
    instead = f"; its successor is {lifecycle.successor}" if lifecycle.successor else ""
    return Obstacle("retired", f"retired{since}{instead}")


def _too_long(window_tokens: int, prompt_tokens: int, output_tokens: int, *, is_packed: bool) -> Obstacle:
    packed = ", with the context files cut to what the task needs" if is_packed else ""
    return Obstacle(
        "too_long",
        f"prompt and answer take about {prompt_tokens + output_tokens:,} tokens ({prompt_tokens:,} of them the"
        f" prompt{packed}), its window holds {window_tokens:,}",
    )


def _cost_obstacle(cost_usd: float, constraints: Constraints) -> Obstacle:
    """The obstacle for the tighter of the two limits, the caller's or the day's."""
    text, left_today_usd = f"expected to cost {in_dollars(cost_usd)}, more than", constraints.left_today_usd
    if left_today_usd is not None and left_today_usd == constraints.usd:
        left = f"the {in_dollars(left_today_usd)} left of CHARGEHAND_DAILY_BUDGET_USD, which resets at 00:00 UTC"
        return Obstacle("day_spent", f"{text} {left}")
    limit = format(Decimal(f"{constraints.max_cost_usd:g}"), "f")  # 0.00001, not 1e-05
    return Obstacle("too_expensive", f"{text} max_cost_usd {limit}")
