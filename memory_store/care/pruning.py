"""Lets go of tasks: prunes what is old, forgets what shall never have been.

Either way the money stays, without the text it was spent on: no budget and no usage report changes. Of
what is pruned the aggregates stay too, so models keep their track record. What is left of a task is a
row with its id, so that an import of an older file does not count it twice or bring it back.
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
"""This part of all tasks."""


@dataclass(frozen=True)
class Prunable:
    """Which tasks go: those that began before a place in the order of tasks."""

    begun_before: float
    """Seconds since 1970 UTC."""
    id_before: str
    """Of tasks that began at that very moment, those with a lower id."""
    not_running_since: float
    """Tasks under way go only when they began before this: their server died."""


@dataclass(frozen=True)
class Selection:
    """Which tasks are to be forgotten: exactly one of these."""

    task_ids: Sequence[str] = ()
    project: str | None = None
    everything: bool = False


@dataclass(frozen=True)
class Forgotten:
    tasks: int
    backups: tuple[str, ...]
    """Names of the backups that held them, and were removed."""
    is_scrubbed: bool
    """False: a reader in another process keeps the write-ahead log, where traces stay until it is done."""


async def find_prunable(ledger: Ledger, *, older_than_days: float | None, keep: int | None) -> Prunable | None:
    """What a prune would take; None: nothing. With both, what is older and not among the newest `keep`."""
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
    """How many tasks `prune` would let go of now. Raises LedgerError."""
    return (await ledger.rows(f"SELECT COUNT(*) {_PRUNABLE}", _arguments(prunable)))[0][0]


async def prune(ledger: Ledger, prunable: Prunable, progress: Progress | None = None) -> int:
    """Count the tasks into the aggregates and let their content go; gives how many.

    Batch by batch: killed in between, what is done is done and counted once.
    """
    total, done = await count_prunable(ledger, prunable), 0
    last: tuple[float, str] = (-1.0, "")

    def prune_some(db: sqlite3.Connection) -> int:
        # From where the last batch ended: what was pruned stands before it, and would be gone through each time.
        nonlocal last
        query = f"SELECT begun_at, id {_PRUNABLE} AND (begun_at, id) > (:at, :id) ORDER BY begun_at, id LIMIT {_BATCH}"
        some = db.execute(query, {**_arguments(prunable), "at": last[0], "id": last[1]}).fetchall()
        ids = [task_id for _, task_id in some]
        add_to_aggregates(db, ids)
        _empty(db, ids, "pruned")
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
    """The ids of the tasks that the selection is about and that are not forgotten yet."""
    if selection.everything:
        condition, arguments = "TRUE", ()
    elif selection.project is not None:
        condition, arguments = "project = ?", (selection.project,)
    else:
        condition, arguments = "id IN (SELECT value FROM json_each(?))", (json.dumps(list(selection.task_ids)),)
    query = f"SELECT id FROM tasks WHERE text_form <> 'forgotten' AND {condition} ORDER BY begun_at, id"  # noqa: S608 - one of the above
    return tuple(task_id for (task_id,) in await ledger.rows(query, arguments))


async def forget(ledger: Ledger, selection: Selection, progress: Progress | None = None) -> Forgotten:
    """Remove all that was kept of the tasks but their money, from the backups too, and overwrite where it stood.

    Everything: aggregates and decisions without a task as well.
    """
    ids = await find_forgettable(ledger, selection)
    for start in range(0, len(ids), _BATCH):
        batch = ids[start : start + _BATCH]
        await ledger.write(lambda db, batch=batch: _empty(db, batch, "forgotten"))
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
    """Give the disk back what went; False when that is not worth the work.

    went: how many tasks were pruned or forgotten just now. Nobody else can write meanwhile, for seconds
    when the ledger is large. Raises LedgerUnusable when there is no room for the copy that it takes, or
    another process holds the file.
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


def _empty(db: sqlite3.Connection, task_ids: Sequence[str], form: Literal["pruned", "forgotten"]) -> None:
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
