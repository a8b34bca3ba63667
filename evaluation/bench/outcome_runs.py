"""Runs a strategy on each task of a file of outcomes: what it spends, and how likely its answer is right."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...tools.routing.plan import Check, Outlay, Plan, Prospect, Step, make_plan
from .outcome_tables import Block, OutcomeTable

_PLAN_MODELS = 5
"""Most models in a plan: the cheapest, the best, and evenly spaced ones between them."""


@dataclass(frozen=True)
class Bill:
    """By task."""

    quality: Block
    """The probability that the delivered answer is right."""
    spend: Block


NextModel = Callable[[int, tuple[int, ...]], int | None]
"""The model to ask about a task after these failed; None: stop."""


def models_to_plan_with(table: OutcomeTable) -> list[int]:
    """The models that are better than all cheaper ones, thinned out evenly."""
    rates = table.solved.mean(axis=0)
    rising = [n for n in range(len(rates)) if not n or rates[n] > rates[:n].max()]
    places = np.unique(np.linspace(0, len(rising) - 1, min(_PLAN_MODELS, len(rising))).round().astype(int))
    return [rising[place] for place in places]


@dataclass(frozen=True)
class Plans:
    """The product's plans, which know each model's mean cost and expected success only."""

    table: OutcomeTable
    models: Sequence[int]
    chances: Block
    """The expected success, 0 to 1, by task and model."""
    check: Check | None
    worth: float
    """Of a solved task, in the table's unit of cost."""

    def plan(self, task: int, failed: tuple[int, ...] = ()) -> Plan:
        prospects = [
            Prospect(
                str(m),
                float(self.chances[task, m]),
                Outlay(float(self.table.cost[m])),
                is_local=not self.table.cost[m],
            )
            for m in self.models
        ]
        return make_plan(prospects, self.check, self.worth, failed=[Step(str(m)) for m in failed])

    def next_model(self, task: int, failed: tuple[int, ...]) -> int | None:
        """See `NextModel`. At least the cheapest model is asked."""
        if self.check is None and failed:
            return None
        steps = self.plan(task, failed).steps
        return int(steps[0].model) if steps else (None if failed else self.models[0])


def run(table: OutcomeTable, next_model: NextModel, check: Check | None, *, delivers_rejected: bool = True) -> Bill:
    """The expected bill over the check's possible verdicts.

    check: None accepts every answer. delivers_rejected: whether the last answer is delivered if the check rejected it.
    """
    quality, spend = np.zeros((2, len(table.tasks)))
    for task in table.tasks.tolist():
        failed: tuple[int, ...] = ()
        reached, rejected_right = 1.0, 0.0
        while (model := next_model(task, failed)) is not None:
            right = reached * float(table.solved[task, model])
            passes_right = right * (1 - check.false_fail) if check else right
            passes_wrong = (reached - right) * check.false_pass if check else reached - right
            spend[task] += reached * table.paid[task, model]
            quality[task] += passes_right
            reached, rejected_right = reached - passes_right - passes_wrong, right - passes_right
            failed = (*failed, model)
        if delivers_rejected:
            quality[task] += rejected_right
    return Bill(quality, spend)
