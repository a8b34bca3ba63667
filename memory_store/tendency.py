"""Estimates the probability that each model solves a task from outcomes on the nearest tasks, for all models jointly.

A model's success on a task is modelled as the sum of four parts, the last three varying smoothly between tasks:

    level        the model's mean, shrunk towards the prior
    difficulty   how far all models deviate from their levels on the task
    gain         how much more stronger models succeed than weaker ones; it need not grow with difficulty,
                 since everyone fails the hardest tasks
    affinity     the model's own residual, trusted least, and only as far as it is predictive in leave-one-out
                 cross-validation on the near tasks

Each smooth part is a Gaussian process over the same kernel of words and text traits (kernel ridge regression:
https://gaussianprocess.org/gpml/chapters/RW2.pdf, 2.25). One outcome of one model informs the difficulty for
all, so few outcomes suffice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .confidence import Belief

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from .index.vector_index import Vector, Vectors

    Block = npt.NDArray[np.float64]

NEIGHBOURS = 256
"""Number of nearest tasks used: half as many lose 0.01 APGR, twice as many take four times as long."""

# Tuned on outcomes of LiveCodeBench, RouterBench, LLMRouter and SWE-bench (`bench replay` measures it again):
# halving or doubling any of them changes the results by less than their error.
_WORDS_BROAD, _WORDS_CLOSE, _FORM = 0.5, 0.3, 0.5
_CLOSENESS = 6.0
_FORM_WIDTH = 0.19
_NOISE, _NOISE_OF_ONE = 1.6, 2.4
"""Noise variance of a task's difficulty: a constant part, and a part divided by the number of outcomes."""
_NOISE_OF_GAIN = 2.0
_NOISE_OF_AFFINITY = 10.0
_TRUST_IN_AFFINITY = 0.01
"""Initial evidence for affinities: as much as two dozen outcomes that they change by 0.02 each."""
_SAME_FROM = 0.8
_WORTH_OF_THE_REST = 2.0
"""Weight, in tasks, of the estimate beside outcomes on the same task."""
_ROUNDS = 2
"""Levels and difficulty are fitted alternately: a model that gets only what others failed has a level above its
success rate."""
_LEAST, _MOST = 0.01, 0.99
_FAR = 3.0


@dataclass(frozen=True)
class Traits:
    """Numeric traits of texts: a row per text, a column per trait; NaN where not known."""

    near: "Block"
    target: "Block"
    """One row."""
    floor: Sequence[float]
    """Minimum standard deviation per column."""


@dataclass(frozen=True)
class Outcomes:
    """Outcomes on the near tasks: a row per task, a column per model."""

    models: Sequence[str]
    success: "Block"
    """0 to 1; arbitrary where the weight is 0."""
    weight: "Block"
    """0 to 1; 0: no outcome."""


def expected_successes(
    outcomes: Outcomes, vectors: "Vectors", target: "Vector", traits: Traits, priors: Sequence[Belief]
) -> Mapping[str, float]:
    """The probability, 0 to 1, that each model solves the task.

    vectors: of unit length, one row per near task. target: the task's own vector. priors: one per model, the belief
    apart from the near tasks, with positive evidence.
    """
    import numpy as np

    success, weight = outcomes.success, outcomes.weight
    prior = np.array([[belief.successes, belief.evidence] for belief in priors]).T
    kernel, to_target = _kernel(vectors, target, traits)
    known = weight.any(axis=1)
    level, difficulty = _levels_and_difficulty(kernel, to_target, success, weight, prior)
    rest = success - level - difficulty.fitted[:, None]
    strength = level - level[weight.any(axis=0)].mean() if known.any() else np.zeros(len(level))
    gain = _gain(kernel, to_target, rest, weight, strength)
    rest = rest - gain.fitted[:, None] * strength
    affinity = _affinities(kernel, to_target, rest, weight)
    chances = np.clip(level + difficulty.target + gain.target * strength + affinity, _LEAST, _MOST)
    chances = _with_the_same(chances, success, weight, vectors @ target)
    return dict(zip(outcomes.models, chances.tolist(), strict=True))


@dataclass(frozen=True)
class _Part:
    fitted: "Block"
    """Values at the near tasks."""
    target: float


def _kernel(vectors: "Vectors", target: "Vector", traits: Traits) -> "tuple[Block, Block]":
    """The kernel between near tasks, and between them and the task in question."""
    import numpy as np

    known = np.isfinite(traits.near)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, traits.near, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(known, traits.near - mean, 0.0) ** 2).sum(axis=0) / count)
    spread = np.maximum(spread, np.asarray(traits.floor))
    near, one = (np.clip(np.nan_to_num((rows - mean) / spread), -_FAR, _FAR) for rows in (traits.near, traits.target))
    columns = near.shape[1]
    sizes = (near**2).sum(axis=1)
    between = (sizes[:, None] + sizes - 2 * near @ near.T) / columns
    distances_to_target = ((near - one) ** 2).sum(axis=1) / columns
    words = vectors.astype(np.float64)

    def likeness(cosines: "Block", distances: "Block") -> "Block":
        return (
            _WORDS_BROAD * np.exp(cosines - 1)
            + _WORDS_CLOSE * np.exp(_CLOSENESS * (cosines - 1))
            + _FORM * np.exp(-_FORM_WIDTH * distances)
        )

    return likeness(words @ words.T, between), likeness(words @ target, distances_to_target)


