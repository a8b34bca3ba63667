"""`report_outcome`: records the user's verdict on a delegation, and returns the updated estimate for its model."""

from ..memory_store.confidence import Belief
from ..memory_store.records import Outcome
from .answers import OutcomeAnswer
from .errors import unknown_task
from .services import Services


async def report_outcome(
    services: Services, *, task_id: str, outcome: Outcome, note: str | None = None
) -> OutcomeAnswer:
    """Record the outcome; repeating a call changes nothing. Raises UnknownTask or LedgerError."""
    if not await services.ledger.record_outcome(task_id, outcome, note):
        raise unknown_task(task_id)
    row = await services.ledger.task(task_id)
    if row is None:
        raise unknown_task(task_id)
    good = bad = 0
    if row.model is not None:
        record = await services.ledger.track_record(row.model, row.task_type)
        good, bad = record.good, record.bad
    belief, prior = Belief(successes=good, failures=bad), services.catalogue.rules.prior
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
