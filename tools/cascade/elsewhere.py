"""Delegations of other processes: awaited, cancelled, or closed if abandoned, through the ledger."""

from typing import cast

import anyio
import anyio.to_thread

from ...memory_store.under_way import AttemptRow, TaskState, attempts_of, close_task, read_state, request_cancellation
from ..editing.journal import Journals, JournalUnusable
from ..editing.undo import recover
from ..editing.writing import UNDONE
from ..errors import OF_ANOTHER_PROJECT, CallerError, unknown_task
from ..services import Services
from ..vocabulary import AttemptOutcome
from .receipt import AttemptReceipt, Receipt, Status
from .stage import LEAST_LEFT_S, UNKNOWN_S, Stage
from .waiting import REPORT_EVERY_S, Report, still_running

LOOK_EVERY_S = 0.25

INTERRUPTED = (
    "interrupted: its server ended, or could not record the result (a full disk, say);"
    " an open request counts at its highest possible cost."
)


async def wait_elsewhere(services: Services, task_id: str, report: Report, wait_s: float, *, cancel: bool) -> Receipt:
    """The receipt that the owner writes, or one with status `running` after `wait_s` seconds.

    cancel: first ask the owner to cancel the task. A task whose process has died is closed here.
    Raises CallerError for a task that runs on another machine, UnknownTask or a LedgerError.
    """
    now = await _current_state(services, task_id)
    if now.status == "running" and now.elsewhere:
        raise CallerError(
            f"resume: task {task_id} was imported while it ran on another machine. Resume or cancel it there, or import"
            " that machine's memory again once it has ended."
        )
    if cancel and now.status == "running":
        await request_cancellation(services.ledger, task_id, services.now)
    with anyio.move_on_after(wait_s):
        reported, reported_at = None, 0.0
        while now.status == "running":
            if reported != now.stage or anyio.current_time() - reported_at >= REPORT_EVERY_S:
                reported, reported_at = now.stage, anyio.current_time()
                await report(Stage.from_json(now.stage))
            await anyio.sleep(LOOK_EVERY_S)
            now = await _current_state(services, task_id)
    if now.status == "running":
        left = UNKNOWN_S if now.expected_end is None else now.expected_end - services.now
        return still_running(task_id, Stage.from_json(now.stage), max(LEAST_LEFT_S, left))
    return await receipt_of(services, task_id)


async def receipt_of(services: Services, task_id: str) -> Receipt:
    """The receipt of a finished delegation, from the ledger; only its figures if it belongs to another project.

    Raises UnknownTask or a LedgerError.
    """
    row = await services.ledger.task(task_id)
    if row is None or row.kind != "delegation":
        raise unknown_task(task_id)
    if row.receipt is not None:
        receipt = Receipt.model_validate_json(row.receipt)
        return receipt if services.shows(row) else _figures_of(receipt)
    attempts = await attempts_of(services.ledger, task_id)
    return Receipt(
        task_id=task_id,
        status=cast(Status, row.status),
        attempts=[_as_receipt(attempt) for attempt in attempts],
        cost_usd=round(sum(attempt.cost_usd for attempt in attempts), 6),
        notes=[
            INTERRUPTED,
            *(await anyio.to_thread.run_sync(_file_notes, services.journals, task_id) if services.shows(row) else ()),
        ],
    )


def _figures_of(receipt: Receipt) -> Receipt:
    attempts = [attempt.model_copy(update={"checks": []}) for attempt in receipt.attempts]
    hidden = {"code": None, "files_changed": [], "attempts": attempts, "notes": [OF_ANOTHER_PROJECT]}
    return receipt.model_copy(update=hidden)


def _file_notes(journals: Journals, task_id: str) -> list[str]:
    """Notes on the files that an interrupted task had begun to write."""
    try:
        journal = journals.find(task_id)
    except JournalUnusable as error:
        return [str(error)]
    if journal is None:
        return []
    written = [entry.path for entry in journal.plan.files]
    if journal.has(UNDONE):
        left = journal.files_at(UNDONE)
        restored = [path for path in written if path not in left]
        notes = [f"Files are as they were before: {', '.join(restored)}."] if restored else []
        return [*notes, f"Changed by somebody else meanwhile, and left alone: {', '.join(left)}."] if left else notes
    files = ", ".join(written)
    return [f"Files may be half written: {files}. `chargehand undo {task_id}` restores them."]


async def _current_state(services: Services, task_id: str) -> TaskState:
    """The state of the task; an abandoned one is closed first. Raises UnknownTask."""
    found = await read_state(services.ledger, task_id)
    if found is not None and found.status == "running" and await _is_abandoned(services, found.owner):
        await close_task(services.ledger, task_id, services.now)
        await recover(services.ledger, services.journals, services.now)
        found = await read_state(services.ledger, task_id)
    if found is None or found.kind != "delegation":
        raise unknown_task(task_id)
    return found


async def _is_abandoned(services: Services, owner: str | None) -> bool:
    # `Delegations` holds this process's running tasks: one of its own that gets here has ended or is abandoned.
    return owner is not None and (owner == services.owner.id or not await services.owner.is_alive(owner))


def _as_receipt(attempt: AttemptRow) -> AttemptReceipt:
    return AttemptReceipt(
        model=attempt.model,
        outcome=cast(AttemptOutcome, attempt.outcome or "cancelled"),
        thinking=bool(attempt.thinking),
        checks=[],
        input_tokens=attempt.input_tokens,
        output_tokens=attempt.output_tokens,
        cost_usd=round(attempt.cost_usd, 6),
        seconds=round(attempt.seconds or 0.0, 2),
    )
