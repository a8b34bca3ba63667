"""Explores models other than the best one from time to time, since the choices alone decide what is learnt.

Otherwise a few unlucky tries could exclude a model for good. So success probabilities are sampled around their
estimates, with a spread that shrinks with evidence, and the best sample wins: Thompson sampling
(https://arxiv.org/abs/1707.02038). It fades faster here than in theory, since an estimate also rests on other
models' outcomes. `bench replay --online` shows its cost and benefit.
"""

import math
import random

# Weight of an estimate without evidence, in tasks.
_BEFORE_TASKS = 10.0
_LEAST, _MOST = 0.01, 0.99


def sample_success(success: float, evidence: float, occasion: str) -> float:
    """A success probability, 0 to 1, sampled around the estimate `success`.

    evidence: number of tasks behind the estimate. occasion: a seed; the same one gives the same sample, so that a
    repeated question gets the same answer until evidence is added.
    """
    tasks = _BEFORE_TASKS + evidence
    spread = math.sqrt(success * (1 - success) / tasks) * _BEFORE_TASKS / tasks
    luck = random.Random(f"{occasion}\n{evidence:.0f}").gauss(0.0, 1.0)  # noqa: S311 - nothing secret
    return min(_MOST, max(_LEAST, success + spread * luck))
