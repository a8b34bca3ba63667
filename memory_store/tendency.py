"""How likely each model is to solve a task, from what became of the tasks nearest to it: all models together.

What a model makes of a task is taken as four parts, each of which changes smoothly from task to task:

    its own level        the mean of the model, shrunk to the prior
    how hard it is       how far all models fall short of their levels there
    what strength buys   by how much more the better ones gain on the weaker there: harder is not always
                         better for the strong, the hardest tasks everybody fails
    its own bent         what is left for the model alone, believed least, and only as far as the near tasks would
                         have told it of each other

Each part is a Gaussian process over the same kernel of words and of the text's form (kernel ridge
regression: https://gaussianprocess.org/gpml/chapters/RW2.pdf, 2.25). One outcome of one model tells of
the task's difficulty for all, so few outcomes go a long way.
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
"""So many of the nearest tasks are looked at: half as many lose 0.01 APGR, twice as many cost four times the time."""

# By measurement on the outcomes of LiveCodeBench, RouterBench, LLMRouter and SWE-bench (`bench replay` prints it
# anew): between half and twice of each, the results move by less than their error.
_WORDS_BROAD, _WORDS_CLOSE, _FORM = 0.5, 0.3, 0.5
_CLOSENESS = 6.0
_FORM_WIDTH = 0.19
_NOISE, _NOISE_OF_ONE = 1.6, 2.4
"""Of a task's difficulty: with any number of outcomes, and what one alone adds."""
_NOISE_OF_GAIN = 2.0
_NOISE_OF_BENT = 10.0
_TRUST_IN_BENT = 0.01
"""What speaks for bents before the near tasks do: as much as two dozen outcomes that they move by 0.02 each."""
_SAME_FROM = 0.8
_WORTH_OF_THE_REST = 2.0
"""In tasks: what all else says, beside what was tried on the same task."""
_ROUNDS = 2
"""A model that only ever gets what others failed has a level above its rate: levels are found in turns."""
_LEAST, _MOST = 0.01, 0.99
_FAR = 3.0


@dataclass(frozen=True)
class Traits:
    """The form of texts: a row for each, a column for each figure; not a number where nothing is known."""

    near: "Block"
    asked: "Block"
    """One row."""
    floor: Sequence[float]
    """For each column, the least spread that counts as a difference."""


@dataclass(frozen=True)
class Outcomes:
    """What models made of the near tasks: a row for each task, a column for each model."""

    models: Sequence[str]
    success: "Block"
    """0 to 1; anything where the weight is 0."""
    weight: "Block"
    """0 to 1; 0: not known."""


def expected_successes(
    outcomes: Outcomes, vectors: "Vectors", asked: "Vector", traits: Traits, priors: Sequence[Belief]
) -> Mapping[str, float]:
    """The probability, 0 to 1, that each of the models solves the task that is asked about.

    vectors: of unit length, a row for each of the near tasks; asked: the task's own. priors: of each
    model, what is believed of it apart from the near tasks; not empty.
    """
    import numpy as np

    success, weight = outcomes.success, outcomes.weight
    prior = np.array([[belief.successes, belief.evidence] for belief in priors]).T
    kernel, reach = _kernel(vectors, asked, traits)
    told = weight.any(axis=1)
    level, difficulty = _levels_and_difficulty(kernel, reach, success, weight, prior)
    rest = success - level - difficulty.fitted[:, None]
    strength = level - level[weight.any(axis=0)].mean() if told.any() else np.zeros(len(level))
    gain = _gain(kernel, reach, rest, weight, strength)
    rest = rest - gain.fitted[:, None] * strength
    bent = _bents(kernel, reach, rest, weight)
    chances = np.clip(level + difficulty.asked + gain.asked * strength + bent, _LEAST, _MOST)
    chances = _with_the_same(chances, success, weight, vectors @ asked)
    return dict(zip(outcomes.models, chances.tolist(), strict=True))


@dataclass(frozen=True)
class _Part:
    fitted: "Block"
    """At the near tasks."""
    asked: float


def _kernel(vectors: "Vectors", asked: "Vector", traits: Traits) -> "tuple[Block, Block]":
    """How much each near task says of each other, and of the one that is asked about."""
    import numpy as np

    known = np.isfinite(traits.near)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, traits.near, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(known, traits.near - mean, 0.0) ** 2).sum(axis=0) / count)
    spread = np.maximum(spread, np.asarray(traits.floor))
    near, one = (np.clip(np.nan_to_num((rows - mean) / spread), -_FAR, _FAR) for rows in (traits.near, traits.asked))
    columns = near.shape[1]
    sizes = (near**2).sum(axis=1)
    between = (sizes[:, None] + sizes - 2 * near @ near.T) / columns
    to_asked = ((near - one) ** 2).sum(axis=1) / columns
    words = vectors.astype(np.float64)

    def likeness(cosines: "Block", distances: "Block") -> "Block":
        return (
            _WORDS_BROAD * np.exp(cosines - 1)
            + _WORDS_CLOSE * np.exp(_CLOSENESS * (cosines - 1))
            + _FORM * np.exp(-_FORM_WIDTH * distances)
        )

    return likeness(words @ words.T, between), likeness(words @ asked, to_asked)


