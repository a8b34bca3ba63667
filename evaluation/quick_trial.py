"""A quick trial of models: a few small tasks of each kind, and what may be said after so few."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from ..memory_store.evaluations import Measurement
from .figures import ModelFigures, Rate, figures_of
from .suite.task import KINDS, SuiteTask

TRIAL = "trial"
"""What the books call it, where others name their suite."""
TASKS_AT_MOST = 20
HARDEST = 4.5
"""Complexity: what is harder takes a model on a laptop minutes."""

Word = Literal["trust", "check", "do not use"]

# After two tasks a kind alone says little. So each is read together with all that the model did, which counts as two
# tasks more of the kind: the mean of a Beta posterior. Nothing is trusted that failed once in so few.
_WORTH_OF_ALL = 2.0
_TRUSTED_FROM, _USED_FROM = 0.8, 0.5


@dataclass(frozen=True)
class Trial:
    """How one model did."""

    figures: ModelFigures
    seconds_per_task: float | None
    """Median of its answers, a cold load included. None: none was timed."""

    def word(self, kind: str) -> Word | None:
        """What to make of it for a kind of task. None: it was not tried at any."""
        of_kind = self.figures.kinds.get(kind)
        return word_for(of_kind, self.figures.all) if of_kind is not None and of_kind.asked else None


def small_tasks(tasks: Iterable[SuiteTask], at_most: int = TASKS_AT_MOST) -> tuple[SuiteTask, ...]:
    """The easiest of each kind in turn, so that whoever is interrupted has seen most kinds."""
    by_kind = {kind: list[SuiteTask]() for kind in KINDS}
    for task in sorted(tasks, key=lambda task: (task.complexity, task.id)):
        if task.complexity <= HARDEST:
            by_kind[task.kind].append(task)
    in_turn = [task for round_ in zip_longest(*by_kind.values()) for task in round_ if task is not None]
    return tuple(in_turn[:at_most])


def word_for(of_kind: Rate, of_all: Rate) -> Word:
    """trust: use it without a second look. check: have its answers tested. do not use: it fails as often as not."""
    everywhere = (of_all.passed + 1) / (of_all.asked + 2)
    expected = (of_kind.passed + _WORTH_OF_ALL * everywhere) / (of_kind.asked + _WORTH_OF_ALL)
    if expected < _USED_FROM:
        return "do not use"
    return "trust" if expected >= _TRUSTED_FROM and of_kind.passed == of_kind.asked else "check"


def trial_of(measurements: Sequence[Measurement]) -> Trial | None:
    """measurements: of one model. None: nothing was learnt of it."""
    learnt = [measurement for measurement in measurements if measurement.passed is not None]
    if not learnt:
        return None
    (figures,) = figures_of(learnt)
    seconds = sorted(measurement.seconds for measurement in learnt if measurement.seconds > 0)
    return Trial(figures, seconds[len(seconds) // 2] if seconds else None)
