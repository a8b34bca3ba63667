"""Removes tasks: prunes old ones, forgets selected ones.

In both cases costs are kept, so budgets and usage reports do not change. Pruned tasks are also kept in
aggregates, so models keep their track record. A row with the task's id remains, so that importing an older
file does not count it twice or restore it.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import anyio
import anyio.to_thread

from ..ledger import Ledger
from ..migration import backups_of
from ..track_record import add_to_aggregates
from .exporting import Progress

_BATCH = 250
_SECONDS_PER_DAY = 86_400
_CHECKPOINT_TRIES = 5
_CHECKPOINT_PAUSE_S = 0.1
_WORTH_SHRINKING = 0.1
"""Minimum fraction of tasks removed."""


@dataclass(frozen=True)
class Prunable:
    """The tasks to prune: those before a position in the order of (begun_at, id)."""

    begun_before: float
    """Seconds since 1970 UTC."""
    id_before: str
    """Of tasks begun at exactly `begun_before`, those with a lower id."""
    not_running_since: float
    """Running tasks are pruned only if begun before this, since their process must have died."""


@dataclass(frozen=True)
class Selection:
    """The tasks to forget; set exactly one field."""

    task_ids: Sequence[str] = ()
    project: str | None = None
    everything: bool = False


@dataclass(frozen=True)
class Forgotten:
    tasks: int
    backups: tuple[str, ...]
    """Names of the removed backups, which contained them."""
    is_scrubbed: bool
    """False: traces remain in the write-ahead log until another process's reader finishes."""


async def find_prunable(ledger: Ledger, *, older_than_days: float | None, keep: int | None) -> Prunable | None:
    """The tasks to prune; None: none. With both limits: those older and not among the newest `keep`."""
    now = ledger.clock().timestamp()
    end = (float("inf"), "") if older_than_days is None else (now - older_than_days * _SECONDS_PER_DAY, "")
    if keep is not None and keep > 0:
        first_kept = await ledger.rows(
            "SELECT begun_at, id FROM remembered_tasks ORDER BY begun_at DESC, id DESC LIMIT 1 OFFSET ?", (keep - 1,)
        )
        if not first_kept:
            return None
        end = min(end, (first_kept[0][0], first_kept[0][1]))
    return Prunable(*end, not_running_since=now - _SECONDS_PER_DAY)


async def count_prunable(ledger: Ledger, prunable: Prunable) -> int:
    """The number of tasks that `prune` would remove now. Raises LedgerError."""
    return (await ledger.rows(f"SELECT COUNT(*) {_PRUNABLE}", _arguments(prunable)))[0][0]


async def prune(ledger: Ledger, prunable: Prunable, progress: Progress | None = None) -> int:
    """Add the tasks to the aggregates, delete their content, and return their number.

    It works in transactions per batch, so after a kill each task is either pruned and counted once, or untouched.
    """
    total, done = await count_prunable(ledger, prunable), 0
    last: tuple[float, str] = (-1.0, "")

    def prune_some(db: sqlite3.Connection) -> int:
        # Continue after the last batch, so that pruned rows are not scanned again each time.
        nonlocal last
        query = f"SELECT begun_at, id {_PRUNABLE} AND (begun_at, id) > (:at, :id) ORDER BY begun_at, id LIMIT {_BATCH}"
        some = db.execute(query, {**_arguments(prunable), "at": last[0], "id": last[1]}).fetchall()
        ids = [task_id for _, task_id in some]
        add_to_aggregates(db, ids)
        _delete_content(db, ids, "pruned")
        last = some[-1] if some else last
        return len(ids)

    while some := await ledger.write(prune_some):
        done += some
        if progress is not None:
            progress(done, max(done, total))
    await ledger.write(
        lambda db: (
            db.execute("DELETE FROM decisions WHERE task_id IS NULL AND made_at < ?", (prunable.begun_before,)).rowcount
        )
    )
    return done


async def find_forgettable(ledger: Ledger, selection: Selection) -> tuple[str, ...]:
    """The ids of the selected tasks that are not forgotten yet."""
    if selection.everything:
        condition, arguments = "TRUE", ()
    elif selection.project is not None:
        condition, arguments = "project = ?", (selection.project,)
    else:
        condition, arguments = "id IN (SELECT value FROM json_each(?))", (json.dumps(list(selection.task_ids)),)
    query = f"SELECT id FROM tasks WHERE text_form <> 'forgotten' AND {condition} ORDER BY begun_at, id"  # noqa: S608 - one of the above
    return tuple(task_id for (task_id,) in await ledger.rows(query, arguments))


async def forget(ledger: Ledger, selection: Selection, progress: Progress | None = None) -> Forgotten:
    """Delete and overwrite everything but the tasks' costs, and remove backups.

    Selecting everything also deletes aggregates and decisions without a task.
    """
    ids = await find_forgettable(ledger, selection)
    for start in range(0, len(ids), _BATCH):
        batch = ids[start : start + _BATCH]
        await ledger.write(lambda db, batch=batch: _delete_content(db, batch, "forgotten"))
        if progress is not None:
            progress(start + len(batch), len(ids))
    if selection.everything:
        await ledger.write(_forget_the_rest)
    removed: list[str] = []
    if ids or selection.everything:
        for backup in await anyio.to_thread.run_sync(backups_of, ledger.path):
            await anyio.to_thread.run_sync(backup.unlink)
            removed.append(backup.name)
    return Forgotten(len(ids), tuple(removed), await _empty_log(ledger))


async def shrink(ledger: Ledger, *, went: int) -> bool:
    """Return freed space to the file system; False when it is not worth the work.

    went: number of tasks just pruned or forgotten. Blocks other writers, for seconds if the ledger is large.
    Raises LedgerUnusable when there is no space for the temporary copy, or another process holds the file.
    """
    ((tasks,),) = await ledger.rows("SELECT COUNT(*) FROM tasks")
    if went < _WORTH_SHRINKING * tasks or not went:
        return False
    await ledger.rows("VACUUM")
    await _empty_log(ledger)
    return True


async def _empty_log(ledger: Ledger) -> bool:
    for _ in range(_CHECKPOINT_TRIES):
        if await ledger.empty_log():
            return True
        await anyio.sleep(_CHECKPOINT_PAUSE_S)
    return False


_PRUNABLE = (
    "FROM remembered_tasks WHERE (begun_at, id) < (:begun_before, :id_before)"
    " AND (status <> 'running' OR begun_at < :not_running_since)"
)


def _arguments(prunable: Prunable) -> dict[str, object]:
    return vars(prunable)


def _delete_content(db: sqlite3.Connection, task_ids: Sequence[str], form: Literal["pruned", "forgotten"]) -> None:
    chosen = (json.dumps(list(task_ids)),)
    for table in ("embeddings", "checks", "decisions", "imported_outcomes"):
        db.execute(f"DELETE FROM {table} WHERE task_id IN (SELECT value FROM json_each(?))", chosen)  # noqa: S608 - one of these
    db.execute("UPDATE outcomes SET note = NULL WHERE task_id IN (SELECT value FROM json_each(?))", chosen)
    rest = ", task_type = 'other', complexity = 1, model = NULL" if form == "forgotten" else ""
    db.execute(
        "UPDATE tasks SET text = '', tests = NULL, receipt = NULL, project = NULL, verified_by = '[]',"  # noqa: S608 - the two above
        f" text_form = '{form}'{rest}"
        " WHERE id IN (SELECT value FROM json_each(?))",
        chosen,
    )


def _forget_the_rest(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM aggregates")
    db.execute("DELETE FROM decisions WHERE task_id IS NULL")
