"""`chargehand bench plan`: the constants of plans, fitted to outcomes that were simulated with known constants."""

import math
import random
import statistics

import numpy as np

from chargehand.evaluation.bench.plan import fit

NORMAL = statistics.NormalDist()


def simulate_outcomes(task_share: float, unsolvable: float, *, tasks: int = 1_500, models: int = 12):
    """A table of 0 and 1, drawn from the model that is fitted."""
    chance = random.Random(7)
    thresholds = [NORMAL.inv_cdf(0.35 + 0.4 * model / models) for model in range(models)]
    rows = []
    for _ in range(tasks):
        common, is_unsolvable = chance.gauss(0, 1), chance.random() < unsolvable
        rows.append(
            [
                not is_unsolvable
                and t + math.sqrt(task_share) * common + math.sqrt(1 - task_share) * chance.gauss(0, 1) > 0
                for t in thresholds
            ]
        )
    return np.array(rows, dtype=float)


def test_the_fit_recovers_the_shares_that_generated_the_outcomes():
    strong, weak = fit(simulate_outcomes(0.75, 0.0)), fit(simulate_outcomes(0.5, 0.15))

    assert (strong.task_share, weak.task_share) == (0.75, 0.5)
    assert abs(strong.unsolvable - 0.0) <= 0.02
    assert abs(weak.unsolvable - 0.15) <= 0.03
