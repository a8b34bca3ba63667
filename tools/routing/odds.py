"""What failures say about what is left: chances of success that hang together through the task.

A task is as easy or as hard for all models, and the rest is chance. So a failure lowers the belief in
every model, and most in those no stronger than the one that failed: one normal factor common to all
(https://en.wikipedia.org/wiki/Copula_(statistics)#Gaussian_copula), of which a few levels are enough.
And some tasks nobody solves: their tests contradict their text. Each failure makes that more likely.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import mul
from statistics import NormalDist
from typing import Self

# Fitted by `chargehand bench plan` (2026-11-25): 0.65 and 0.08 on small functions (RouterBench's MBPP, 11 models,
# 183 tasks), 0.75 and 0.02 on contest problems (LiveCodeBench, 29, 519), 0.55 and 0.15 on repository issues
# (SWE-bench Verified, 25, 316). A model's own second answer counts as another draw of the same kind: on the short
# exercises of Aider's code editing leaderboard (https://aider.chat/docs/leaderboards/edit.html, as stored in
# Aider-AI/aider `edit_leaderboard.yml`, seen 2026-11-25) 17 models that solve 40 to 60% at first solve 11 to 47%
# of the rest when they see what failed, the median 24%; by these figures it is 20 to 28%.
TASK_SHARE = 0.65
"""How much of success and failure is the task's doing: the correlation of two models' latent success."""
UNSOLVABLE_SHARE = 0.1
"""Share of the tasks that no model solves."""
_OF_THE_STRONGEST = 0.4
"""At most this share of the strongest model's failures is put down to such tasks: 0.15 to 0.6 in the same sets."""

LEVELS = 11
"""Of difficulty; more change no decision."""

Odds = tuple[float, ...]
"""A figure for each level of difficulty: the task nobody solves, then the hardest to the easiest."""


@dataclass(frozen=True)
class Difficulty:
    """What is believed of one task, whoever may be asked about it."""

    unsolvable: float
    """The probability that nobody solves it, before anything was tried."""

    @classmethod
    def of(cls, successes: Sequence[float]) -> Self:
        """successes: the probability that each solves it."""
        return cls(min(UNSOLVABLE_SHARE, _OF_THE_STRONGEST * (1 - max(successes, default=0.0))))

    @property
    def start(self) -> Odds:
        """The probability of each level before anything was tried."""
        return (self.unsolvable, *((1 - self.unsolvable) / LEVELS for _ in range(LEVELS)))

    def chances(self, success: float) -> Odds:
        """The probability of success at each level, for a model of this probability over all."""
        return (0.0, *_chances(round(success / (1 - self.unsolvable), 2)))


def times(one: Odds, other: Odds) -> Odds:
    return tuple(map(mul, one, other))


def weighed(weights: Odds, figures: Odds) -> float:
    """The sum of the figures, each with its level's weight."""
    return sum(map(mul, weights, figures))


_LEAST, _MOST = 0.005, 0.995
_NORMAL = NormalDist()
_DIFFICULTIES = [_NORMAL.inv_cdf((level + 0.5) / LEVELS) for level in range(LEVELS)]


@lru_cache(maxsize=256)
def _chances(success: float) -> Odds:
    threshold = _NORMAL.inv_cdf(min(_MOST, max(_LEAST, success)))
    common, own = math.sqrt(TASK_SHARE), math.sqrt(1 - TASK_SHARE)
    return tuple(_NORMAL.cdf((threshold + common * level) / own) for level in _DIFFICULTIES)
