"""What became of files that a task wrote, as far as the files themselves say; the memory hears of it.

Only two things are clear: all files are as before the task again (the work was rejected), or lines that
it wrote are gone while the rest stands (it was edited). Files that were kept say nothing yet.
"""

import anyio.to_thread

from ..memory_store.records import Outcome
from .editing.file_form import NotText, read_text
from .editing.journal import Journal, Journals, digest
from .editing.writing import UNDOING, UNDONE
from .undo import now_at
from .workshop import Workshop

JUDGED = "judged"
"""Mark of a journal whose task needs no further look."""

_NEWEST = 20
"""How many tasks are looked at; older ones have had their chance."""


async def note_later_edits(shop: Workshop) -> None:
    """Record what the files of earlier tasks say, unless the user has said something. Raises LedgerError."""
    for task_id, outcome in (await anyio.to_thread.run_sync(_look, shop.journals)).items():
        row = await shop.ledger.task(task_id)
        if row is not None and row.finished_at is not None and not row.outcomes:
            await shop.ledger.record_outcome(task_id, outcome, "seen in the files")


def _look(journals: Journals) -> dict[str, Outcome]:
    """What is clear now and was not before, by task id."""
    found: dict[str, Outcome] = {}
    touched_later: set[tuple[str, str]] = set()
    for journal in reversed(journals.all()[-_NEWEST:]):
        places = {(entry.root, entry.relative) for entry in journal.plan.files}
        is_settled = any(map(journal.has, (UNDOING, UNDONE, JUDGED)))
        # What another task wrote there since is no judgement on this one.
        if not is_settled and not places & touched_later and (outcome := became_of(journal)) is not None:
            journal.put(JUDGED)
            found[journal.plan.task_id] = outcome
        if not journal.has(UNDONE):
            touched_later |= places
    return found


def became_of(journal: Journal) -> Outcome | None:
    """What the files say of the task that wrote them. None: nothing clear."""
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
    """The lines that the task brought into a file."""
    return _lines(journal.after(number)) - _lines(journal.before(number))


def _lines(data: bytes | None) -> set[str]:
    """What stands in a file, line by line, without blanks around."""
    try:
        text = "" if data is None else read_text(data).text
    except NotText:
        text = ""
    return {line.strip() for line in text.split("\n")} - {""}