def _levels_and_difficulty(
    kernel: "Block", reach: "Block", success: "Block", weight: "Block", prior: "Block"
) -> "tuple[Block, _Part]":
    """Each model's own level, and how far all fall short of theirs, found in turns."""
    import numpy as np

    counted = weight.sum(axis=1)
    told = counted > 0
    level = _levels(success, weight, np.zeros(len(success)), prior)
    if not told.any():
        return level, _Part(np.zeros(len(success)), 0.0)
    # What is smoothed is a sum of what the levels are weighed by, so it is smoothed once, whatever they are.
    tries = weight[told] / counted[told, None]
    solved = (tries * success[told]).sum(axis=1)
    noise = np.diag(_NOISE + _NOISE_OF_ONE / counted[told])
    every = kernel[:, told]
    shares = np.linalg.solve(every[told] + noise, np.column_stack([solved, tries]))
    difficulty = _Part(np.zeros(len(success)), 0.0)
    for _ in range(_ROUNDS):
        of_short = shares[:, 0] - shares[:, 1:] @ level
        difficulty = _Part(every @ of_short, float(reach[told] @ of_short))
        level = _levels(success, weight, difficulty.fitted, prior)
    return level, difficulty


def _levels(success: "Block", weight: "Block", difficulty: "Block", prior: "Block") -> "Block":
    """Each model's mean, were all tasks as hard as the mean one."""
    solved = ((success - difficulty[:, None]) * weight).sum(axis=0)
    return (solved + prior[0]) / (weight.sum(axis=0) + prior[1])


def _fit(kernel: "Block", reach: "Block", values: "Block", noise: "Block", told: "npt.NDArray[np.bool_]") -> _Part:
    """Values at the near tasks that were told of, smoothed, and carried over to the asked one."""
    import numpy as np

    if not told.any():
        return _Part(np.zeros(len(values)), 0.0)
    every = kernel[:, told]
    shares = np.linalg.solve(every[told] + np.diag(noise[told]), values[told])
    return _Part(every @ shares, float(reach[told] @ shares))


def _gain(kernel: "Block", reach: "Block", rest: "Block", weight: "Block", strength: "Block") -> _Part:
    """What strength buys beyond its usual worth; told by tasks that models of different strength tried."""
    import numpy as np

    counted = np.maximum(weight.sum(axis=1), 1e-9)
    apart = strength - (weight @ strength / counted)[:, None]
    told_by = (weight * apart**2).sum(axis=1)
    told = told_by > 1e-6
    if not told.any():
        return _Part(np.zeros(len(rest)), 0.0)
    values = np.divide((weight * apart * rest).sum(axis=1), told_by, out=np.zeros(len(rest)), where=told)
    noise = _NOISE_OF_GAIN * (0.5 + 0.5 * told_by[told].mean() / np.maximum(told_by, 1e-9))
    return _fit(kernel, reach, values, noise, told)


def _with_the_same(chances: "Block", success: "Block", weight: "Block", cosines: "Vector") -> "Block":
    """What was tried on this very task, or on one that differs by a few words, counts for itself."""
    import numpy as np

    sameness = np.clip((cosines.astype(np.float64) - _SAME_FROM) / (1 - _SAME_FROM), 0, 1)[:, None] * weight
    solved, tried = (sameness * success).sum(axis=0), sameness.sum(axis=0)
    return (_WORTH_OF_THE_REST * chances + solved) / (_WORTH_OF_THE_REST + tried)


def _bents(kernel: "Block", reach: "Block", rest: "Block", weight: "Block") -> "Block":
    """What is left for each model; models that were tried on the same tasks are worked out together.

    Each task is told by the others, too: where what is left is chance, that misses, and no bent is believed.
    """
    import numpy as np

    bents = np.zeros(rest.shape[1])
    agreement = spread = _TRUST_IN_BENT
    alike: dict[bytes, list[int]] = {}
    for column in range(rest.shape[1]):
        alike.setdefault(np.round(weight[:, column], 3).tobytes(), []).append(column)
    for columns in alike.values():
        of_one = weight[:, columns[0]]
        told = of_one > 0
        if told.any():
            noise = np.diag(_NOISE_OF_BENT / of_one[told])
            inverse = np.linalg.inv(kernel[np.ix_(told, told)] + noise)
            left = rest[np.ix_(told, np.asarray(columns))]
            shares = inverse @ left
            bents[columns] = reach[told] @ shares
            # Leave-one-out, in closed form: https://gaussianprocess.org/gpml/chapters/RW5.pdf, 5.12.
            by_others = left - shares / inverse.diagonal()[:, None]
            agreement += float(of_one[told] @ (left * by_others).sum(axis=1))
            spread += float(of_one[told] @ (by_others**2).sum(axis=1))
    return bents * min(1.0, max(0.0, agreement / spread))
