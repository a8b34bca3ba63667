"""The delegations that run in this process: started by one call, awaited by that one and others."""

import logging
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import anyio
import anyio.abc

from ...memory_store.errors import LedgerError
from ...memory_store.missed import read_missed
from ...memory_store.records import NewTask
from ...memory_store.under_way import is_cancellation_requested, write_stage
from ...profiles.errors import ProfileError
from ..asking.monitor import RequestMonitor
from ..asking.request import Requester
from ..editing.answer import PROSE_TYPES
from ..errors import CallerError
from ..route_task import new_decision
from ..routing.candidates import Candidate
from ..routing.deciding import Job, decide
from ..routing.decision import Decision
from ..routing.plan import Check, PlanLimits
from ..services import MemoryQuery, Services
from ..vocabulary import DEFAULT_MAX_ATTEMPTS
from .applying import checks_of
from .attempt import Attempt, Attempts
from .cascade import Cascade
from .closing import close
from .contract import Contract
from .receipt import Receipt, Status
from .stage import LEAST_LEFT_S, UNKNOWN_S, Stage

logger = logging.getLogger(__name__)

SYNC_EVERY_S = 0.5
"""Interval at which a delegation looks in the ledger for a request to cancel it, and writes its stage there."""


@dataclass
class Delegation:
    """One delegation, with events for its waiters."""

    task_id: str
    stage: Stage = field(default_factory=Stage)
    receipt: Receipt | None = None
    """None: it is running, or failed with `error`."""
    error: BaseException | None = None
    """Why there will be no receipt."""
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    made: Sequence[Attempt] = ()
    """The attempts so far, in order."""
    attempt_seconds: float | None = None
    """Expected duration of the current attempt's reply. None: unknown."""
    attempt_begun: float = field(default_factory=time.monotonic)
    """When it was sent (monotonic); renewed while it waits in the queue."""
    done: anyio.Event = field(default_factory=anyio.Event)
    changed: anyio.Event = field(default_factory=anyio.Event)
    """Set at the next change of phase, model or attempt, then replaced by a new event."""

    def enter(self, stage: Stage) -> None:
        """Set the stage; notifies waiters, unless only the token count changes."""
        before, self.stage = self.stage, stage
        if before.ahead:
            self.attempt_begun = time.monotonic()
        if replace(before, output_tokens=0) != replace(stage, output_tokens=0):
            self.changed.set()
            self.changed = anyio.Event()

    def seconds_left(self) -> float:
        """Estimated seconds until a caller should resume; at least LEAST_LEFT_S."""
        expected = (self.attempt_seconds or UNKNOWN_S) * (1 + self.stage.ahead)
        return max(LEAST_LEFT_S, expected - (time.monotonic() - self.attempt_begun))

    def result(self) -> Receipt:
        """The receipt; raises `error` if there is one. Only once `done` is set."""
        if self.error is not None:
            raise self.error
        if self.receipt is None:
            raise RuntimeError("a delegation that is under way has no result")
        return self.receipt


class Delegations:
    """Starts delegations in a task group that outlives the calls that start them."""

    def __init__(self, group: anyio.abc.TaskGroup) -> None:
        self._group = group
        self._under_way: dict[str, Delegation] = {}

    def cancel_all(self) -> bool:
        """Cancel all running delegations; each still gets its receipt. False: none was running."""
        for delegation in self._under_way.values():
            delegation.scope.cancel()
        return bool(self._under_way)

    def find(self, task_id: str) -> Delegation | None:
        """The delegation, if it is running."""
        return self._under_way.get(task_id)

    async def begin(
        self, services: Services, job: Job, contract: Contract, *, task_id: str | None = None, caller: str | None = None
    ) -> Delegation:
        """Record the task in the ledger and start it. Raises UnknownModel or a LedgerError.

        task_id: 128 random bits in hex, from a caller that has recorded them already. None: generated here.
        caller: the user it belongs to. None: the user of this machine.
        """
        if contract.model is not None:
            services.catalogue.named(contract.model, services.today)
        delegation = Delegation(task_id=task_id or secrets.token_hex(16))
        await services.ledger.begin_task(
            NewTask(
                id=delegation.task_id,
                kind="delegation",
                text=job.task,
                task_type=job.task_type,
                complexity=job.complexity.score,
                local_only=contract.local_only or services.rules.local_only,
                origin=contract.origin,
                owner=services.owner.id,
                caller=caller,
                project=services.roots.project,
                tests=_repeatable_tests(job, contract),
            )
        )
        # No await from here on, so that a cancelled call leaves no task in the ledger that does not run.
        self._under_way[delegation.task_id] = delegation
        self._group.start_soon(self._carry_out, delegation, services, job, contract)
        return delegation

    async def _carry_out(self, delegation: Delegation, services: Services, job: Job, contract: Contract) -> None:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(_sync_with_ledger, delegation, services)
                try:
                    with delegation.scope:
                        await _delegate(delegation, services, job, contract)
                except (CallerError, ProfileError, LedgerError) as error:
                    delegation.error = error
                except Exception as error:
                    # Raised to the waiters, where the server masks it; the other delegations go on.
                    logger.exception("delegation %s broke", delegation.task_id)
                    delegation.error = error
                group.cancel_scope.cancel()
        finally:
            del self._under_way[delegation.task_id]
            delegation.done.set()
            delegation.changed.set()


