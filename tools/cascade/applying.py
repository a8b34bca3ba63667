"""Delivers the result of a delegation: inline, or written to the files if contract and status allow it."""

from collections.abc import Callable
from dataclasses import dataclass

import anyio.to_thread

from ..asking.request import Requester
from ..checking.answer_checks import AnswerChecks
from ..checking.change_checks import ChangeChecks
from ..editing.change import Change
from ..editing.writing import NotApplied, apply_change
from ..services import Services
from .attempt import Attempt, Check
from .contract import Contract
from .receipt import FileChange, Status


@dataclass(frozen=True)
class Applied:
    """A result as it was delivered."""

    status: Status
    """`failed` if writing the files failed."""
    code: str | None
    """The result for the receipt; a diff if it changes existing files. None: the files contain it, or there is none."""
    files: tuple[FileChange, ...] = ()
    """The files that were written."""
    notes: tuple[str, ...] = ()


def checks_of(contract: Contract, services: Services, *, began: Callable[[], None]) -> Check:
    """The check of each answer under a contract. began: called before anything is executed."""
    project = next(iter(services.roots.folders), None)
    if contract.changes is None:
        return AnswerChecks(
            contract.tests, services.executor, began=began, commands=contract.commands, project=project
        ).run
    return ChangeChecks(contract.changes, services.executor, contract.tests, contract.commands, project, began).run


async def apply_result(status: Status, best: Attempt | None, requester: Requester, contract: Contract) -> Applied:
    """Deliver the best answer; writes it to the files if the contract asks for that and the status allows it."""
    if best is None or best.answer is None:
        return Applied(status, None)
    if contract.changes is None:
        return Applied(status, best.answer.code)
    change = await contract.changes.by(best.answer)
    code = best.answer.code if change.failures else change.as_text()
    if not contract.applies or status not in ("succeeded", "unverified"):
        return Applied(status, code, notes=change.notes)
    if status == "unverified" and contract.asks_for_a_check:
        why = "Not written: the requested check proved nothing. Review the code and apply it yourself."
        return Applied(status, code, notes=(*change.notes, why))
    if not change.files:
        return Applied(status, None, notes=(*change.notes, "The files already contain this: nothing was written."))
    try:
        await anyio.to_thread.run_sync(_write, change, requester)
    except NotApplied as error:
        return Applied("failed", code, notes=(*change.notes, str(error)))
    return Applied(status, None, _receipts(change), change.notes)


def _write(change: Change, requester: Requester) -> None:
    apply_change(change, requester.task_id, requester.services.journals, requester.services.now)


def _receipts(change: Change) -> tuple[FileChange, ...]:
    counts = ((file.path, file.lines) for file in change.files)
    return tuple(FileChange(path=path, added=lines.added, removed=lines.removed) for path, lines in counts)
