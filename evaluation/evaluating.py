"""Evaluates models on the tasks of a suite: concurrently as far as vendors allow, within a budget, resumable."""

import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import anyio

from ..memory_store.batched import batched_in
from ..memory_store.errors import LedgerError
from ..memory_store.evaluation_runs import EvaluationRow, claim_evaluation, find_evaluation, release_evaluation
from ..memory_store.evaluations import Measurement, NewEvaluation, finish_evaluation, read_measurements
from ..tools.cascade.delegations import Delegations
from ..tools.cascade.receipt import Receipt
from ..tools.errors import BadArgument, CallerError
from ..tools.provider import AuthenticationFailed, Availability, MissingKey, OutOfCredit, UnknownModelId
from ..tools.services import Services
from ..tools.vocabulary import DEFAULT_MAX_SECONDS
from .batching import BATCH_SECONDS, Batching, batching
from .lanes import WantedAnswer, lanes
from .measuring import PATIENCE_S, MeasuredAnswer, MeasurementKey, Wait, measure
from .progress import EvaluationProgress
from .spending import DayBudgetSpent, EvaluationBudget, Unaffordable
from .staging import staged
from .suite.proof import prove
from .suite.task import SuiteTask
from .terms import EvaluationTerms

GIVEN_UP_AFTER = 3
"""Consecutive inconclusive items after which a model is skipped."""

_FOR_ALL_ITEMS = (MissingKey, AuthenticationFailed, OutOfCredit, UnknownModelId)
"""Errors that every other item would meet too."""


async def evaluate(
    services: Services,
    delegations: Delegations,
    items: Sequence[SuiteTask],
    models: Sequence[str],
    terms: EvaluationTerms,
    *,
    progress: EvaluationProgress,
    in_batches: bool = False,
    local_items: frozenset[str] = frozenset(),
    prove_items: bool = True,
    wait: Wait = anyio.sleep,
) -> EvaluationRow:
    """Ask each model for an answer to each item, as often as the terms say, and record the results in the ledger.

    Resumes an unfinished evaluation of the same terms, without repeating what was measured. It is finished when
    nothing is left that its budget covers; a failed vendor, answers still with a vendor, a wrong check, the day's
    budget or a cancellation leave it unfinished.

    models: profile ids. progress: updated as it runs. in_batches: use batches where the vendor takes them; answers
    outstanding from earlier batches are fetched in any case. local_items: ids of items that may not leave this machine.
    prove_items: False when the items' checks are known to work, or there are no known answers to prove them with.

    Raises EvaluationInProgress when another process evaluates on the same data folder, BadArgument, or a LedgerError.
    """
    if not items:
        raise BadArgument("evaluate: there is no task to ask. Name other --kinds.")
    if not models:
        raise BadArgument("evaluate: no model can be asked. `chargehand doctor` says what is missing.")
    sandbox = await services.find_sandbox()
    if sandbox.sandbox is None:
        raise BadArgument(
            f"evaluate: answers cannot be run here, so nothing would be measured ({sandbox.reason})."
            f" {sandbox.remedy or ''}"
        )
    row = await find_evaluation(services.ledger, terms=terms.as_json(), only_unfinished=True)
    evaluation_id = row.id if row is not None else secrets.token_hex(8)
    new = NewEvaluation(evaluation_id, terms.suite, terms.seed, terms.budget_usd, terms.as_json())
    await claim_evaluation(services.ledger, services.owner, new, services.now)
    progress.evaluation_id, progress.resumed = evaluation_id, row is not None
    budget = EvaluationBudget(services, evaluation_id, terms.budget_usd)
    run = _Run(
        services,
        delegations,
        terms,
        progress,
        budget,
        _RequestMode(services, patience_s=PATIENCE_S),
        in_batches,
        wait,
        local_items,
        prove_items,
    )
    try:
        await run.all(items, models)
        if progress.is_whole and not await batched_in(services.ledger, evaluation_id):
            await finish_evaluation(services.ledger, evaluation_id, services.now)
    finally:
        with anyio.CancelScope(shield=True):
            await release_evaluation(services.ledger, evaluation_id)
    found = await find_evaluation(services.ledger, evaluation_id=evaluation_id)
    if found is None:
        raise RuntimeError("an evaluation is not in the ledger that began it")
    return found


