"""Updates the models' abilities by measurements, in one joint estimate over all models.

Each model's published ability, or its role's, is moved by the tasks that it passed (a Rasch model with normal
priors: https://en.wikipedia.org/wiki/Rasch_model). A published ability weighs as much as about twelve tasks at its
limit, an estimated one as three. A suite may be easier than its complexity suggests, for all models; and a model
may be better at some task types than at others. Both effects have narrow priors.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from ...memory_store.pass_rates import PassRates
from ...profiles.vocabulary import TaskType

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Row = npt.NDArray[np.float64]

# The weight of a verdict, since a task's complexity is off by a point or two, and the priors' standard deviations in
# points of complexity. Our own judgement. At a model's limit a verdict carries information of 0.13 per square point,
# so the priors weigh as much as 12, 3, 32 and 32 verdicts.
_TRUST = 0.6
_OF_PUBLISHED, _OF_ESTIMATED, _OF_SUITE, _OF_LEANING = 0.8, 1.5, 0.5, 0.5
_ROUNDS, _LONGEST_STEP, _EXACT = 50, 1.0, 1e-3


@dataclass(frozen=True)
class Before:
    """A model's ability before measurements."""

    model: str
    complexity_at_half: float
    is_estimated: bool
    type_offsets: tuple[tuple[TaskType, float], ...]
    """By task type, how much more complex a task may be for the same success; absent: 0."""

    def type_offset(self, task_type: TaskType) -> float:
        return dict(self.type_offsets).get(task_type, 0.0)


@dataclass(frozen=True)
class After:
    """A model's ability after measurements."""

    complexity_at_half: float
    type_offsets: Mapping[TaskType, float]


@dataclass(frozen=True)
class Curve:
    """How a model's success falls with complexity: a logistic curve between two bounds."""

    width: float
    least: float
    most: float


@lru_cache(maxsize=4)
def fit(before: tuple[Before, ...], rates: PassRates, curve: Curve) -> Mapping[str, After]:
    """The most probable abilities of the measured models, by profile id; cached for the same arguments."""
    import numpy as np

    models = [b for b in before if b.model in rates.models]
    verdicts = [(place, v) for place, b in enumerate(models) for v in rates.models[b.model].verdicts]
    if not verdicts:
        return {}
    # One parameter for the suite, one per model, one per model and task type: all as offsets from the prior.
    kinds: list[tuple[int, TaskType]] = sorted({(place, v.task_type) for place, v in verdicts})
    of_kind = {kind: 1 + len(models) + place for place, kind in enumerate(kinds)}
    design = np.zeros((len(verdicts), 1 + len(models) + len(kinds)))
    design[:, 0] = 1.0
    start = np.zeros(len(verdicts))
    for row, (place, verdict) in enumerate(verdicts):
        design[row, [1 + place, of_kind[place, verdict.task_type]]] = 1.0
        model = models[place]
        start[row] = model.complexity_at_half + model.type_offset(verdict.task_type) - verdict.complexity
    of_models = [_OF_ESTIMATED if model.is_estimated else _OF_PUBLISHED for model in models]
    spread = np.array([_OF_SUITE, *of_models, *([_OF_LEANING] * len(kinds))])
    passed = np.array([verdict.passed for _, verdict in verdicts])
    weight = _TRUST * np.array([verdict.weight for _, verdict in verdicts])
    moves = _most_probable(design, start, passed, weight, spread, curve)
    found = {
        b.model: After(b.complexity_at_half + float(moves[1 + at]), dict(b.type_offsets)) for at, b in enumerate(models)
    }
    for (at, kind), column in of_kind.items():
        after = found[models[at].model]
        type_offset = after.type_offsets.get(kind, 0.0) + float(moves[column])
        found[models[at].model] = replace(after, type_offsets={**after.type_offsets, kind: type_offset})
    return found


def _most_probable(design: "Row", start: "Row", passed: "Row", weight: "Row", spread: "Row", curve: Curve) -> "Row":
    """The offsets of greatest posterior density, by Fisher scoring."""
    import numpy as np

    moves = np.zeros(design.shape[1])
    for _ in range(_ROUNDS):
        share = 1 / (1 + np.exp(-(start + design @ moves) / curve.width))
        chance = curve.least + (curve.most - curve.least) * share
        slope = (curve.most - curve.least) * share * (1 - share) / curve.width
        scaled_slope = weight * slope / (chance * (1 - chance))
        towards = design.T @ (scaled_slope * (passed - chance)) - moves / spread**2
        information = design.T @ (design * (scaled_slope * slope)[:, None]) + np.diag(1 / spread**2)
        step = np.clip(np.linalg.solve(information, towards), -_LONGEST_STEP, _LONGEST_STEP)
        moves = moves + step
        if np.abs(step).max() < _EXACT:
            break
    return moves
