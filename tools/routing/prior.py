"""A model's expected success before memory has evidence: from its published results, else from its role.

A model solves half of the tasks of a certain complexity, nearly all far below it and few far above. That
complexity comes from the benchmarks in its profile and in `published.yaml`, and from measurements on this
machine (`measured`). A model without either inherits the results of the newest measured ancestor of its line,
unless its role's default is better; without an ancestor it gets its role's default.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...memory_store.confidence import Belief, belief_of
from ...memory_store.pass_rates import NOTHING_MEASURED, PassRates
from ...profiles.catalogue import Catalogue
from ...profiles.model import Benchmark, ModelProfile
from ...profiles.routing_rules import Prior
from ...profiles.vocabulary import Role, TaskType
from ...profiles.yaml_text import parse_yaml
from .measured import Before, Curve, fit

# Mean complexity of a benchmark's tasks, as our scorer rates their texts (`bench predict` on
# LiveCodeBench 5.9, SWE-bench Verified 5.1, HumanEval 3.2, MBPP 2.8; 2026-11-25).
_MEAN_COMPLEXITY: Mapping[str, float] = {
    "livecodebench": 5.9,
    "swe_bench_verified": 5.1,
    "swe_bench": 5.1,
    "humaneval": 3.2,
    "mbpp": 2.8,
}
_CURVE = Curve(width=1.0, least=0.03, most=0.95)
"""Width in points of complexity: 0.6 to 0.9 for the 29 models of LiveCodeBench, more across several task types."""

# Defaults without published results: our own judgement, which a few outcomes outweigh.
_OF_ROLE: Mapping[Role, float] = {
    "local_fallback": 5.0,
    "local": 5.8,
    "local_coder": 6.0,
    "economy": 6.3,
    "fast_coder": 6.3,
    "validator": 7.6,
    "director": 8.4,
}
_FOR_SUITED = 0.3

# A suite is not the user's own work: a measured task weighs a quarter of an outcome of a similar task, and all
# together at most as much as a dozen, so that a dozen outcomes outweigh them, but two do not.
_WORTH_OF_MEASURED, _MEASURED_WORTH_AT_MOST = 0.25, 12.0
_PUBLISHED = Path(__file__).with_name("published.yaml")


@dataclass(frozen=True)
class Ability:
    complexity_at_half: float
    """Complexity at which it solves half of the tasks; may lie outside 1 to 10."""
    is_estimated: bool
    """True: not from its own results."""
    ancestor: str | None = None
    """For an estimate: the model of its line whose results it uses. None: its role's default."""
    type_offsets: Mapping[TaskType, float] = field(default_factory=dict[TaskType, float])
    """By task type, how much more complex a task may be for the same success; absent: 0."""
    measured_tasks: int = 0
    """Suite tasks on which its current build was measured on this machine; 0: never."""

    def expected_success(self, complexity: float, task_type: TaskType) -> float:
        """The probability, 0 to 1, that it solves a task of this complexity and type."""
        above = (self.complexity_at_half + self.type_offsets.get(task_type, 0.0) - complexity) / _CURVE.width
        return _CURVE.least + (_CURVE.most - _CURVE.least) / (1 + math.exp(-above))

    def worth_tasks(self, prior: Prior) -> float:
        """Its weight as a prior, in outcomes of similar tasks."""
        return prior.tasks + min(_MEASURED_WORTH_AT_MOST, _WORTH_OF_MEASURED * self.measured_tasks)


@lru_cache(maxsize=4)  # both arguments stay the same objects until the day changes or a measurement is added
def abilities(catalogue: Catalogue, rates: PassRates = NOTHING_MEASURED) -> Mapping[str, Ability]:
    """Each model's ability by profile id, from the results of itself or its line, its role, and measurements."""
    return MappingProxyType(_abilities(catalogue, rates))