def _repeatable_tests(job: Job, contract: Contract) -> str | None:
    """The tests of a task that can be repeated from its text alone. None: no tests, or it needs files or the like."""
    if contract.tests is None or contract.origin != "use":
        return None
    needs_more = job.files or job.context is not None or contract.changes is not None or contract.commands
    return None if needs_more else contract.tests.code


async def _sync_with_ledger(delegation: Delegation, services: Services) -> None:
    """Write the stage for other processes, and cancel the delegation if one of them asks for it."""
    written = ""
    while True:
        await anyio.sleep(SYNC_EVERY_S)
        try:
            stage = delegation.stage.as_json()
            if stage != written:
                written = stage
                await write_stage(services.ledger, delegation.task_id, stage, services.now + delegation.seconds_left())
            if await is_cancellation_requested(services.ledger, delegation.task_id):
                delegation.scope.cancel()
        except LedgerError as error:
            # The delegation itself meets the same error, and reports it to its waiters.
            logger.warning("delegation %s is out of touch: %s", delegation.task_id, error)


async def _delegate(delegation: Delegation, services: Services, job: Job, contract: Contract) -> None:
    """Carry out the delegation; it gets a receipt however it ends."""

    def on_phase(phase: str, output_tokens: int, ahead: int = 0) -> None:
        delegation.enter(replace(delegation.stage, phase=phase, output_tokens=output_tokens, ahead=ahead))

    def on_attempt(phase: str, candidate: Candidate, seconds: float | None) -> None:
        delegation.attempt_seconds, delegation.attempt_begun = seconds, time.monotonic()
        delegation.enter(Stage(phase, candidate.profile.id, len(attempts.made) + 1))

    monitor = RequestMonitor(notify=on_phase)
    checks = checks_of(contract, services, began=lambda: on_phase("checking", delegation.stage.output_tokens))
    attempts = Attempts(
        requester=Requester(services, delegation.task_id, monitor),
        job=job,
        check=checks,
        prose=job.task_type in PROSE_TYPES and not contract.asks_for_a_check and contract.changes is None,
        changes_files=contract.changes is not None,
    )
    delegation.made = attempts.made
    notes: list[str] = [*contract.notes, *job.notes, *filter(None, [services.catalogue.not_in_force])]
    status: Status = "failed"
    local_only = contract.local_only or services.rules.local_only
    try:
        if contract.origin != "evaluation":
            await services.memory.remember(delegation.task_id, job.task, local_only=local_only)
        decision = await _decide(delegation.task_id, services, job, contract)
        await services.ledger.record_decision(new_decision(secrets.token_hex(16), delegation.task_id, decision))
        delegation.attempt_seconds = decision.chosen.expected.seconds
        cascade = Cascade(
            decision=decision,
            contract=contract,
            attempts=attempts,
            local_only=local_only,
            notify=on_attempt,
            notes=notes,
        )
        notes.extend(decision.warnings)
        notes.extend(services.journals.take_notices())
        status = await cascade.run()
    except anyio.get_cancelled_exc_class():
        status = "cancelled"
        raise
    finally:
        # Not cancellable between writing the files and recording that.
        with anyio.CancelScope(shield=True):
            delegation.receipt = await close(status, attempts, notes, contract)


async def _decide(task_id: str, services: Services, job: Job, contract: Contract) -> Decision:
    """Choose the model, by current availability and by memory of other tasks."""
    query = MemoryQuery(job.task, job.task_type, contract.local_only, job.complexity.score, except_for=(task_id,))
    return await decide(
        job,
        services,
        await services.survey(query),
        model=contract.model,
        local_only=contract.local_only,
        max_cost_usd=contract.max_cost_usd,
        check=await _check(contract, services),
        limits=PlanLimits(contract.max_attempts, contract.max_seconds, contract.max_cost_usd),
        every_model=contract.max_attempts > DEFAULT_MAX_ATTEMPTS,
    )


async def _check(contract: Contract, services: Services) -> Check | None:
    """Reliability of the checks to be executed, by what they have missed so far. None: nothing will be executed."""
    if contract.tests is None and not contract.commands:
        return None
    if (await services.find_sandbox()).sandbox is None:
        return None
    return Check(false_pass=(await read_missed(services.ledger)).share)
