"""How far stated probabilities of success can be trusted, for single answers and for whole plans.

`chargehand bench replay` prints it for a file of outcomes.
"""

from collections.abc import Mapping

import numpy as np
from rich.table import Table

from ...tools.routing.plan import Check
from ...tools.routing.policy import WORTH_IN_DIRECTORS
from .outcome_runs import Plans, models_to_plan_with, run
from .outcome_tables import Block, OutcomeTable

_SURE = 0.8
CONFIDENCE = ("calibration error", f"above {_SURE}", "of these solved")
"""Columns of `confidence`."""
_CHECKS: Mapping[str, Check] = {"faultless": Check(), "catches 90%, refuses 10%": Check(0.1, 0.1)}


def calibration_error(chances: Block, solved: Block) -> float:
    """The expected calibration error, over ten bins of equal width."""
    bins = 10
    place = np.minimum((chances * bins).astype(int), bins - 1)
    found = [(place == n) for n in range(bins)]
    return float(sum(abs(chances[b].mean() - solved[b].mean()) * b.mean() for b in found if b.any()))


def confidence(chances: Block, solved: Block) -> list[str]:
    """The cells of `CONFIDENCE`. chances: stated, 0 to 1. solved: what was reached, 0 to 1, in the same shape."""
    sure = chances > _SURE
    right = f"{solved[sure].mean():.3f}" if sure.any() else "-"
    return [f"{calibration_error(chances, solved):.3f}", f"{sure.mean():.3f}", right]


def confidence_of_plans(table: OutcomeTable, chances: Block) -> Table:
    """What `balanced` plans promise, and what they reach: an answer that is right and passes the check.

    chances: for tasks that the predictor had not seen.
    """
    models = models_to_plan_with(table)
    worth = WORTH_IN_DIRECTORS["balanced"] * float(table.cost[max(models, key=lambda m: table.solved[:, m].mean())])
    shown = Table("check", "promised", "reached", *CONFIDENCE, title="success of whole balanced plans")
    for name, check in _CHECKS.items():
        plans = Plans(table, models, chances, check, worth)
        promised = np.array([plans.plan(task).success for task in table.tasks.tolist()])
        reached = run(table, plans.next_model, check, delivers_rejected=False).quality
        shown.add_row(name, f"{promised.mean():.3f}", f"{reached.mean():.3f}", *confidence(promised, reached))
    return shown
