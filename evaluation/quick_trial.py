"""A quick trial of models: a few small tasks of each kind, and a cautious recommendation from them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from statistics import median
from typing import Literal

from ..memory_store.evaluations import Measurement
from .figures import ModelFigures, Rate, figures_of
from .suite.task import KINDS, SuiteTask

TRIAL = "trial"
"""Its suite name in the ledger."""
TASKS_AT_MOST = 20
HARDEST = 4.5
"""Highest complexity; harder tasks take a model on a laptop minutes."""

Word = Literal["trust", "check", "do not use"]

# Two tasks of a kind say little. So the model's overall pass rate counts as two more tasks of the kind (the mean of a
# Beta posterior), and a kind with any failure is never trusted.
_WORTH_OF_ALL = 2.0
_TRUSTED_FROM, _USED_FROM = 0.8, 0.5


@dataclass(frozen=True)
class Trial:
    """The result of one model."""

    figures: ModelFigures
    seconds_per_task: float | None
    """Median over its answers, including any cold load. None: none was timed."""

    def word(self, kind: str) -> Word | None:
        """The recommendation for a kind of task. None: no conclusive answer of that kind."""
        of_kind = self.figures.kinds.get(kind)
        return word_for(of_kind, self.figures.all) if of_kind is not None and of_kind.asked else None


def small_tasks(tasks: Iterable[SuiteTask], at_most: int = TASKS_AT_MOST) -> tuple[SuiteTask, ...]:
    """The easiest tasks, cycling through the kinds, so that an interrupted trial covers most of them."""
    by_kind = {kind: list[SuiteTask]() for kind in KINDS}
    for task in sorted(tasks, key=lambda task: (task.complexity, task.id)):
        if task.complexity <= HARDEST:
            by_kind[task.kind].append(task)
    in_turn = [task for round_ in zip_longest(*by_kind.values()) for task in round_ if task is not None]
    return tuple(in_turn[:at_most])


def word_for(of_kind: Rate, of_all: Rate) -> Word:
    """trust: use it without review. check: test its answers. do not use: it fails about as often as it passes."""
    everywhere = (of_all.passed + 1) / (of_all.asked + 2)
    expected = (of_kind.passed + _WORTH_OF_ALL * everywhere) / (of_kind.asked + _WORTH_OF_ALL)
    if expected < _USED_FROM:
        return "do not use"
    return "trust" if expected >= _TRUSTED_FROM and of_kind.passed == of_kind.asked else "check"


def trial_of(measurements: Sequence[Measurement]) -> Trial | None:
    """measurements: of one model. None: no conclusive one."""
    learnt = [measurement for measurement in measurements if measurement.passed is not None]
    if not learnt:
        return None
    (figures,) = figures_of(learnt)
    seconds = [measurement.seconds for measurement in learnt if measurement.seconds > 0]
    return Trial(figures, median(seconds) if seconds else None)
