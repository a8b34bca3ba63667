"""`chargehand bench plan`: the constants of plans, found again in outcomes that were made with them."""

import math
import random
import statistics

import numpy as np

from chargehand.evaluation.bench.plan import fit

NORMAL = statistics.NormalDist()


def outcomes(task_share: float, unsolvable: float, *, tasks: int = 1_500, models: int = 12):
    """Tables of 0 and 1 by the very law that is fitted."""
    chance = random.Random(7)
    thresholds = [NORMAL.inv_cdf(0.35 + 0.4 * model / models) for model in range(models)]
    rows = []
    for _ in range(tasks):
        common, lost = chance.gauss(0, 1), chance.random() < unsolvable
        rows.append(
            [
                not lost and t + math.sqrt(task_share) * common + math.sqrt(1 - task_share) * chance.gauss(0, 1) > 0
                for t in thresholds
            ]
        )
    return np.array(rows, dtype=float)


def test_the_shares_that_made_the_outcomes_are_found():
    strongly, weakly = fit(outcomes(0.75, 0.0)), fit(outcomes(0.5, 0.15))

    assert (strongly.task_share, weakly.task_share) == (0.75, 0.5)
    assert abs(strongly.unsolvable - 0.0) <= 0.02
    assert abs(weakly.unsolvable - 0.15) <= 0.03
