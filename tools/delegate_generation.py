"""`delegate_generation`: a whole cascade under a contract, waited for no longer than the host waits."""

from collections.abc import Awaitable, Callable, Sequence

import anyio

from ..profiles.vocabulary import TaskType
from .cascade.contract import MAX_ATTEMPTS, MAX_SECONDS, WAIT_S, Contract
from .cascade.delegations import Delegation, Delegations, Stage
from .cascade.receipt import Receipt
from .checking.answer_checks import TestsGiven, tests_given
from .deciding import understand
from .editing.context import read_context
from .errors import BadArgument, UnknownTask
from .report_outcome import unknown_task
from .workshop import Workshop

REPORT_EVERY_S = 2.0

Report = Callable[[Stage], Awaitable[None]]
"""Told where the delegation is: at each change of phase, and every REPORT_EVERY_S seconds between them."""


async def delegate_generation(
    shop: Workshop,
    delegations: Delegations,
    report: Report,
    *,
    task: str | None = None,
    resume: str | None = None,
    context_files: Sequence[str] = (),
    context: str | None = None,
    task_type: TaskType | None = None,
    model: str | None = None,
    tests: str | None = None,
    max_cost_usd: float | None = None,
    max_seconds: float = MAX_SECONDS,
    max_attempts: int = MAX_ATTEMPTS,
    local_only: bool = False,
    wait_s: float = WAIT_S,
    cancel: bool = False,
) -> Receipt:
    """The receipt, or one of status `running` when `wait_s` seconds were not enough.

    Cancelling this call cancels the delegation, down to the vendor's connection.
    Raises a CallerError, ProfileError or LedgerError.
    """
    if (task is None) == (resume is None):
        raise BadArgument("task, resume: give exactly one: `task` begins a delegation, `resume` waits for one.")
    if resume is not None:
        delegation = delegations.find(resume)
        if delegation is None:
            return await _from_the_books(shop, resume)
    else:
        if cancel:
            raise BadArgument("cancel: goes with `resume`, which names the delegation to cancel.")
        given: TestsGiven | None = await tests_given(tests, shop.roots) if tests else None
        files = await read_context(context_files, shop.roots)
        contract = Contract(given, model or None, local_only, max_cost_usd, max_seconds, max_attempts)
        delegation = await delegations.begin(shop, understand(task or "", task_type, files, context), contract)
    if cancel:
        delegation.scope.cancel()
    return await _wait(delegation, report, wait_s)


async def _wait(delegation: Delegation, report: Report, wait_s: float) -> Receipt:
    try:
        with anyio.move_on_after(wait_s):
            while not delegation.done.is_set():
                changed = delegation.changed
                await report(delegation.stage)
                with anyio.move_on_after(REPORT_EVERY_S):
                    await changed.wait()
    except anyio.get_cancelled_exc_class():
        delegation.scope.cancel()
        with anyio.CancelScope(shield=True):
            await delegation.done.wait()
        raise
    if delegation.done.is_set():
        return delegation.result()
    return _running(delegation)


def _running(delegation: Delegation) -> Receipt:
    return Receipt(
        task_id=delegation.task_id,
        status="running",
        notes=[
            f'Call delegate_generation(resume="{delegation.task_id}") now;'
            f" about {delegation.seconds_left():.0f} s left ({delegation.stage.as_text()})."
        ],
    )


async def _from_the_books(shop: Workshop, task_id: str) -> Receipt:
    row = await shop.ledger.task(task_id)
    if row is None or row.kind != "delegation":
        raise unknown_task(task_id)
    if row.receipt is None:
        raise UnknownTask(
            f"resume: task {task_id} was begun by another Chargehand process, which still works on it or was ended."
            " Resume it there, or delegate the task again."
        )
    return Receipt.model_validate_json(row.receipt)
