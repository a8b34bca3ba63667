"""`delegate_generation`: a whole cascade under a contract, waited for no longer than the host waits."""

from collections.abc import Sequence

import anyio

from ..profiles.vocabulary import TaskType
from .cascade.contract import MAX_ATTEMPTS, MAX_SECONDS, WAIT_S, Contract
from .cascade.delegations import Delegation, Delegations
from .cascade.elsewhere import wait_elsewhere
from .cascade.receipt import Receipt
from .cascade.waiting import REPORT_EVERY_S, Report, still_running
from .checking.answer_checks import TestsGiven, tests_given
from .custody import take_custody, why_output_stays
from .deciding import understand
from .editing.context import read_context
from .errors import BadArgument
from .workshop import Workshop


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
    checks: Sequence[str] = (),
    max_cost_usd: float | None = None,
    max_seconds: float = MAX_SECONDS,
    max_attempts: int = MAX_ATTEMPTS,
    local_only: bool = False,
    wait_s: float = WAIT_S,
    cancel: bool = False,
) -> Receipt:
    """The receipt, or one of status `running` when `wait_s` seconds were not enough.

    Cancelling this call cancels the delegation, down to the vendor's connection, unless another process
    works on it: that one ends it for `cancel` alone.
    Raises a CallerError, ProfileError or LedgerError.
    """
    if (task is None) == (resume is None):
        raise BadArgument("task, resume: give exactly one: `task` begins a delegation, `resume` waits for one.")
    if resume is not None:
        delegation = delegations.find(resume)
        if delegation is None:
            return await wait_elsewhere(shop, resume, report, wait_s, cancel=cancel)
    else:
        if cancel:
            raise BadArgument("cancel: goes with `resume`, which names the delegation to cancel.")
        given: TestsGiven | None = await tests_given(tests, shop.roots) if tests else None
        files = await read_context(context_files, shop.roots)
        from .checking.command_check import configured  # with what runs code, which a server starts without

        commands = configured(checks, shop.rules.checks)
        custody = await take_custody(shop, {"task": task, "context": context}, files, given)
        contract = Contract(
            tests=given,
            model=model or None,
            local_only=local_only or custody.stays,
            max_cost_usd=max_cost_usd,
            max_seconds=max_seconds,
            max_attempts=max_attempts,
            commands=commands,
            notes=custody.notes,
            remedy=custody.remedy,
            private_output=await why_output_stays(shop, given, in_project=bool(commands)),
        )
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
    return still_running(delegation.task_id, delegation.stage, delegation.seconds_left())
