"""The delegations under way in this process: begun by one call, waited for by that one and others."""

import json
import logging
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Self

import anyio
import anyio.abc

from ...memory_store.errors import LedgerError
from ...memory_store.missed import read_missed
from ...memory_store.records import Finish, NewTask
from ...memory_store.under_way import is_cancellation_requested, write_stage
from ...profiles.errors import ProfileError
from ...profiles.model import ModelProfile
from ..asking.request import Requester, RequestMonitor
from ..editing.answer import PROSE_TYPES
from ..errors import CallerError
from ..route_task import new_decision
from ..routing.candidates import Candidate
from ..routing.deciding import Job, decide
from ..routing.decision import Decision
from ..routing.plan import Check, Means
from ..services import MemoryQuery, Services
from ..vocabulary import DEFAULT_MAX_ATTEMPTS
from .applying import apply_result, checks_of
from .attempt import Attempt, Attempts
from .cascade import Cascade, best_of
from .contract import Contract
from .receipt import Egress, Receipt, Saving, Status

# What is said to be left when nobody knows, and at least: an answer is checked, too.
UNKNOWN_S = 30.0
LEAST_LEFT_S = 5.0

logger = logging.getLogger(__name__)

TOUCH_EVERY_S = 0.5
"""How often a delegation looks into the ledger for other processes' wishes, and lets them see where it is."""


@dataclass(frozen=True)
class Stage:
    """Where a delegation is."""

    phase: str
    """selecting, asking, waiting, loading, thinking, answering, checking, repairing, finished."""
    model: str | None = None
    attempt: int = 0
    """Counted from 1; 0 before the first."""
    output_tokens: int = 0
    """Of the attempt under way."""
    ahead: int = 0
    """How many requests have their turn first, in the queue before the model's server."""
    task_id: str | None = None
    """What to come back for. None: whoever is told knows it."""

    def as_text(self) -> str:
        task = f"task {self.task_id}: " if self.task_id else ""
        if self.model is None:
            return f"{task}{self.phase}"
        tokens = f", {self.output_tokens} tokens" if self.output_tokens else ""
        ahead = f", {self.ahead} ahead" if self.ahead else ""
        return f"{task}attempt {self.attempt}: {self.model} {self.phase}{tokens}{ahead}"

    def as_json(self) -> str:
        """For another process; tokens are left out, they change too often to be written."""
        return json.dumps(asdict(replace(self, output_tokens=0)))

    @classmethod
    def from_json(cls, text: str | None) -> Self:
        """What `as_json` gave. None: a delegation of which nothing is written yet."""
        return cls(**json.loads(text)) if text else cls("selecting")


@dataclass
class Delegation:
    """One delegation and whoever waits for it."""

    task_id: str
    stage: Stage = Stage("selecting")
    receipt: Receipt | None = None
    """None: it is under way."""
    error: BaseException | None = None
    """Why there will be no receipt."""
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    made: Sequence[Attempt] = ()
    """The attempts so far, in order."""
    attempt_seconds: float | None = None
    """What the reply of the attempt under way is expected to take. None: nobody knows."""
    attempt_begun: float = field(default_factory=time.monotonic)
    """When it was sent; while it waits in the queue, now."""
    done: anyio.Event = field(default_factory=anyio.Event)
    changed: anyio.Event = field(default_factory=anyio.Event)
    """Set at the next change of phase, model or attempt; then there is a new one."""

    def enter(self, stage: Stage) -> None:
        """Be at a stage; whoever waits for a change hears of it, but not of each token."""
        before, self.stage = self.stage, stage
        if before.ahead:
            self.attempt_begun = time.monotonic()
        if replace(before, output_tokens=0) != replace(stage, output_tokens=0):
            self.changed.set()
            self.changed = anyio.Event()

    def seconds_left(self) -> float:
        """A guess at what is left, for whoever is told to come back; at least a few seconds."""
        expected = (self.attempt_seconds or UNKNOWN_S) * (1 + self.stage.ahead)
        return max(LEAST_LEFT_S, expected - (time.monotonic() - self.attempt_begun))

    def result(self) -> Receipt:
        """The receipt, or the error that kept it from being. Only once `done` is set."""
        if self.error is not None:
            raise self.error
        if self.receipt is None:
            raise RuntimeError("a delegation that is under way has no result")
        return self.receipt


