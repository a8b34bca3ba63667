"""Closes a delegation: delivers the best answer, computes what it saved, and records the receipt."""

from collections.abc import Sequence

from ...memory_store.records import Finish
from ...profiles.model import ModelProfile
from ..services import Services
from .applying import apply_result
from .attempt import Attempt, Attempts
from .contract import Contract
from .receipt import Egress, Receipt, Saving, Status


async def close(status: Status, attempts: Attempts, notes: list[str], contract: Contract) -> Receipt:
    """Deliver the result, and record and return the receipt; of a cancelled task too, for later calls."""
    requester, best = attempts.requester, _best_of(attempts.made)
    applied = await apply_result(status, best, requester, contract)
    status = applied.status
    notes.extend(applied.notes)
    baseline = _baseline(requester.services)
    worth_usd = _cost_on(baseline, best, attempts.made) if baseline and best else None
    saving = None
    if status == "succeeded" and baseline is not None and worth_usd is not None:
        saving = Saving(baseline_model=baseline.id, amount=round(worth_usd - attempts.spent_usd, 6))
    receipt = Receipt(
        task_id=requester.task_id,
        status=status,
        model=best.candidate.profile.id if best else None,
        code=applied.code,
        files_changed=list(applied.files),
        attempts=[attempt.as_receipt(delivered=attempt is best) for attempt in attempts.made],
        verified_by=[c.name for c in best.checks if c.outcome == "passed"] if best and status in _DELIVERED else [],
        cost_usd=round(attempts.spent_usd, 6),
        saved_usd=saving,
        egress=[
            Egress(host=h, requests=t.requests, bytes=t.bytes) for h, t in sorted(requester.monitor.traffic.items())
        ],
        notes=list(dict.fromkeys(filter(None, notes))),
    )
    finish = Finish(
        status=status,
        model=receipt.model,
        verified_by=tuple(receipt.verified_by),
        receipt=receipt.model_dump_json(exclude_none=True),
        baseline_model=baseline.id if baseline and worth_usd is not None else None,
        baseline_usd=worth_usd,
    )
    with requester.booking():
        # The ledger shields its writes from cancellation.
        await requester.services.ledger.finish_task(requester.task_id, finish)
    if not requester.unwritten:
        return receipt
    return receipt.model_copy(update={"notes": [*receipt.notes, f"{_NOT_IN_THE_BOOKS} {requester.unwritten[0]}"]})


_NOT_IN_THE_BOOKS = (
    "Keep this receipt: it could not all be written down, so `resume` may not give it again, and `chargehand usage` may"
    " count its requests at the most that they could cost. The reason:"
)
_DELIVERED: tuple[Status, ...] = ("succeeded", "unverified")


def _best_of(made: Sequence[Attempt]) -> Attempt | None:
    """The attempt to deliver: the one that ended the task, else the closest to passing. None: no attempt has code."""
    order = {"passed": 3, "unverified": 2}
    with_code = [attempt for attempt in made if attempt.answer is not None]
    return max(
        with_code,
        key=lambda attempt: (
            order.get(attempt.outcome, int(attempt.lacks_a_package)) - (attempt.doubt is not None),
            attempt.tests_passed,
        ),
        default=None,
    )


def _baseline(services: Services) -> ModelProfile | None:
    """The model that savings are measured against; None if no profile has the role."""
    if services.rules.baseline_model is not None:
        return services.catalogue.named(services.rules.baseline_model, services.today)[0]
    return next(iter(services.catalogue.models_in_role(services.catalogue.rules.baseline_role, services.today)), None)


def _cost_on(baseline: ModelProfile, best: Attempt, made: Sequence[Attempt]) -> float:
    """The cost of the work on the baseline model, in US dollars: the draft's prompt and the visible answer.

    Thinking and repairs are overhead of the model used, not work that the baseline would have done. If the baseline
    did the work itself, the cost of its attempts.
    """
    if best.candidate.profile.id == baseline.id:
        return sum(attempt.cost_usd for attempt in made if attempt.candidate is best.candidate)
    drafts = [t for t in made[: made.index(best) + 1] if t.candidate is best.candidate and not t.is_repair]
    draft = drafts[-1] if drafts else best
    return baseline.cost_usd(
        input_tokens=draft.request.usage.input_tokens, output_tokens=best.request.usage.visible_tokens
    )
