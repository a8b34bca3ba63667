"""Evaluates models over the tasks of a suite: in parallel as their vendors allow, within a budget, resumable."""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import anyio

from ..memory_store.errors import LedgerError
from ..memory_store.evaluation_runs import EvaluationRow, find_evaluation, lay_down, take_up
from ..memory_store.evaluations import Measurement, NewEvaluation, finish_evaluation, read_measurements
from ..tools.cascade.delegations import Delegations
from ..tools.cascade.receipt import Receipt
from ..tools.errors import BadArgument, CallerError
from ..tools.provider import Availability
from ..tools.workshop import Workshop
from .measuring import PATIENCE_S, Place, Wait, measure
from .spending import DaySpent, Purse, Unaffordable
from .staging import staged
from .suite.proof import prove
from .suite.task import SuiteTask
from .terms import Terms

AT_ONCE = 4
"""Requests under way at one vendor elsewhere."""
GIVEN_UP_AFTER = 3
"""Items in a row of which nothing was learnt, before a model is left alone."""


@dataclass
class Course:
    """How an evaluation goes; whoever shows it reads it after each `moved`."""

    evaluation_id: str = ""
    total: dict[str, int] = field(default_factory=dict[str, int])
    """Answers wanted, by model."""
    done: dict[str, int] = field(default_factory=dict[str, int])
    """Measured, or found unaffordable."""
    broken: dict[str, str] = field(default_factory=dict[str, str])
    """Items whose check is wrong, and why: nobody is asked them."""
    given_up: dict[str, str] = field(default_factory=dict[str, str])
    """Models that are not asked any more, and why."""
    unaffordable: dict[str, int] = field(default_factory=dict[str, int])
    """Answers that the evaluation's budget does not pay for, by model."""
    resumed: bool = False
    moved: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class _Want:
    item: SuiteTask
    model: str
    repetition: int


async def evaluate(
    shop: Workshop,
    delegations: Delegations,
    items: Sequence[SuiteTask],
    models: Sequence[str],
    terms: Terms,
    *,
    course: Course,
    patience_s: float = PATIENCE_S,
    wait: Wait = anyio.sleep,
) -> EvaluationRow:
    """Ask each model for an answer to each item, as often as the terms say; the books hold what came of it.

    An unfinished evaluation of the same terms is gone on with: what was measured is not asked again. It is finished
    when nothing is left that its budget pays for; a vendor who failed, the day's budget or a cancellation leave it
    unfinished. models: profile ids. course: filled as it goes.

    Raises EvaluationRuns when another process evaluates on the same data folder, BadArgument, or a LedgerError.
    """
    if not items:
        raise BadArgument("evaluate: there is no task to ask. Name other --kinds.")
    if not models:
        raise BadArgument("evaluate: no model can be asked. `chargehand doctor` says what is missing.")
    sandbox = await shop.find_sandbox()
    if sandbox.sandbox is None:
        raise BadArgument(
            f"evaluate: answers cannot be run here, so nothing would be measured ({sandbox.reason})."
            f" {sandbox.remedy or ''}"
        )
    row = await find_evaluation(shop.ledger, terms=terms.as_json(), only_unfinished=True)
    evaluation_id = row.id if row is not None else secrets.token_hex(8)
    new = NewEvaluation(evaluation_id, terms.suite, terms.seed, terms.budget_usd, shop.owner.id, terms.as_json())
    await take_up(shop.ledger, shop.owner, new, shop.now)
    course.evaluation_id, course.resumed = evaluation_id, row is not None
    run = _Run(shop, delegations, terms, course, Purse(shop, evaluation_id, terms.budget_usd), patience_s, wait)
    try:
        await run.all(items, models)
        if not course.given_up:
            await finish_evaluation(shop.ledger, evaluation_id, shop.now)
    finally:
        with anyio.CancelScope(shield=True):
            await lay_down(shop.ledger, evaluation_id)
    found = await find_evaluation(shop.ledger, evaluation_id=evaluation_id)
    if found is None:
        raise RuntimeError("an evaluation is not in the ledger that began it")
    return found


