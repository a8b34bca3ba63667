"""False alarms and detections when two models are compared by simulated use.

Baseline: all outcomes of one against all of the other, with the same interval.
"""

import random
from dataclasses import dataclass, replace

from rich.table import Table

from ..profiling.like_tasks import at_like_tasks
from ..profiling.statistics import Count, newcombe
from .output import output
from .simulated_use import UsageParameters, simulated

_OUTCOMES = 80
"""Outcomes of each model."""


@dataclass(frozen=True)
class Case:
    name: str
    usage: tuple[UsageParameters, UsageParameters]

    @property
    def is_alike(self) -> bool:
        return self.usage[0].solved == self.usage[1].solved


_USAGE = UsageParameters()
CASES = (
    Case("the same work", (_USAGE, _USAGE)),
    Case("one gets harder work", (_USAGE, replace(_USAGE, hard=0.8))),
    Case("one gets what others failed at", (_USAGE, replace(_USAGE, handed_on=0.6))),
    Case("one is judged by the user", (_USAGE, replace(_USAGE, by_word=0.7))),
    Case("one solves 71%, the other 45%", (_USAGE, replace(_USAGE, solved=0.45))),
)


def measure_like_tasks(pairs: int, seed: int) -> int:
    """Print, for each case, the share of simulated pairs with a significant difference; returns the exit code.

    1: for equally good models, it exceeds 5% by more than chance explains.
    """
    table = Table("two models", "truly", "told apart", "plainly", "ratio")
    table.title = f"models compared by their use, share of {pairs:,} simulated pairs, {_OUTCOMES} outcomes each"
    table.caption = "plainly: all outcomes of one against all of the other"
    is_sound = True
    for case in CASES:
        told, plain = _shares(case, pairs, seed)
        truly = "alike" if case.is_alike else "different"
        table.add_row(case.name, truly, f"{told:.1%}", f"{plain:.1%}", f"{told / plain:.2f}" if plain else "")
        is_sound &= not case.is_alike or told <= 0.05 + 3 * (0.05 * 0.95 / pairs) ** 0.5
    output().print(table)
    return 0 if is_sound else 1


def _shares(case: Case, pairs: int, seed: int) -> tuple[float, float]:
    told = plain = 0
    for number in range(pairs):
        chance = random.Random(f"{seed} {case.name} {number}")  # noqa: S311 - made-up outcomes are no secret
        one, other = (
            [simulated("debugging", parameters, chance) for _ in range(_OUTCOMES)] for parameters in case.usage
        )
        rivals = at_like_tasks({"one": one, "other": other})
        counts = rivals.compare(rivals.by_model["one"], rivals.by_model["other"], "debugging")
        told += counts is not None and _differ(*counts)
        plain += _differ(*(Count(sum(e.is_solved is True for e in mine), len(mine)) for mine in (one, other)))
    return told / pairs, plain / pairs


def _differ(one: Count, other: Count) -> bool:
    low, high = newcombe(one, other)
    return low > 0 or high < 0
