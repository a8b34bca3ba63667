"""Measures one answer of one model to one task of a suite, through an ordinary delegation."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import anyio

from ..memory_store.evaluations import UNDER_WAY, Measurement, record_measurement
from ..memory_store.under_way import attempts_of
from ..profiles.model import ModelProfile
from ..tools.cascade.attempt import Attempt
from ..tools.cascade.contract import Contract
from ..tools.cascade.delegations import Delegation, Delegations
from ..tools.cascade.receipt import Receipt
from ..tools.provider import Busy, ProviderError, RateLimited, VendorFailed
from ..tools.services import Services
from ..tools.vocabulary import DEFAULT_MAX_SECONDS, AttemptOutcome
from .staging import Staged, staged
from .suite.task import SuiteTask

PATIENCE_S = 300.0
"""Total time that one item waits for a vendor that rate-limits or fails temporarily."""

_FIRST_WAIT_S = 2.0
"""Initial pause unless the vendor asks for a longer one; doubled each time."""

# Outcomes that the model is responsible for; any other is inconclusive.
_CONCLUSIVE: frozenset[AttemptOutcome] = frozenset(
    {"passed", "failed_check", "truncated", "refused", "empty", "timeout", "over_context"}
)

Wait = Callable[[float], Awaitable[None]]


@dataclass(frozen=True)
class MeasuredAnswer:
    """A measurement, and the provider error if there was no answer."""

    measurement: Measurement
    error: ProviderError | None = None
    """Why the vendor gave no answer. None: it gave one, or was not asked."""


@dataclass(frozen=True)
class MeasurementKey:
    """The key of a measurement in the ledger."""

    evaluation_id: str
    item: SuiteTask
    model: str
    """Profile id."""
    repetition: int = 0


async def measure(
    services: Services,
    delegations: Delegations,
    key: MeasurementKey,
    *,
    max_seconds: float = DEFAULT_MAX_SECONDS,
    local_only: bool = False,
    patience_s: float = PATIENCE_S,
    wait: Wait = anyio.sleep,
) -> MeasuredAnswer:
    """Ask the model for one answer to the item, check it, and record the measurement.

    The evaluation must be in the ledger already. Costs at most `Staged.worst_case_usd`, within the day's budget; the
    delegation queues for servers that take one request at a time. Retries when the vendor rate-limits or fails
    temporarily. max_seconds: for the answer and its checks, time in the queue included. patience_s: limit of all
    pauses between retries. wait: called with seconds.

    Cancelling it closes the connection and records the measurement as cancelled. Raises a CallerError, ProfileError
    or LedgerError.
    """
    async with staged(services, key.item) as stage:
        pause_s, waited_s = _FIRST_WAIT_S, 0.0
        while True:
            measurement, attempt = await _once(stage, delegations, key, max_seconds, local_only=local_only)
            least_s = _retry_after_s(attempt)
            pause_s = max(pause_s, least_s or 0.0)
            if least_s is None or waited_s + pause_s > patience_s:
                return MeasuredAnswer(measurement, attempt.request.error if attempt is not None else None)
            await wait(pause_s)
            waited_s, pause_s = waited_s + pause_s, 2 * pause_s


async def _once(
    stage: Staged, delegations: Delegations, key: MeasurementKey, max_seconds: float, *, local_only: bool
) -> tuple[Measurement, Attempt | None]:
    """The recorded measurement and its attempt. None: no attempt was made."""
    services = stage.services
    (profile, *_) = services.catalogue.named(key.model, services.today)
    pending = _pending(stage, key, profile)
    contract = _contract(stage, profile, max_seconds, local_only=local_only)
    # Recorded before anything is spent, so that costs after a kill can be attributed to the evaluation.
    await record_measurement(services.ledger, pending)
    try:
        delegation = await delegations.begin(services, stage.job, contract, task_id=pending.task_id)
        receipt = await _wait_for_receipt(delegation)
        attempt = delegation.made[-1] if delegation.made else None
        measurement = _measurement(pending, receipt, attempt, stage)
    except BaseException:
        with anyio.CancelScope(shield=True):
            measurement = await _cancelled(pending, services)
            await record_measurement(services.ledger, measurement)
        raise
    await record_measurement(services.ledger, measurement)
    return measurement, attempt


def _pending(stage: Staged, key: MeasurementKey, profile: ModelProfile) -> Measurement:
    """The measurement as recorded before the request."""
    return Measurement(
        evaluation_id=key.evaluation_id,
        item=key.item.id,
        model=profile.id,
        repetition=key.repetition,
        build=None,
        kind=key.item.kind,
        task_type=stage.job.task_type,
        language=key.item.language,
        complexity=stage.job.complexity.score,
        passed=None,
        outcome=UNDER_WAY,
        task_id=secrets.token_hex(16),
        at=stage.services.now,
        seconds=0.0,
        first_token_seconds=None,
        output_tokens=0,
        thinking_tokens=0,
        cost_usd=0.0,
    )


def _contract(stage: Staged, profile: ModelProfile, max_seconds: float, *, local_only: bool) -> Contract:
    """Limits of the delegation: one answer of this model, no repair, at most the worst-case cost."""
    return Contract(
        tests=stage.tests,
        model=profile.id,
        local_only=local_only or stage.examined.must_stay_local,
        max_cost_usd=None if profile.price is None else stage.worst_case_usd(profile),
        max_seconds=max_seconds,
        max_attempts=1,
        changes=stage.changes,
        notes=stage.examined.notes,
        origin="evaluation",
        shows_tests=False,
    )


def _retry_after_s(attempt: Attempt | None) -> float | None:
    """The wait that the vendor asks for, or 0, before a retry. None: do not retry."""
    error = attempt.request.error if attempt is not None else None
    if attempt is None or not isinstance(error, Busy):
        return None
    # A failing local server is out of memory or lacks a file: a retry does not help.
    if isinstance(error, VendorFailed) and attempt.candidate.availability.is_local:
        return None
    return (error.retry_after_s if isinstance(error, RateLimited) else None) or 0.0


async def _wait_for_receipt(delegation: Delegation) -> Receipt:
    """Wait for the delegation's receipt; being cancelled cancels the delegation."""
    try:
        await delegation.done.wait()
    except anyio.get_cancelled_exc_class():
        delegation.scope.cancel()
        with anyio.CancelScope(shield=True):
            await delegation.done.wait()
        raise
    return delegation.result()


