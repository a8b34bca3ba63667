"""`delegate_generation`: runs a whole cascade under a contract, and returns before the host's timeout."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.to_thread

from ..profiles.vocabulary import TaskType
from .cascade.contract import Contract
from .cascade.delegations import Delegation, Delegations
from .cascade.elsewhere import wait_elsewhere
from .cascade.receipt import Receipt
from .cascade.waiting import REPORT_EVERY_S, Report, still_running
from .checking.tests_given import TestsGiven, tests_given
from .editing.change import PlannedChanges
from .editing.context import ContextFile, read_context
from .editing.later_edits import note_later_edits
from .editing.patterns import find_files
from .editing.protected import Protection
from .editing.workspace import Place, snapshot_workspace
from .errors import BadArgument
from .guarding.examining import examine_call, why_output_stays
from .guarding.roots import Roots
from .routing.deciding import analyze
from .services import Services
from .vocabulary import DEFAULT_MAX_ATTEMPTS, DEFAULT_MAX_SECONDS, DEFAULT_WAIT_S, Output


async def delegate_generation(
    services: Services,
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
    output: Output = "inline",
    target: str | None = None,
    max_cost_usd: float | None = None,
    max_seconds: float = DEFAULT_MAX_SECONDS,
    max_attempts: int = DEFAULT_MAX_ATTEMPTS,
    local_only: bool = False,
    wait_s: float = DEFAULT_WAIT_S,
    cancel: bool = False,
    caller: str | None = None,
) -> Receipt:
    """The final receipt, or one of status `running` if `wait_s` seconds were not enough.

    output: `apply` writes the result into `target`, the context files, and new files beside them. target: the file
    that the result belongs to. caller: the owner of a new task; None is the user of this machine. Cancelling this call
    cancels the delegation, including the vendor's connection, unless it runs in another process: that one stops only
    for `cancel`. Raises a CallerError, ProfileError or LedgerError.
    """
    if resume is not None and task is None:
        return await _resumed(services, delegations, report, resume, wait_s, cancel=cancel)
    if task is None or resume is not None:
        raise BadArgument("task, resume: give exactly one: `task` begins a delegation, `resume` waits for one.")
    if cancel:
        raise BadArgument("cancel: goes with `resume`, which names the delegation to cancel.")
    given: TestsGiven | None = await tests_given(tests, services.roots) if tests else None
    found = await find_files(context_files, services.roots)
    files = await read_context(await _with_target(found.paths, target, services.roots), services.roots)
    changes = await _changes(services, output, target, files, given)
    from .checking.command_check import configured  # deferred, so that the server starts faster

    commands = configured(checks, services.rules.checks)
    places = [target] if target is not None else []
    examined = await examine_call(services, {"task": task, "context": context}, files, given, named=places)
    contract = Contract(
        tests=given,
        model=model or None,
        local_only=local_only or examined.must_stay_local,
        max_cost_usd=max_cost_usd,
        max_seconds=max_seconds,
        max_attempts=max_attempts,
        commands=commands,
        changes=changes,
        applies=output == "apply",
        notes=examined.notes,
        remedy=examined.remedy,
        private_output=await why_output_stays(services, given, in_project=bool(commands) or changes is not None),
    )
    await note_later_edits(services)
    written = changes.workspace.target if changes is not None else None
    job = analyze(task, task_type, files, context, target=written, notes=found.notes)
    delegation = await delegations.begin(services, job, contract, caller=caller)
    return await _wait(delegation, report, wait_s)


def approval_limit_note(limit_usd: float, option: str, who_is: str) -> str:
    """The note for a delegation stopped at the limit that needs no approval. option: raises the limit, as typed."""
    return (
        f"Without {option} a delegation may spend at most ${limit_usd:g}; for a higher limit {who_is} asked"
        " ([budget] ask_above_usd)."
    )


async def _resumed(
    services: Services, delegations: Delegations, report: Report, task_id: str, wait_s: float, *, cancel: bool
) -> Receipt:
    delegation = delegations.find(task_id)
    if delegation is None:
        return await wait_elsewhere(services, task_id, report, wait_s, cancel=cancel)
    if cancel:
        delegation.scope.cancel()
    return await _wait(delegation, report, wait_s)


async def _with_target(context_files: Sequence[str], target: str | None, roots: Roots) -> Sequence[str]:
    """The files to read, including the target if it exists. Raises FileRefused for a target that is not text."""
    if target is None:
        return context_files

    def is_to_be_read() -> bool:
        root, relative = roots.locate(target, "target")
        named = (roots.locate(path, "context_files") for path in context_files)
        is_more = (root, relative) not in named and os.path.lexists(root / relative)
        if is_more:
            roots.read(target, "target")  # so that the error names `target`, not `context_files`
        return is_more

    return [*context_files, target] if await anyio.to_thread.run_sync(is_to_be_read) else context_files


async def _changes(
    services: Services, output: Output, target: str | None, files: Sequence[ContextFile], given: TestsGiven | None
) -> PlannedChanges | None:
    """The planned file changes. None: the result is code returned inline."""
    if target is None and output == "inline":
        return None
    if target is None and not files:
        raise BadArgument(
            "target: output=apply needs a file to write. Name it as `target`, or files in `context_files`."
        )
    test_files = frozenset[Place]()
    if given is not None and given.root is not None:
        test_files = frozenset((given.root, Path(file.partition("::")[0])) for file in given.files)
    return PlannedChanges(
        await snapshot_workspace(target, files, services.roots, Protection(services.rules.apply_allow), test_files)
    )


async def _wait(delegation: Delegation, report: Report, wait_s: float) -> Receipt:
    try:
        with anyio.move_on_after(wait_s):
            named = replace(delegation.stage, task_id=delegation.task_id)
            while not delegation.done.is_set():
                changed = delegation.changed
                await report(named or delegation.stage)
                named = None
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
