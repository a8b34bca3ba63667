"""Infers the outcome of a task from later changes to the files it wrote, and records it in memory.

Only two cases are clear: all files have their old content again (rejected), or lines that the task wrote are gone
while others remain (edited). Unchanged files say nothing yet. Files that git may have changed (by switching branches,
a stash, a reset or a commit) and projects whose folder is missing are ignored.
"""

from pathlib import Path

import anyio.to_thread

from ...memory_store.records import Outcome
from ..services import Services
from .file_form import text_in
from .git_activity import has_git_activity
from .journal import Journal, Journals, digest
from .undo import now_at
from .writing import UNDOING, UNDONE

JUDGED = "judged"
"""Mark of a journal that needs no further inspection."""

_NEWEST = 20
"""How many of the newest tasks are examined."""


async def note_later_edits(services: Services) -> None:
    """Record the inferred outcomes of earlier tasks that have no reported outcome. Raises LedgerError."""
    for journal, outcome in await anyio.to_thread.run_sync(_look, services.journals):
        row = await services.ledger.task(journal.plan.task_id)
        if row is not None and row.finished_at is None:
            continue
        if row is not None and not row.outcomes:
            await services.ledger.record_outcome(row.id, outcome, "seen in the files")
        await anyio.to_thread.run_sync(journal.put, JUDGED)


def _look(journals: Journals) -> list[tuple[Journal, Outcome]]:
    """Outcomes that have become clear since the last look."""
    found: list[tuple[Journal, Outcome]] = []
    touched_later: set[tuple[str, str]] = set()
    for journal in reversed(journals.all()[-_NEWEST:]):
        places = {(entry.root, entry.relative) for entry in journal.plan.files}
        is_settled = any(map(journal.has, (UNDOING, UNDONE, JUDGED)))
        # A later task's writes to the same file are not a verdict on this one.
        if not is_settled and not places & touched_later and (outcome := inferred_outcome(journal)) is not None:
            found.append((journal, outcome))
        if not journal.has(UNDONE):
            touched_later |= places
    return found


def inferred_outcome(journal: Journal) -> Outcome | None:
    """The outcome of a task, inferred from its files. None: not clear."""
    if journal.missing_root() is not None:
        return None
    if any(has_git_activity(Path(root), journal.begun_s) for root in {entry.root for entry in journal.plan.files}):
        return None
    now = [now_at(entry) for entry in journal.plan.files]
    entries = list(zip(journal.plan.files, now, strict=True))
    if all(digest(data) == entry.before for entry, data in entries):
        return "rejected"
    if any(data is None for data in now):
        return None
    is_edited = any(
        digest(data) != entry.after and not _written_lines(journal, number) <= _lines(data)
        for number, (entry, data) in enumerate(entries)
    )
    return "edited" if is_edited else None


def _written_lines(journal: Journal, number: int) -> set[str]:
    """The lines that the task added to a file."""
    return _lines(journal.after(number)) - _lines(journal.before(number))


def _lines(data: bytes | None) -> set[str]:
    """The nonblank lines of a file, stripped."""
    text = None if data is None else text_in(data)
    return {line.strip() for line in (text or "").split("\n")} - {""}
