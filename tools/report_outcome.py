"""`report_outcome`: the user's word on a delegation, and what is believed of its model then."""

from pydantic import BaseModel

from ..memory_store.confidence import Belief
from ..memory_store.records import Outcome
from ..profiles.vocabulary import TaskType
from .errors import UnknownTask
from .workshop import Workshop


class OutcomeAnswer(BaseModel):
    task_id: str
    outcome: Outcome
    model: str | None = None
    """The model whose work it was. None: no model had delivered anything."""
    task_type: TaskType
    good: int
    """Delegations of this type that ended well on the model."""
    bad: int
    expected_success: float
    """0 to 1, for the next task of this type."""
    confidence: float
    """80% lower credible bound of the same."""

    def as_text(self) -> str:
        if self.model is None:
            return f"Recorded: {self.outcome}. No model had delivered an answer for this task."
        return (
            f"Recorded: {self.outcome}. {self.model} on {self.task_type}: {self.good} good, {self.bad} bad;"
            f" expected success {self.expected_success:.0%}, at least {self.confidence:.0%} with 80% certainty."
        )


async def report_outcome(shop: Workshop, *, task_id: str, outcome: Outcome, note: str | None = None) -> OutcomeAnswer:
    """Record the word, once however often it is said. Raises UnknownTask or LedgerError."""
    if not await shop.ledger.record_outcome(task_id, outcome, note):
        raise unknown_task(task_id)
    row = await shop.ledger.task(task_id)
    if row is None:
        raise unknown_task(task_id)
    good = bad = 0
    if row.model is not None:
        record = await shop.ledger.track_record(row.model, row.task_type)
        good, bad = record.good, record.bad
    belief, prior = Belief(successes=good, failures=bad), shop.catalogue.rules.prior
    return OutcomeAnswer(
        task_id=task_id,
        outcome=outcome,
        model=row.model,
        task_type=row.task_type,
        good=good,
        bad=bad,
        expected_success=round(belief.expected_success(prior), 3),
        confidence=round(belief.confidence(prior), 3),
    )


def unknown_task(task_id: str) -> UnknownTask:
    return UnknownTask(
        f"task_id: no task {task_id[:64]!r} is known. Use the task_id that delegate_generation gave, from the same"
        " CHARGEHAND_HOME."
    )