def _abilities(catalogue: Catalogue, rates: PassRates) -> dict[str, Ability]:
    before = {profile.id: ability_of(profile, catalogue) for profile in catalogue}
    if not rates.models:
        return before
    after = fit(
        tuple(
            Before(model, ability.complexity_at_half, ability.is_estimated, tuple(ability.type_offsets.items()))
            for model, ability in before.items()
        ),
        rates,
        _CURVE,
    )
    found: dict[str, Ability] = {}
    for model, moved in after.items():
        tasks = rates.models[model].tasks
        is_estimated = before[model].is_estimated and not tasks
        found[model] = Ability(
            complexity_at_half=moved.complexity_at_half,
            is_estimated=is_estimated,
            ancestor=before[model].ancestor if is_estimated else None,
            type_offsets=moved.type_offsets,
            measured_tasks=tasks,
        )
    heirs = {p.id: ability_of(p, catalogue, found) for p in catalogue if p.id not in found}
    return heirs | found


@lru_cache(maxsize=128)  # complexities have one decimal, and most tasks are of a few types
def prior_beliefs(
    catalogue: Catalogue, rates: PassRates, complexity: float, task_type: TaskType
) -> Mapping[str, Belief]:
    """Each model's prior belief by profile id, for a task of this complexity and type."""
    prior = catalogue.rules.prior
    believed = {
        model: belief_of(ability.expected_success(complexity, task_type), ability.worth_tasks(prior))
        for model, ability in abilities(catalogue, rates).items()
    }
    return MappingProxyType(believed)


def chances_of(before: Mapping[str, Belief], remembered: Mapping[str, float]) -> dict[str, float]:
    """The probability of success, 0 to 1, by profile id: from memory where it knows the model, else the prior."""
    return {model: belief.share for model, belief in before.items()} | dict(remembered)


def ability_of(
    profile: ModelProfile, catalogue: Catalogue, measured: Mapping[str, Ability] = MappingProxyType({})
) -> Ability:
    """A model's ability from its own published results, its line's results, or its role.

    measured: by profile id, the abilities of the models that were measured on this machine.
    """
    type_offsets: dict[TaskType, float] = {
        task_type: _FOR_SUITED * ((task_type in profile.suits) - (task_type in profile.avoids))
        for task_type in (*profile.suits, *profile.avoids)
    }
    if (own := _published_ability(profile)) is not None:
        return Ability(own, is_estimated=False, type_offsets=type_offsets)
    of_role = max((_OF_ROLE[role] for role in profile.roles), default=_OF_ROLE["economy"])
    estimate = Ability(of_role, is_estimated=True, type_offsets=type_offsets)
    known = _known_ancestors(profile, catalogue, measured)
    best = max(known, key=known.__getitem__, default=None)
    if best is None or known[best] < of_role:
        return estimate
    return replace(estimate, complexity_at_half=known[best], ancestor=best)


def _published_ability(profile: ModelProfile) -> float | None:
    found = [
        _MEAN_COMPLEXITY[benchmark.name] + _CURVE.width * math.log(share / (1 - share))
        for benchmark in (*profile.benchmarks, *_published().get(profile.id, ()))
        if benchmark.name in _MEAN_COMPLEXITY
        for share in [min(0.99, max(0.01, benchmark.percent / 100))]
    ]
    return sum(found) / len(found) if found else None


def _known_ancestors(
    profile: ModelProfile, catalogue: Catalogue, measured: Mapping[str, Ability]
) -> Mapping[str, float]:
    """Abilities, by profile id, of its direct predecessors in its line; if none is known, of theirs, and so on."""
    heirs = {profile.id}
    for _ in catalogue:
        parents = [p for p in catalogue if p.lifecycle.successor in heirs and p.line == profile.line]
        known = {p.id: ability for p in parents if (ability := _known_ability(p, measured)) is not None}
        if known or not parents:
            return known
        heirs = {p.id for p in parents}
    return {}


def _known_ability(profile: ModelProfile, measured: Mapping[str, Ability]) -> float | None:
    here = measured.get(profile.id)
    if here is not None and not here.is_estimated:
        return here.complexity_at_half
    return _published_ability(profile)


@cache
def _published() -> Mapping[str, Sequence[Benchmark]]:
    """Published benchmarks by profile id, read on first use."""
    rows: list[dict[str, Any]] = parse_yaml(_PUBLISHED.read_text(encoding="utf-8"))
    found: dict[str, list[Benchmark]] = {}
    for row in rows:
        found.setdefault(row.pop("model"), []).append(Benchmark.model_validate(row))
    return found