def _levels_and_difficulty(
    kernel: "Block", to_target: "Block", success: "Block", weight: "Block", prior: "Block"
) -> "tuple[Block, _Part]":
    """Each model's level, and the tasks' difficulty, fitted alternately."""
    import numpy as np

    counted = weight.sum(axis=1)
    known = counted > 0
    level = _levels(success, weight, np.zeros(len(success)), prior)
    if not known.any():
        return level, _Part(np.zeros(len(success)), 0.0)
    # Difficulty is linear in the levels, so its linear system is solved once for all rounds.
    tries = weight[known] / counted[known, None]
    solved = (tries * success[known]).sum(axis=1)
    noise = np.diag(_NOISE + _NOISE_OF_ONE / counted[known])
    every = kernel[:, known]
    shares = np.linalg.solve(every[known] + noise, np.column_stack([solved, tries]))
    difficulty = _Part(np.zeros(len(success)), 0.0)
    for _ in range(_ROUNDS):
        of_short = shares[:, 0] - shares[:, 1:] @ level
        difficulty = _Part(every @ of_short, float(to_target[known] @ of_short))
        level = _levels(success, weight, difficulty.fitted, prior)
    return level, difficulty


def _levels(success: "Block", weight: "Block", difficulty: "Block", prior: "Block") -> "Block":
    """Each model's mean success, adjusted for difficulty."""
    solved = ((success - difficulty[:, None]) * weight).sum(axis=0)
    return (solved + prior[0]) / (weight.sum(axis=0) + prior[1])


def _fit(kernel: "Block", to_target: "Block", values: "Block", noise: "Block", known: "npt.NDArray[np.bool_]") -> _Part:
    """Smooth the values of the tasks in `known`, and predict them for the near tasks and the one in question."""
    import numpy as np

    if not known.any():
        return _Part(np.zeros(len(values)), 0.0)
    every = kernel[:, known]
    shares = np.linalg.solve(every[known] + np.diag(noise[known]), values[known])
    return _Part(every @ shares, float(to_target[known] @ shares))


def _gain(kernel: "Block", to_target: "Block", rest: "Block", weight: "Block", strength: "Block") -> _Part:
    """The extra advantage of stronger models, fitted on tasks with outcomes of models of different strength."""
    import numpy as np

    counted = np.maximum(weight.sum(axis=1), 1e-9)
    deviation = strength - (weight @ strength / counted)[:, None]
    information = (weight * deviation**2).sum(axis=1)
    known = information > 1e-6
    if not known.any():
        return _Part(np.zeros(len(rest)), 0.0)
    values = np.divide((weight * deviation * rest).sum(axis=1), information, out=np.zeros(len(rest)), where=known)
    noise = _NOISE_OF_GAIN * (0.5 + 0.5 * information[known].mean() / np.maximum(information, 1e-9))
    return _fit(kernel, to_target, values, noise, known)


def _with_the_same(chances: "Block", success: "Block", weight: "Block", cosines: "Vector") -> "Block":
    """Mix in direct outcomes on this task, or on one that differs by a few words."""
    import numpy as np

    sameness = np.clip((cosines.astype(np.float64) - _SAME_FROM) / (1 - _SAME_FROM), 0, 1)[:, None] * weight
    solved, tried = (sameness * success).sum(axis=0), sameness.sum(axis=0)
    return (_WORTH_OF_THE_REST * chances + solved) / (_WORTH_OF_THE_REST + tried)


def _affinities(kernel: "Block", to_target: "Block", rest: "Block", weight: "Block") -> "Block":
    """Each model's smoothed residual; models with outcomes on the same tasks are fitted together.

    The result is scaled by how well residuals predict each other in leave-one-out, down to 0 for pure noise.
    """
    import numpy as np

    affinities = np.zeros(rest.shape[1])
    agreement = spread = _TRUST_IN_AFFINITY
    alike: dict[bytes, list[int]] = {}
    for column in range(rest.shape[1]):
        alike.setdefault(np.round(weight[:, column], 3).tobytes(), []).append(column)
    for columns in alike.values():
        of_one = weight[:, columns[0]]
        known = of_one > 0
        if known.any():
            noise = np.diag(_NOISE_OF_AFFINITY / of_one[known])
            inverse = np.linalg.inv(kernel[np.ix_(known, known)] + noise)
            left = rest[np.ix_(known, np.asarray(columns))]
            shares = inverse @ left
            affinities[columns] = to_target[known] @ shares
            # Leave-one-out, in closed form: https://gaussianprocess.org/gpml/chapters/RW5.pdf, 5.12.
            by_others = left - shares / inverse.diagonal()[:, None]
            agreement += float(of_one[known] @ (left * by_others).sum(axis=1))
            spread += float(of_one[known] @ (by_others**2).sum(axis=1))
    return affinities * min(1.0, max(0.0, agreement / spread))
