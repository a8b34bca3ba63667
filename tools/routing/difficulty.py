"""Success probabilities given earlier failures, which are correlated through the task.

A task's difficulty is common to all models; the rest is chance. So a failure lowers the probability for
every model, most for those no stronger than the one that failed: one normal factor common to all
(https://en.wikipedia.org/wiki/Copula_(statistics)#Gaussian_copula), in a few discrete levels.
Some tasks no model solves, because their tests contradict their text. Each failure makes that more likely.
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
"""Share of the variance of latent success that is due to the task: the correlation between two models."""
UNSOLVABLE_SHARE = 0.1
"""Share of the tasks that no model solves."""
_OF_THE_STRONGEST = 0.4
"""Maximum share of the strongest model's failures attributed to such tasks: 0.15 to 0.6 in the same datasets."""

LEVELS = 11
"""Number of difficulty levels; more of them change no decision."""

PerLevel = tuple[float, ...]
"""One value per difficulty level: unsolvable first, then from hardest to easiest."""


@dataclass(frozen=True)
class Difficulty:
    """The distribution of one task's difficulty, common to all models."""

    unsolvable: float
    """Prior probability that no model solves it."""

    @classmethod
    def of(cls, successes: Sequence[float]) -> Self:
        """successes: each model's probability of solving it."""
        return cls(min(UNSOLVABLE_SHARE, _OF_THE_STRONGEST * (1 - max(successes, default=0.0))))

    @property
    def start(self) -> PerLevel:
        """The prior probability of each level."""
        return (self.unsolvable, *((1 - self.unsolvable) / LEVELS for _ in range(LEVELS)))

    def chances(self, success: float) -> PerLevel:
        """The probability of success at each level, for a model with this overall probability."""
        return (0.0, *_chances(round(success / (1 - self.unsolvable), 2)))


def multiply(one: PerLevel, other: PerLevel) -> PerLevel:
    return tuple(map(mul, one, other))


def weighted_sum(weights: PerLevel, figures: PerLevel) -> float:
    """The weighted sum over all levels."""
    return sum(map(mul, weights, figures))


_LEAST, _MOST = 0.005, 0.995
_NORMAL = NormalDist()
_DIFFICULTIES = [_NORMAL.inv_cdf((level + 0.5) / LEVELS) for level in range(LEVELS)]


@lru_cache(maxsize=256)
def _chances(success: float) -> PerLevel:
    threshold = _NORMAL.inv_cdf(min(_MOST, max(_LEAST, success)))
    common, own = math.sqrt(TASK_SHARE), math.sqrt(1 - TASK_SHARE)
    return tuple(_NORMAL.cdf((threshold + common * level) / own) for level in _DIFFICULTIES)
