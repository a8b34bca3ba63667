"""Exports the memory to a JSON lines file, for another machine or as a backup.

The file is replaced atomically. It is a snapshot: concurrent writes by other processes are not included.
"""

import base64
import contextlib
import io
import json
import os
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import anyio.to_thread

from ...profiles.durable_files import atomic_write
from ..ledger import Ledger
from ..ledger_file import connect, with_ledger_errors
from ..text_form import FORMS_BY_DETAIL, TextForm, stored_text
from .portable import (
    ATTEMPT_COLUMNS,
    CHECK_COLUMNS,
    DECISION_COLUMNS,
    FORMAT,
    IMPORTED_COLUMNS,
    OUTCOME_COLUMNS,
    TASK_COLUMNS,
    VERSION,
)

Progress = Callable[[int, int], None]
"""Called with the amount done and the total, possibly from another thread."""

_BATCH = 500


async def export_memory(
    ledger: Ledger,
    target: Path | TextIO,
    *,
    with_vectors: bool = False,
    text_form: TextForm = "full",
    progress: Progress | None = None,
) -> int:
    """Write all remembered tasks, oldest first, and return their number.

    target: a file, created or replaced, readable by its owner only; a link to one; a pipe or device, which is
    written to directly; or an open text stream.
    with_vectors: include all vectors; False: only those of tasks without their full text, since these cannot
    be recomputed. text_form: the most text to include; less than full also omits receipts, tests, notes and
    check failures. Raises LedgerUnusable, or OSError for the target.
    """

    def write() -> int:
        with _whole(target) as out, contextlib.closing(connect(ledger.path)) as db:
            return with_ledger_errors(lambda db: _export(db, out, with_vectors, text_form, progress), db, ledger.path)

    return await anyio.to_thread.run_sync(write)


def _export(db: sqlite3.Connection, out: TextIO, vectors: bool, form: TextForm, progress: Progress | None) -> int:
    db.execute("BEGIN")  # one snapshot for all reads
    total: int = db.execute("SELECT COUNT(*) FROM remembered_tasks").fetchone()[0]
    _write_line(out, {"format": FORMAT, "version": VERSION, "tasks": total})
    done = 0
    for batch in _batches(db):
        for task in _with_belongings(db, batch, vectors):
            _write_line(out, _in_form(task, form))
        done += len(batch)
        if progress is not None:
            progress(done, total)
    return done


def _batches(db: sqlite3.Connection) -> Iterator[Sequence[dict[str, Any]]]:
    # Any: a row's values, as SQLite returns them.
    last: tuple[float, str] = (-1.0, "")
    query = f"SELECT {', '.join(TASK_COLUMNS)} FROM remembered_tasks WHERE (begun_at, id) > (?, ?) ORDER BY begun_at, id LIMIT ?"  # noqa: S608, E501 - our own column names
    while rows := db.execute(query, (*last, _BATCH)).fetchall():
        batch = [dict(zip(TASK_COLUMNS, row, strict=True)) for row in rows]
        last = (batch[-1]["begun_at"], batch[-1]["id"])
        yield batch


def _with_belongings(
    db: sqlite3.Connection, batch: Sequence[dict[str, Any]], vectors: bool
) -> Iterator[dict[str, Any]]:
    ids = json.dumps([task["id"] for task in batch])
    decisions = _by_task(db, "decisions", DECISION_COLUMNS, "made_at, id", ids)
    attempts = _by_task(db, "attempts", ("id", *ATTEMPT_COLUMNS), "id", ids)
    checks = _by_task(db, "checks", ("attempt_id", *CHECK_COLUMNS), "id", ids)
    outcomes = _by_task(db, "outcomes", OUTCOME_COLUMNS, "recorded_at, outcome", ids)
    imported = _by_task(db, "imported_outcomes", IMPORTED_COLUMNS, "model", ids)
    embeddings = _by_task(db, "embeddings", ("embedder", "vector"), "embedder", ids)
    for task in batch:
        task_id = task["id"]
        places = {attempt.pop("id"): place for place, attempt in enumerate(attempts[task_id])}
        keeps_vectors = vectors or task["text_form"] != "full"
        yield {
            **task,
            "local_only": bool(task["local_only"]),
            "verified_by": json.loads(task["verified_by"]),
            "decisions": decisions[task_id],
            "attempts": [{**attempt, "thinking": bool(attempt["thinking"])} for attempt in attempts[task_id]],
            "checks": [
                {
                    "attempt": places.get(check.pop("attempt_id")),
                    **check,
                    "executed": bool(check["executed"]),
                }
                for check in checks[task_id]
            ],
            "outcomes": outcomes[task_id],
            "imported_outcomes": imported[task_id],
            "embeddings": [
                {**row, "vector": base64.b64encode(row["vector"]).decode()}
                for row in (embeddings[task_id] if keeps_vectors else ())
            ],
        }


def _by_task(
    db: sqlite3.Connection, table: str, columns: Sequence[str], order: str, ids: str
) -> defaultdict[str, list[dict[str, Any]]]:
    query = (
        f"SELECT task_id, {', '.join(columns)} FROM {table}"  # noqa: S608 - our own names
        f" WHERE task_id IN (SELECT value FROM json_each(?)) ORDER BY {order}"
    )
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for task_id, *row in db.execute(query, (ids,)):
        found[task_id].append(dict(zip(columns, row, strict=True)))
    return found


def _in_form(task: dict[str, Any], form: TextForm) -> dict[str, Any]:
    if form == "full":
        return task
    if FORMS_BY_DETAIL.index(form) < FORMS_BY_DETAIL.index(task["text_form"]):
        task = {**task, "text": stored_text(task["text"], form), "text_form": form}
    return {
        **task,
        "receipt": None,
        "tests": None,
        "checks": [{**check, "first_failure": None} for check in task["checks"]],
        "outcomes": [{**outcome, "note": None} for outcome in task["outcomes"]],
    }


def _write_line(out: TextIO, value: dict[str, Any]) -> None:
    out.write(json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False))
    out.write("\n")


@contextlib.contextmanager
def _whole(target: Path | TextIO) -> Generator[TextIO]:
    """A stream whose file is created or replaced only after everything is written.

    A pipe or device is written to directly.
    """
    if not isinstance(target, Path):
        yield target
        return
    if target.exists() and not target.is_file():
        with target.open("w", encoding="utf-8", newline="\n") as out:
            yield out
        return
    target = Path(os.path.realpath(target))  # keeps a symbolic link
    with atomic_write(target) as file:
        out = io.TextIOWrapper(file, encoding="utf-8", newline="\n")
        yield out
        out.detach()