async def _cancelled(pending: Measurement, services: Services) -> Measurement:
    made = await attempts_of(services.ledger, pending.task_id or "")
    return replace(pending, outcome="cancelled", cost_usd=sum(attempt.cost_usd for attempt in made))


def _measurement(pending: Measurement, receipt: Receipt, attempt: Attempt | None, stage: Staged) -> Measurement:
    if attempt is None:
        unasked = {"over_budget": "over_budget", "cancelled": "cancelled", "refused": "not_allowed"}
        return replace(pending, outcome=unasked.get(receipt.status, "not_asked"))
    generation, usage = attempt.request.generation, attempt.request.usage
    learnt = attempt.outcome in _CONCLUSIVE and not _was_cut_by_budget(attempt, stage)
    return replace(
        pending,
        build=attempt.candidate.availability.build,
        passed=attempt.outcome == "passed" if learnt else None,
        outcome=attempt.outcome,
        at=stage.services.now,
        seconds=generation.seconds if generation else attempt.seconds,
        first_token_seconds=generation.first_token_seconds if generation else None,
        output_tokens=usage.output_tokens,
        thinking_tokens=usage.thinking_tokens,
        cost_usd=attempt.cost_usd,
    )


def _was_cut_by_budget(attempt: Attempt, stage: Staged) -> bool:
    """Whether the answer was truncated below its length limit because the day's budget covered no more."""
    profile = attempt.candidate.profile
    return (
        attempt.outcome == "truncated"
        and profile.price is not None
        and attempt.request.usage.output_tokens < stage.wanted_tokens(profile)
    )
