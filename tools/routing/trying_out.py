"""Another model in place of the best one, now and then: what is never asked is never known.

Whoever learns from its own choices alone may leave a model for good after a few unlucky tries. So each chance is
drawn from what is believed of the model, the wider the less was seen, and whoever is then best is asked: Thompson
sampling (https://arxiv.org/abs/1707.02038), which fades faster here than by chance alone, since what is believed
rests on other models' outcomes too. `bench replay --online` shows what it costs and brings.
"""

import math
import random

# What is believed before anything was seen counts as so many tasks.
_BEFORE_TASKS = 10.0
_LEAST, _MOST = 0.01, 0.99


def drawn(success: float, evidence: float, occasion: str) -> float:
    """A chance that may be true, 0 to 1, for what is believed to be `success`.

    evidence: the tasks that this rests on. occasion: the same always draws the same, so that a question
    that is asked twice has one answer, until something was learnt.
    """
    tasks = _BEFORE_TASKS + evidence
    spread = math.sqrt(success * (1 - success) / tasks) * _BEFORE_TASKS / tasks
    luck = random.Random(f"{occasion}\n{evidence:.0f}").gauss(0.0, 1.0)  # noqa: S311 - nothing secret
    return min(_MOST, max(_LEAST, success + spread * luck))