class Delegations:
    """Begins delegations in a task group that outlives the calls which began them."""

    def __init__(self, group: anyio.abc.TaskGroup) -> None:
        self._group = group
        self._under_way: dict[str, Delegation] = {}

    def cancel_all(self) -> bool:
        """End everything that is under way; each still gets its receipt. False: nothing was."""
        for delegation in self._under_way.values():
            delegation.scope.cancel()
        return bool(self._under_way)

    def find(self, task_id: str) -> Delegation | None:
        """The delegation, while it is under way."""
        return self._under_way.get(task_id)

    async def begin(
        self, services: Services, job: Job, contract: Contract, *, task_id: str | None = None, caller: str | None = None
    ) -> Delegation:
        """Write the task in the books and start on it. Raises UnknownModel or a LedgerError.

        task_id: 128 random bits in hex, chosen by a caller who has written them down already. None: chosen here.
        caller: whose it is. None: the user's of this machine.
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
                tests=_tests_by_themselves(job, contract),
            )
        )
        # No wait from here on: whoever is cancelled leaves nothing in the books that nobody carries out.
        self._under_way[delegation.task_id] = delegation
        self._group.start_soon(self._carry_out, delegation, services, job, contract)
        return delegation

    async def _carry_out(self, delegation: Delegation, services: Services, job: Job, contract: Contract) -> None:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(_keep_in_touch, delegation, services)
                try:
                    with delegation.scope:
                        await _delegate(delegation, services, job, contract)
                    if delegation.receipt is None:
                        delegation.receipt = Receipt(task_id=delegation.task_id, status="cancelled")
                except (CallerError, ProfileError, LedgerError) as error:
                    delegation.error = error
                except Exception as error:
                    # Whoever waits gets it and the server masks it; the other delegations go on.
                    logger.exception("delegation %s broke", delegation.task_id)
                    delegation.error = error
                group.cancel_scope.cancel()
        finally:
            del self._under_way[delegation.task_id]
            delegation.done.set()
            delegation.changed.set()


def _tests_by_themselves(job: Job, contract: Contract) -> str | None:
    """The tests of a task that can be asked again by its text alone. None: it has none, or takes files as well."""
    needs_more = job.files or job.context is not None or contract.changes is not None or contract.commands
    is_work = contract.origin == "use" and contract.tests is not None
    return contract.tests.code if is_work and not needs_more and contract.tests is not None else None


async def _keep_in_touch(delegation: Delegation, services: Services) -> None:
    """Let other processes see where the delegation is, and end it when one of them wishes so."""
    written = ""
    while True:
        await anyio.sleep(TOUCH_EVERY_S)
        try:
            stage = delegation.stage.as_json()
            if stage != written:
                written = stage
                await write_stage(services.ledger, delegation.task_id, stage, services.now + delegation.seconds_left())
            if await is_cancellation_requested(services.ledger, delegation.task_id):
                delegation.scope.cancel()
        except LedgerError as error:
            # The delegation itself meets the same ledger, and says so to whoever waits for it.
            logger.warning("delegation %s is out of touch: %s", delegation.task_id, error)


async def _delegate(delegation: Delegation, services: Services, job: Job, contract: Contract) -> None:
    """Carry it out; its receipt is there however that ends."""

    def at_phase(phase: str, output_tokens: int, ahead: int = 0) -> None:
        delegation.enter(replace(delegation.stage, phase=phase, output_tokens=output_tokens, ahead=ahead))

    def begins(phase: str, candidate: Candidate, seconds: float | None) -> None:
        delegation.attempt_seconds, delegation.attempt_begun = seconds, time.monotonic()
        delegation.enter(Stage(phase, candidate.profile.id, len(attempts.made) + 1))

    monitor = RequestMonitor(tell=at_phase)
    checks = checks_of(contract, services, began=lambda: at_phase("checking", delegation.stage.output_tokens))
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
            tell=begins,
            notes=notes,
        )
        notes.extend(decision.warnings)
        notes.extend(services.journals.take_notices())
        status = await cascade.run()
    except anyio.get_cancelled_exc_class():
        status = "cancelled"
        raise
    finally:
        # What is begun to be written is also booked: between the two nobody is cancelled.
        with anyio.CancelScope(shield=True):
            delegation.receipt = await _close(status, attempts, notes, contract)


async def _decide(task_id: str, services: Services, job: Job, contract: Contract) -> Decision:
    """Who is to do it, by what can be asked now and what memory says of other tasks."""
    query = MemoryQuery(job.task, job.task_type, contract.local_only, job.complexity.score, except_for=(task_id,))
    return await decide(
        job,
        services,
        await services.survey(query),
        model=contract.model,
        local_only=contract.local_only,
        max_cost_usd=contract.max_cost_usd,
        check=await _check(contract, services),
        means=Means(contract.max_attempts, contract.max_seconds, contract.max_cost_usd),
        every_model=contract.max_attempts > DEFAULT_MAX_ATTEMPTS,
    )


async def _check(contract: Contract, services: Services) -> Check | None:
    """How far what will be run on an answer can be trusted, by what it missed so far. None: nothing will be run."""
    if contract.tests is None and not contract.commands:
        return None
    if (await services.find_sandbox()).sandbox is None:
        return None
    return Check(false_pass=(await read_missed(services.ledger)).share)


async def _close(status: Status, attempts: Attempts, notes: list[str], contract: Contract) -> Receipt:
    """The receipt, once it is in the books; of a cancelled task too, so that whoever asks later gets it."""
    requester, best = attempts.requester, best_of(attempts.made)
    applied = await apply_result(status, best, requester, contract)
    status = applied.status
    notes.extend(applied.notes)
    baseline = _baseline(requester.services)
    worth_usd = _price_on(baseline, best, attempts.made) if baseline and best else None
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


def _baseline(services: Services) -> ModelProfile | None:
    """The model that savings are measured against; None when no profile plays the role."""
    if services.rules.baseline_model is not None:
        return services.catalogue.named(services.rules.baseline_model, services.today)[0]
    return next(iter(services.catalogue.players(services.catalogue.rules.baseline_role, services.today)), None)


def _price_on(baseline: ModelProfile, best: Attempt, made: Sequence[Attempt]) -> float:
    """What the work would have cost on the baseline model, in US dollars: the draft's prompt and the visible answer.

    Thinking and repairs are this model's own waste, not work that the baseline would have done. Where the baseline
    did the work itself, it is worth what its attempts cost.
    """
    if best.candidate.profile.id == baseline.id:
        return sum(attempt.cost_usd for attempt in made if attempt.candidate is best.candidate)
    drafts = [t for t in made[: made.index(best) + 1] if t.candidate is best.candidate and not t.is_repair]
    draft = drafts[-1] if drafts else best
    return baseline.cost_usd(
        input_tokens=draft.request.usage.input_tokens, output_tokens=best.request.usage.visible_tokens
    )
