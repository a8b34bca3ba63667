"""How a model's pass rate falls with task complexity: where it reaches one half, and where to set a limit."""

import math
from collections.abc import Iterator, Sequence

from ...profiles.model import ModelProfile
from ...profiles.proposal import Evidence, Proposal
from .same_items import LEAST_ITEMS
from .standing import Item, Standing
from .statistics import Count, newcombe, wilson

_ONE_SIDED_95 = 1.645
_ROUNDS = 30
_SLOPE_PRIOR = 0.1
"""Precision of the normal prior on the slope, with mean 0: keeps the fit finite on perfectly separated data."""


def complexity_at_half(items: Sequence[Item]) -> float | None:
    """The complexity at which half the items are solved, from a logistic fit.

    None: fewer than LEAST_ITEMS items, no significant fall with complexity (one-sided, 5%), or the halfway point lies
    outside the range of the items.
    """
    if len(items) < LEAST_ITEMS:
        return None
    import numpy as np

    complexity = np.array([item.complexity for item in items])
    passed = np.array([item.passed for item in items])
    middle = float(complexity.mean())
    design = np.column_stack([np.ones(len(items)), complexity - middle])
    prior = np.diag([1e-3, _SLOPE_PRIOR])
    weights = np.zeros(2)
    curvature = prior
    for _ in range(_ROUNDS):
        chance = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        curvature = design.T @ (design * (chance * (1 - chance))[:, None]) + prior
        step = np.linalg.solve(curvature, design.T @ (passed - chance) - prior @ weights)
        weights = weights + np.clip(step, -2, 2)
    level, slope = float(weights[0]), float(weights[1])
    error = math.sqrt(float(np.linalg.inv(curvature)[1, 1]))
    if slope + _ONE_SIDED_95 * error >= 0:
        return None
    half = middle - level / slope
    return round(half, 1) if complexity.min() <= half <= complexity.max() else None


def threshold(profile: ModelProfile, standing: Standing) -> Iterator[Proposal]:
    """Propose `complexity_at_most` where more than half fail above it and significantly fewer below; or its removal.

    An existing limit is removed when the 95% interval of the pass rate above it lies above one half.
    """
    cuts = [cut for cut in range(1, 10) if _is_between_enough(standing, cut)]
    best: tuple[float, int, Count, Count, tuple[float, float]] | None = None
    for cut in cuts:
        below, above = _sides(standing, cut)
        interval = newcombe(below, above, comparisons=len(cuts))
        if interval[0] > 0 and above.share < 0.5 <= below.share and (best is None or interval[0] > best[0]):
            best = (interval[0], cut, below, above, interval)
    if best is not None:
        _, cut, below, above, interval = best
        note = (
            f"{below.passed:.3g} of {below.n:.0f} passed up to complexity {cut}, {above.passed:.3g} of {above.n:.0f}"
            f" above; difference {below.share - above.share:+.0%} (Newcombe, corrected for {len(cuts)} places of the"
            " line)"
        )
        evidence = _evidence(standing, below.n + above.n, interval, note)
        yield Proposal(profile.id, ("complexity_at_most",), profile.complexity_at_most, float(cut), evidence)
    elif profile.complexity_at_most is not None:
        _, above = _sides(standing, profile.complexity_at_most)
        low, high = wilson(above)
        if above.n >= LEAST_ITEMS and low > 0.5:
            note = f"{above.passed:.3g} of {above.n:.0f} passed above complexity {profile.complexity_at_most:g}"
            evidence = _evidence(standing, above.n, (low, high), note)
            yield Proposal(profile.id, ("complexity_at_most",), profile.complexity_at_most, None, evidence)


def _sides(standing: Standing, cut: float) -> tuple[Count, Count]:
    return standing.count(lambda item: item.complexity <= cut), standing.count(lambda item: item.complexity > cut)


def _is_between_enough(standing: Standing, cut: int) -> bool:
    return all(count.n >= LEAST_ITEMS for count in _sides(standing, cut))


def _evidence(standing: Standing, n: float, interval: tuple[float, float], note: str) -> Evidence:
    low, high = (round(end, 3) for end in interval)
    return Evidence("evaluation", standing.source, standing.seen, n=round(n), interval=(low, high), note=note)
