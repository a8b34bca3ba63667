"""What is expected of a model before memory has anything to say: its published results, else its place.

A model solves half of the tasks of a certain complexity, nearly all far below it and few far above. Where
that lies is told by the benchmarks in its profile and in `published.yaml`; a model without any inherits those of
the newest measured ancestor of its line, below which it is not taken to fall; else it stands where its
role does.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ...profiles.catalogue import Catalogue
from ...profiles.model import Benchmark, ModelProfile
from ...profiles.vocabulary import Role, TaskType

# Complexity at which a benchmark's mean task lies, as our scorer rates its texts (`bench predict` on
# LiveCodeBench 5.9, SWE-bench Verified 5.1, HumanEval 3.2, MBPP 2.8; 2026-11-25).
_MEAN_COMPLEXITY: Mapping[str, float] = {
    "livecodebench": 5.9,
    "swe_bench_verified": 5.1,
    "swe_bench": 5.1,
    "humaneval": 3.2,
    "mbpp": 2.8,
}
_WIDTH = 1.0
"""In points of complexity. The 29 models of LiveCodeBench have 0.6 to 0.9, over several kinds of work it is wider."""
_LEAST, _MOST = 0.03, 0.95

# Where nothing is published: our own judgement, to be overruled by a few outcomes.
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
_PUBLISHED = Path(__file__).with_name("published.yaml")


@dataclass(frozen=True)
class Ability:
    complexity_at_half: float
    """Of the tasks that it solves half of, 1 to 10 and beyond."""
    is_estimated: bool
    """True: not its own results."""


def expected_before(catalogue: Catalogue, complexity: float, task_type: TaskType) -> dict[str, float]:
    """By profile id, the probability, 0 to 1, that a model solves a task of this complexity and type."""
    return {profile.id: _success(profile, catalogue, complexity, task_type) for profile in catalogue}


def ability_of(profile: ModelProfile, catalogue: Catalogue) -> Ability:
    """What a model can do, by its own results, its line's, or its role's."""
    if (own := _measured(profile)) is not None:
        return Ability(own, is_estimated=False)
    of_role = max((_OF_ROLE[role] for role in profile.roles), default=_OF_ROLE["economy"])
    return Ability(max([of_role, *_of_ancestors(profile, catalogue)]), is_estimated=True)


def _success(profile: ModelProfile, catalogue: Catalogue, complexity: float, task_type: TaskType) -> float:
    suited = _FOR_SUITED * ((task_type in profile.suits) - (task_type in profile.avoids))
    above = (ability_of(profile, catalogue).complexity_at_half + suited - complexity) / _WIDTH
    return _LEAST + (_MOST - _LEAST) / (1 + math.exp(-above))


def _measured(profile: ModelProfile) -> float | None:
    found = [
        _MEAN_COMPLEXITY[benchmark.name] + _WIDTH * math.log(share / (1 - share))
        for benchmark in (*profile.benchmarks, *_published().get(profile.id, ()))
        if benchmark.name in _MEAN_COMPLEXITY
        for share in [min(0.99, max(0.01, benchmark.percent / 100))]
    ]
    return sum(found) / len(found) if found else None


def _of_ancestors(profile: ModelProfile, catalogue: Catalogue) -> Iterator[float]:
    """The newest measured one's: whose successor it is, or whose successor's successor."""
    heirs = {profile.id}
    for _ in catalogue:
        parents = [p for p in catalogue if p.lifecycle.successor in heirs and p.line == profile.line]
        found = [ability for p in parents if (ability := _measured(p)) is not None]
        if found or not parents:
            yield from [max(found)] if found else []
            return
        heirs = {p.id for p in parents}


@cache
def _published() -> Mapping[str, Sequence[Benchmark]]:
    """By profile id, read at the first use."""
    rows: list[dict[str, Any]] = yaml.safe_load(_PUBLISHED.read_text(encoding="utf-8"))
    found: dict[str, list[Benchmark]] = {}
    for row in rows:
        found.setdefault(row.pop("model"), []).append(Benchmark.model_validate(row))
    return found
