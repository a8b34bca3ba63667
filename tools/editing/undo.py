"""Undoes the writes of a task, on the user's request or because its server died while writing."""

import logging
import shutil
from pathlib import Path, PurePath

import anyio.to_thread
from pydantic import BaseModel

from ...memory_store.ledger import Ledger
from ...memory_store.under_way import read_state
from ..errors import BadArgument, CallerError
from ..guarding.text import visible
from ..services import Services
from .file_form import text_in
from .folder import folder_below
from .journal import KEPT_DAYS, Entry, Journal, Journals, digest
from .line_diff import unified_diff
from .writing import UNDOING, UNDONE, roll_back

logger = logging.getLogger(__name__)

DIFF_CHARACTERS_AT_MOST = 20_000

_DELIVERED = ("succeeded", "unverified")
_SECONDS_A_DAY = 86_400


class ChangedSince(CallerError):
    """A file has changed since the task wrote it; undoing the task would lose that change."""


class UndoAnswer(BaseModel):
    task_id: str
    restored: list[str]
    """Files restored to their content before the task."""
    removed: list[str]
    """Files that the task had created."""

    def as_text(self) -> str:
        did = [f"restored {path}" for path in self.restored] + [f"removed {path}" for path in self.removed]
        return f"Task {self.task_id} was undone: {', '.join(did) or 'everything was already as before'}."


async def undo_task(services: Services, task_id: str) -> UndoAnswer:
    """Undo the writes of a task, all or none, and record the task as rejected.

    Raises BadArgument for a task that wrote nothing or is still running, ChangedSince with a diff, or LedgerError.
    """
    row = await read_state(services.ledger, task_id)
    if row is not None and row.status == "running":
        raise BadArgument(f"undo: task {task_id} is still running. Wait for it, or cancel it.")
    answer = await anyio.to_thread.run_sync(_undo, services.journals, task_id)
    await services.ledger.record_outcome(task_id, "rejected", "undone")
    return answer


async def recover(ledger: Ledger, journals: Journals, now: float) -> None:
    """Roll back the unfinished writes of servers that died, and complete interrupted undos.

    Recovered tasks are logged and reported in `journals.notices`. Expired journals are deleted. now: seconds since 1970
    UTC.
    """

    async def status_of(task_id: str) -> str | None:
        row = await read_state(ledger, task_id)
        return None if row is None else row.status

    for task_id, folder in await anyio.to_thread.run_sync(journals.unfinished):
        if await status_of(task_id) != "running":
            await anyio.to_thread.run_sync(shutil.rmtree, folder, True)
    for journal in await anyio.to_thread.run_sync(journals.all):
        task_id, plan = journal.plan.task_id, journal.plan
        status = await status_of(task_id)
        if journal.has(UNDOING) or status not in (None, "running", *_DELIVERED):
            await anyio.to_thread.run_sync(_put_right, journals, journal)
        if status != "running" and plan.at < now - KEPT_DAYS * _SECONDS_A_DAY:
            await anyio.to_thread.run_sync(journal.drop)


def _undo(journals: Journals, task_id: str) -> UndoAnswer:
    with journals.locked():
        journal = journals.find(task_id)
        if journal is None:
            raise BadArgument(
                f"undo: task {visible(task_id)[:64]} wrote no files that are still remembered ({KEPT_DAYS} days). Use"
                " the task_id of a receipt that lists files_changed."
            )
        if journal.has(UNDONE):
            raise BadArgument(f"undo: task {task_id} was already undone.")
        if (root := journal.missing_root()) is not None:
            raise CallerError(
                f"undo: the project folder {root} is missing or empty. Mount it or move it back, then call again."
            )
        problems = [problem for number in range(len(journal.plan.files)) if (problem := _since(journal, number))]
        if problems:
            raise ChangedSince(
                f"undo: nothing was undone, because files have changed since task {task_id} wrote them. Undo those"
                f" changes first, or edit by hand.\n{_shortened(chr(10).join(problems))}"
            )
        journal.put(UNDOING)
        journals.at_step("undo")
        try:
            taken = roll_back(journal)
        except OSError as error:
            raise CallerError(
                f"undo: {error.filename or journal.folder} cannot be written ({error.strerror}). Fix that and call"
                " again to undo the rest."
            ) from error
        if taken.left:
            raise ChangedSince(
                f"undo: {', '.join(taken.left)} changed during the undo and was left alone; everything else is as"
                " before the task. Call again once it is as the task wrote it."
            )
        journals.at_step("undone")
        journal.put(UNDONE)
    made = {entry.path for entry in journal.plan.files if entry.before is None}
    return UndoAnswer(
        task_id=task_id,
        restored=[path for path in taken.restored if path not in made],
        removed=[path for path in taken.restored if path in made],
    )


def _put_right(journals: Journals, journal: Journal) -> None:
    plan = journal.plan
    try:
        with journals.locked():
            if journal.has(UNDONE):
                return  # another server has done it
            taken = roll_back(journal)
            journal.put(UNDONE, taken.left)
    except OSError as error:
        logger.warning("task %s was half written and cannot be undone: %s", plan.task_id, error)
        why = f"{error.filename or journal.folder}: {error.strerror or error}"
        journals.notices.append(
            f"Task {plan.task_id} was interrupted while writing, and could not be undone ({why}). Fix that and run"
            f" `chargehand undo {plan.task_id}`, or start a server again."
        )
        return
    said = f"Task {plan.task_id} was interrupted while writing files"
    if taken.restored:
        said += f" and was undone: {', '.join(taken.restored)} restored."
    elif not taken.left:
        said += " and was undone; nothing had been written yet."
    else:
        said += "."
    if taken.left:
        said += f" Changed by somebody else meanwhile, and left alone: {', '.join(taken.left)}."
    logger.warning("%s", said)
    journals.notices.append(said)


def _since(journal: Journal, number: int) -> str | None:
    """The diff from a file as the task wrote it to its current state. None: it is as written, or as before the task."""
    entry = journal.plan.files[number]
    data = now_at(entry)
    if digest(data) in (entry.after, entry.before):
        return None
    if data is None:
        return f"{entry.path} is gone, or is no longer a file."
    written, found = text_in(journal.after(number)), text_in(data)
    if written is None or found is None:
        return f"{entry.path} has changed, and is not text."
    diff = unified_diff(written, found, f"{entry.path} as written", f"{entry.path} as it is")
    return visible(diff).rstrip("\n") or f"{entry.path} differs in bytes that do not show."


def now_at(entry: Entry) -> bytes | None:
    """The current content of an entry's file. None: it does not exist."""
    try:
        with folder_below(Path(entry.root), PurePath(entry.relative).parent) as folder:
            found = folder.look(PurePath(entry.relative).name)
    except OSError:  # its folder is gone or has been replaced by a link, so this is not the written file
        return None
    return None if found is None else found.data


def _shortened(diff: str) -> str:
    if len(diff) <= DIFF_CHARACTERS_AT_MOST:
        return diff
    return f"{diff[:DIFF_CHARACTERS_AT_MOST]}\n[... {len(diff) - DIFF_CHARACTERS_AT_MOST:,} characters more]"