@dataclass(frozen=True)
class _RequestMode:
    """How a model is asked."""

    services: Services
    max_seconds: float = DEFAULT_MAX_SECONDS
    patience_s: float = 0.0
    batches: Batching | None = None
    """Where its requests are submitted in batches. None: each is sent by itself."""
    is_booked: bool = False
    """Whether its cost is in the ledger already."""


class _Withheld(Exception):
    """The model is remote, and the item's texts may not leave this machine."""


@dataclass
class _Run:
    services: Services
    delegations: Delegations
    terms: EvaluationTerms
    progress: EvaluationProgress
    budget: EvaluationBudget
    one_by_one: _RequestMode
    in_batches: bool
    wait: Wait
    local_items: frozenset[str]
    prove_items: bool
    availability: Mapping[str, Availability] = field(default_factory=dict[str, Availability])
    """By profile id."""
    inconclusive_in_a_row: dict[str, int] = field(default_factory=dict[str, int])
    """Consecutive inconclusive items, by model."""
    conclusive: set[str] = field(default_factory=set[str])
    """Models with at least one conclusive measurement, now or before."""
    ledger_error: LedgerError | None = None
    """Why results cannot be recorded."""

    async def all(self, items: Sequence[SuiteTask], models: Sequence[str]) -> None:
        known = await read_measurements(self.services.ledger, evaluation_id=self.progress.evaluation_id)
        conclusive = {(m.item, m.model, m.repetition) for m in known if m.passed is not None}
        self.conclusive.update(m.model for m in known if m.passed is not None)
        wanted = [
            WantedAnswer(item, model, repetition)
            for repetition in range(self.terms.repeat)
            for item in items
            for model in models
        ]
        for model in models:
            self.progress.total[model] = sum(want.model == model for want in wanted)
            self.progress.done[model] = sum(want.key in conclusive for want in wanted if want.model == model)
        left = [want for want in wanted if want.key not in conclusive]
        if self.prove_items:
            # Mined items were proved when they were mined.
            await self._prove([i for i in items if i.origin is None and any(want.item is i for want in left)])
        self.progress.on_change()
        submitted = await batched_in(self.services.ledger, self.progress.evaluation_id)
        if self.in_batches or submitted:
            async with batching(self.services, wait=self.wait) as batches:
                await self._ask(left, batches, submitted)
        else:
            await self._ask(left)
        if self.ledger_error is not None:
            raise self.ledger_error
        for model, reasons in self.progress.unmeasured.items():
            if model not in self.conclusive:
                self.progress.given_up.setdefault(model, next(reversed(reasons)))

    async def _ask(
        self,
        wants: Sequence[WantedAnswer],
        batches: Batching | None = None,
        submitted: Collection[tuple[str, str, int]] = (),
    ) -> None:
        """submitted: answers with vendors from earlier batches, as (item id, model, repetition)."""
        in_a_batch = [want for want in wants if batches is not None and self._goes_in_a_batch(want, batches, submitted)]
        gone = {want.key for want in in_a_batch}
        self.availability = (await self.services.survey()).availability
        async with anyio.create_task_group() as group:
            for lane in lanes([want for want in wants if want.key not in gone], self.availability, self.services):
                queue = iter(lane.wants)
                for _ in range(lane.at_once):
                    group.start_soon(self._process, queue, self.one_by_one, group.cancel_scope)
            if batches is not None:
                for want in in_a_batch:
                    mode = _RequestMode(
                        batches.services, BATCH_SECONDS, batches=batches, is_booked=want.key in submitted
                    )
                    group.start_soon(self._process, iter([want]), mode, group.cancel_scope)

    def _goes_in_a_batch(
        self, want: WantedAnswer, batches: Batching, submitted: Collection[tuple[str, str, int]]
    ) -> bool:
        (profile, *_) = self.services.catalogue.named(want.model, self.services.today)
        if (why := batches.unavailable.get(profile.provider)) is not None:
            self.progress.given_up[want.model] = why
        return want.key in submitted or (self.in_batches and batches.takes(profile.provider))

    async def _prove(self, items: Sequence[SuiteTask]) -> None:
        limiter = anyio.CapacityLimiter(2)

        async def prove_one(item: SuiteTask) -> None:
            proof = await prove(item, self.services.find_sandbox, limiter)
            if proof.verdict != "proved":
                self.progress.broken[item.id] = f"{proof.verdict}: {'; '.join(proof.faults)}"

        async with anyio.create_task_group() as group:
            for item in items:
                group.start_soon(prove_one, item)
        self.progress.on_change()

    async def _process(self, queue: Iterator[WantedAnswer], mode: _RequestMode, all_lanes: anyio.CancelScope) -> None:
        for want in queue:
            if want.model in self.progress.given_up:
                continue
            try:
                if want.item.id not in self.progress.broken:
                    await self._measure_one(want, mode)
            except LedgerError as error:
                # Raised after the task group, which would wrap it into an exception group.
                self.ledger_error = error
                all_lanes.cancel()
                return
            self.progress.done[want.model] += 1
            self.progress.on_change()

    async def _measure_one(self, want: WantedAnswer, mode: _RequestMode) -> None:
        key = MeasurementKey(self.progress.evaluation_id, want.item, want.model, want.repetition)
        try:
            async with self.budget.holding(await self._worst_case_usd(want, mode)):
                measured = await measure(
                    mode.services,
                    self.delegations,
                    key,
                    max_seconds=mode.max_seconds,
                    local_only=want.item.id in self.local_items,
                    patience_s=mode.patience_s,
                    wait=self.wait,
                )
                if mode.batches is not None and (task_id := measured.measurement.task_id) is not None:
                    await mode.batches.mark_checked(task_id)
        except DayBudgetSpent as error:
            self.progress.given_up[want.model] = str(error)
        except Unaffordable:
            self.progress.unaffordable[want.model] = self.progress.unaffordable.get(want.model, 0) + 1
        except _Withheld:
            self.progress.withheld[want.model] = self.progress.withheld.get(want.model, 0) + 1
        except CallerError as error:
            self.progress.broken[want.item.id] = str(error)
        else:
            await self._note_result(want.model, measured)

    async def _worst_case_usd(self, want: WantedAnswer, mode: _RequestMode) -> float:
        if mode.is_booked:
            return 0.0
        async with staged(mode.services, want.item) as stage:
            if stage.examined.must_stay_local and not self.availability[want.model].is_local:
                self.progress.staying[want.item.id] = tuple(reason.text for reason in stage.examined.reasons)
                raise _Withheld
            (profile, *_) = mode.services.catalogue.named(want.model, mode.services.today)
            return stage.worst_case_usd(profile)

    async def _note_result(self, model: str, measured: MeasuredAnswer) -> None:
        """Record how a measurement went; skip a model from which no result is to be expected today."""
        measurement, error = measured.measurement, measured.error
        if measurement.passed is not None:
            self.conclusive.add(model)
            self.inconclusive_in_a_row[model] = 0
            return
        self.inconclusive_in_a_row[model] = self.inconclusive_in_a_row.get(model, 0) + 1
        why = f"{measurement.outcome}: {error or await self._reason(measurement)}"
        reasons = self.progress.unmeasured.setdefault(model, {})
        reasons[why] = reasons.get(why, 0) + 1
        is_over = measurement.outcome == "rate_limited" or isinstance(error, _FOR_ALL_ITEMS)
        if is_over or self.inconclusive_in_a_row[model] >= GIVEN_UP_AFTER:
            self.progress.given_up[model] = why

    async def _reason(self, measurement: Measurement) -> str:
        """The last note of its receipt that names the model."""
        task = await self.services.ledger.task(measurement.task_id or "")
        receipt = Receipt.model_validate_json(task.receipt) if task is not None and task.receipt else None
        notes = [note for note in receipt.notes if measurement.model in note] if receipt is not None else []
        return notes[-1] if notes else "no answer came"
