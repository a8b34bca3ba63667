"""False alarms and detections of the product's decline test, on simulated use.

Baseline: a z-test at 5% on the shares of all outcomes of a type before and after.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

from rich.table import Table

from ...memory_store.engagements import Engagement
from ...profiles.vocabulary import TaskType
from ..profiling.drift import BLOCK, declines
from ..profiling.statistics import Count
from .output import output
from .simulated_use import UsageParameters, simulated

_TYPES: tuple[TaskType, ...] = ("debugging", "code_generation", "tests", "refactoring")
_CRITICAL = NormalDist().inv_cdf(0.95)
_PLAIN_LEAST = 10


@dataclass(frozen=True)
class Scenario:
    name: str
    types: int
    before: int
    """Outcomes of each type."""
    after: int
    usage: tuple[UsageParameters, UsageParameters]
    is_new_build: bool = True
    looks: int = 1
    """Number of looks: one after each further outcome of every type; the last one sees all."""

    @property
    def is_decline(self) -> bool:
        return self.usage[1].solved < self.usage[0].solved


_PLAIN = UsageParameters(hard=0.0, handed_on=0.0, by_word=0.0)
_MIXED = UsageParameters()
_WORSE = replace(_PLAIN, solved=0.52)
_HARDER = replace(_MIXED, hard=0.6, handed_on=0.5)
SCENARIOS = (
    Scenario("new build, 1 type, 48/33", 1, 48, 33, (_PLAIN, _PLAIN)),
    Scenario("new build, 4 types, 60/40", 4, 60, 40, (_MIXED, _MIXED)),
    Scenario("… and harder work", 4, 60, 40, (_MIXED, _HARDER)),
    Scenario("… and judged by checks", 4, 60, 40, (replace(_MIXED, by_word=0.6), replace(_MIXED, by_word=0.0))),
    Scenario("… looked at after each", 4, 60, 40, (_MIXED, _MIXED), looks=40),
    Scenario("newest block, 4 types, 75/25", 4, 75, BLOCK, (_MIXED, _MIXED), is_new_build=False),
    Scenario("… until the next is full", 4, 75, 2 * BLOCK - 1, (_MIXED, _MIXED), is_new_build=False, looks=BLOCK),
    Scenario("71% to 52%, 1 type, 48/33", 1, 48, 33, (_PLAIN, _WORSE)),
    Scenario("71% to 52%, 1 type, 96/66", 1, 96, 66, (_PLAIN, _WORSE)),
    Scenario("71% to 52%, 4 types, 60/40", 4, 60, 40, (_MIXED, replace(_MIXED, solved=0.52))),
    Scenario(
        "71% to 40%, newest block, 1 type", 1, 75, BLOCK, (_PLAIN, replace(_PLAIN, solved=0.4)), is_new_build=False
    ),
)


def measure_drift(models: int, seed: int) -> int:
    """Print, for each scenario, the share of simulated models with a reported decline; returns the exit code.

    1: at a single look, false alarms exceed 5% by more than chance explains.
    """
    table = Table("what happens", "truly", "told", "z-test", "ratio")
    table.title = f"a decline told, share of {models:,} simulated models"
    table.caption = "told: by the product; z-test: all before against all after, each type at 5%; ratio: told to z-test"
    is_sound = True
    for scenario in SCENARIOS:
        told, plain = _shares(scenario, models, seed)
        truly = "worse" if scenario.is_decline else "the same"
        table.add_row(scenario.name, truly, f"{told:.1%}", f"{plain:.1%}", f"{told / plain:.2f}" if plain else "")
        most = 0.05 + 3 * (0.05 * 0.95 / models) ** 0.5
        is_sound &= scenario.is_decline or scenario.looks > 1 or told <= most
    output().print(table)
    return 0 if is_sound else 1


def _shares(scenario: Scenario, models: int, seed: int) -> tuple[float, float]:
    told = plain = 0
    for number in range(models):
        chance = random.Random(f"{seed} {scenario.name} {number}")  # noqa: S311 - made-up outcomes are no secret
        history = list(_history(scenario, chance))
        looks = [list(_seen(history, scenario, look)) for look in range(scenario.looks)]
        told += any(declines({"m": seen}, {}, seen[-1].at) for seen in looks)
        plain += any(_plainly_declined(seen, scenario) for seen in looks)
    return told / models, plain / models


def _history(scenario: Scenario, chance: random.Random) -> Iterator[Engagement]:
    """Engagements in order of time, cycling through the types."""
    for place, count, parameters in zip((0, 1), (scenario.before, scenario.after), scenario.usage, strict=True):
        for number in range(count * scenario.types):
            at = (place * scenario.before * scenario.types + number) * 60.0
            build = f"build {place}" if scenario.is_new_build else None
            yield simulated(_TYPES[number % scenario.types], parameters, chance, at=at, build=build)


def _seen(history: Sequence[Engagement], scenario: Scenario, look: int) -> Sequence[Engagement]:
    """The engagements visible at a look; the last look sees all."""
    return history[: len(history) - (scenario.looks - 1 - look) * scenario.types]


def _plainly_declined(seen: Sequence[Engagement], scenario: Scenario) -> bool:
    begun = scenario.before * scenario.types
    sides = seen[:begun], seen[begun:]
    return any(_z(*(_count(side, t) for side in sides)) > _CRITICAL for t in _TYPES[: scenario.types])


def _count(seen: Sequence[Engagement], task_type: TaskType) -> Count:
    solved = [engagement.is_solved is True for engagement in seen if engagement.task_type == task_type]
    return Count(sum(solved), len(solved))


def _z(before: Count, after: Count) -> float:
    both = before + after
    variance = both.share * (1 - both.share) * (1 / before.n + 1 / after.n) if before.n and after.n else 0.0
    if min(before.n, after.n) < _PLAIN_LEAST or not variance:
        return 0.0
    return (before.share - after.share) / variance**0.5