@dataclass
class _Run:
    shop: Workshop
    delegations: Delegations
    terms: Terms
    course: Course
    purse: Purse
    patience_s: float
    wait: Wait
    in_a_row: dict[str, int] = field(default_factory=dict[str, int])
    """Items of which nothing was learnt since the last that said something, by model."""
    trouble: LedgerError | None = None
    """What keeps results from being written down."""

    async def all(self, items: Sequence[SuiteTask], models: Sequence[str]) -> None:
        known = await read_measurements(self.shop.ledger, evaluation_id=self.course.evaluation_id)
        learnt = {(m.item, m.model, m.repetition) for m in known if m.passed is not None}
        wanted = [
            _Want(item, model, repetition)
            for repetition in range(self.terms.repeat)
            for item in items
            for model in models
        ]
        for model in models:
            self.course.total[model] = sum(want.model == model for want in wanted)
            self.course.done[model] = sum(
                (want.item.id, model, want.repetition) in learnt for want in wanted if want.model == model
            )
        left = [want for want in wanted if (want.item.id, want.model, want.repetition) not in learnt]
        await self._prove([item for item in items if any(want.item is item for want in left)])
        there = (await self.shop.survey()).availability
        self.course.moved()
        async with anyio.create_task_group() as group:
            for lane, wants in _lanes(left, there, self.shop).items():
                queue = iter(wants)
                for _ in range(1 if lane.startswith(_LINE) else AT_ONCE):
                    group.start_soon(self._work_off, queue, group.cancel_scope)
        if self.trouble is not None:
            raise self.trouble

    async def _prove(self, items: Sequence[SuiteTask]) -> None:
        limiter = anyio.CapacityLimiter(2)

        async def prove_one(item: SuiteTask) -> None:
            proof = await prove(item, self.shop.find_sandbox, limiter)
            if proof.verdict != "proved":
                self.course.broken[item.id] = f"{proof.verdict}: {'; '.join(proof.faults)}"

        async with anyio.create_task_group() as group:
            for item in items:
                group.start_soon(prove_one, item)
        self.course.moved()

    async def _work_off(self, queue: Iterator[_Want], all_lanes: anyio.CancelScope) -> None:
        for want in queue:
            if want.model in self.course.given_up:
                continue
            try:
                if want.item.id not in self.course.broken:
                    await self._one(want)
            except LedgerError as error:
                # Raised at the end: out of a task group it would come as a group of errors.
                self.trouble = error
                all_lanes.cancel()
                return
            self.course.done[want.model] += 1
            self.course.moved()

    async def _one(self, want: _Want) -> None:
        try:
            async with staged(self.shop, want.item) as stage:
                (profile, *_) = self.shop.catalogue.named(want.model, self.shop.today)
                usd = stage.worst_case_usd(profile)
            async with self.purse.holding(usd):
                place = Place(self.course.evaluation_id, want.item, want.model, want.repetition)
                measured = await measure(self.shop, self.delegations, place, patience_s=self.patience_s, wait=self.wait)
        except DaySpent as error:
            self.course.given_up[want.model] = str(error)
        except Unaffordable:
            self.course.unaffordable[want.model] = self.course.unaffordable.get(want.model, 0) + 1
        except CallerError as error:
            self.course.broken[want.item.id] = str(error)
        else:
            await self._heed(want.model, measured)

    async def _heed(self, model: str, measured: Measurement) -> None:
        """Leave a model alone of which nothing is to be learnt today."""
        if measured.passed is not None:
            self.in_a_row[model] = 0
            return
        self.in_a_row[model] = self.in_a_row.get(model, 0) + 1
        if self.in_a_row[model] >= GIVEN_UP_AFTER or measured.outcome == "rate_limited":
            self.course.given_up[model] = f"{measured.outcome}: {await self._reason(measured)}"

    async def _reason(self, measured: Measurement) -> str:
        """What its last receipt says of it."""
        task = await self.shop.ledger.task(measured.task_id or "")
        receipt = Receipt.model_validate_json(task.receipt) if task is not None and task.receipt else None
        notes = [note for note in receipt.notes if measured.model in note] if receipt is not None else []
        return notes[0] if notes else "no answer came"


def _lanes(wants: Sequence[_Want], there: Mapping[str, Availability], shop: Workshop) -> Mapping[str, Sequence[_Want]]:
    """What is asked beside each other: one lane for each vendor, and for each server that takes one at a time.

    In a lane of models on this machine each has all its items in a row, so that none is loaded twice; of a vendor
    elsewhere each item goes to all models first, so that a small budget measures all of them.
    """
    lanes: dict[str, list[_Want]] = {}
    for want in wants:
        (profile, *_) = shop.catalogue.named(want.model, shop.today)
        server = there[want.model].line if want.model in there else None
        lanes.setdefault(f"{_LINE}{server}" if server is not None else profile.provider, []).append(want)
    for name, members in lanes.items():
        if name.startswith(_LINE):
            members.sort(key=lambda want: want.model)
    return lanes


_LINE = "line before "
