"""Writes an imported task into the ledger, or merges it with an existing one.

Of two versions of a row the more complete one wins, with a deterministic tie-break. So imports are idempotent
and their order does not matter. Attempts and checks have no ids of their own; they are matched by position.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ..text_form import EMPTIED_FORMS, FORMS_BY_DETAIL, TextForm, stored_text
from .portable import (
    ATTEMPT_COLUMNS,
    CHECK_COLUMNS,
    DECISION_COLUMNS,
    IMPORTED_COLUMNS,
    OUTCOME_COLUMNS,
    TASK_COLUMNS,
    PortableTask,
)

Merge = Literal["added", "merged", "unchanged", "pruned", "forgotten"]
"""The result for a task; for tasks pruned or forgotten here nothing was written."""

Row = Mapping[str, Any]
"""SQLite values by column, hence Any."""


def merge_task(
    db: sqlite3.Connection, task: PortableTask, blobs: Mapping[str, bytes], form: TextForm, *, restore: bool = False
) -> Merge:
    """Write one task.

    blobs: additional vectors by embedder. form: the text form of this ledger. restore: write it even if it
    was forgotten here.
    """
    known = db.execute(f"SELECT {', '.join(TASK_COLUMNS)} FROM tasks WHERE id = ?", (task.id,)).fetchone()  # noqa: S608 - our own column names
    old = None if known is None else dict(zip(TASK_COLUMNS, known, strict=True))
    is_gone = old is not None and old["text_form"] in EMPTIED_FORMS
    if old is not None and is_gone and not (restore and old["text_form"] == "forgotten"):
        return old["text_form"]
    changes = db.total_changes
    facts = _facts(task, form)
    if old is None:
        _insert(db, "tasks", {**facts, "elsewhere": 1})
    elif is_gone:
        _update(db, "tasks", facts, "id = :id")  # its attempts and `elsewhere` are still stored
    else:
        _merge_facts(db, old, facts)
    _merge_attempts(db, task)
    _merge_checks(db, task)
    for decision in task.decisions:
        _insert(db, "decisions", {"task_id": task.id, **_columns(decision, DECISION_COLUMNS)}, "ON CONFLICT DO NOTHING")
    for outcome in task.outcomes:
        _merge_keyed(db, "outcomes", "outcome", task.id, _columns(outcome, OUTCOME_COLUMNS), ("note", "recorded_at"))
    for imported in task.imported_outcomes:
        _merge_keyed(db, "imported_outcomes", "model", task.id, _columns(imported, IMPORTED_COLUMNS), ("at",))
    for embedder, blob in {**blobs, **{e.embedder: e.blob for e in task.embeddings}}.items():
        _merge_vector(db, task.id, embedder, blob)
    if old is None or is_gone:
        return "added"
    return "unchanged" if db.total_changes == changes else "merged"


def _facts(task: PortableTask, form: TextForm) -> Row:
    facts = {**_columns(task, TASK_COLUMNS), "verified_by": json.dumps(task.verified_by)}
    if FORMS_BY_DETAIL.index(form) < FORMS_BY_DETAIL.index(task.text_form):
        facts |= {"text": stored_text(task.text, form), "text_form": form}
    return facts if facts["text_form"] == "full" else {**facts, "tests": None}


def _merge_facts(db: sqlite3.Connection, old: Row, new: Row) -> None:
    # Course, text and `local_only` are merged independently.
    text = max(old, new, key=lambda row: (FORMS_BY_DETAIL.index(row["text_form"]), row["text"]))
    course = max(old, new, key=_knowledge_of_course)
    merged = {
        **course,
        "text": text["text"],
        "text_form": text["text_form"],
        "tests": max((old["tests"], new["tests"]), key=lambda tests: tests or ""),
        "local_only": max(old["local_only"], int(new["local_only"])),
    }
    if merged != old:
        _update(db, "tasks", merged, "id = :id")


def _knowledge_of_course(row: Row) -> tuple[object, ...]:
    rest = {name: value for name, value in row.items() if name not in ("text", "text_form", "tests", "local_only")}
    return (row["finished_at"] is not None, row["finished_at"] or 0.0, row["receipt"] is not None, _canonical(rest))


def _merge_attempts(db: sqlite3.Connection, task: PortableTask) -> None:
    old = _rows(db, "attempts", ("id", *ATTEMPT_COLUMNS), task.id)
    for place, attempt in enumerate(task.attempts):
        new = _columns(attempt, ATTEMPT_COLUMNS)
        if place >= len(old):
            _insert(db, "attempts", {"task_id": task.id, **new})
        elif _outranks(new, old[place], ("cost_usd",)):
            _update(db, "attempts", {"id": old[place]["id"], **new}, "id = :id")


def _merge_checks(db: sqlite3.Connection, task: PortableTask) -> None:
    if not task.checks:
        return
    attempts = [row["id"] for row in _rows(db, "attempts", ("id",), task.id)]
    old = _rows(db, "checks", ("id", "attempt_id", *CHECK_COLUMNS), task.id)
    for place, check in enumerate(task.checks):
        attempt_id = None if check.attempt is None else attempts[check.attempt]
        new = {"attempt_id": attempt_id, **_columns(check, CHECK_COLUMNS)}
        if place >= len(old):
            _insert(db, "checks", {"task_id": task.id, **new})
        elif _outranks(new, old[place], ("first_failure",), but_for="attempt_id"):
            _update(db, "checks", {"id": old[place]["id"], **new}, "id = :id")


def _merge_keyed(db: sqlite3.Connection, table: str, key: str, task_id: str, new: Row, first: Sequence[str]) -> None:
    query = f"SELECT {', '.join(new)} FROM {table} WHERE task_id = ? AND {key} = ?"  # noqa: S608 - our own names
    known = db.execute(query, (task_id, new[key])).fetchone()
    row = {"task_id": task_id, **new}
    if known is None:
        _insert(db, table, row)
    elif _outranks(new, dict(zip(new, known, strict=True)), first):
        _update(db, table, row, f"task_id = :task_id AND {key} = :{key}")


def _merge_vector(db: sqlite3.Connection, task_id: str, embedder: str, blob: bytes) -> None:
    # A changed vector gets a new row number, so that indexes notice it.
    db.execute(
        "INSERT OR REPLACE INTO embeddings (task_id, embedder, vector) SELECT ?1, ?2, ?3"
        " WHERE NOT EXISTS (SELECT 1 FROM embeddings WHERE task_id = ?1 AND embedder = ?2 AND vector >= ?3)",
        (task_id, embedder, blob),
    )


def _outranks(new: Row, old: Row, first: Sequence[str], but_for: str = "") -> bool:
    """Whether `new` is more complete. first: columns compared before all others; any value beats NULL."""

    def rank(row: Row) -> tuple[object, ...]:
        known = [(row[name] is not None, row[name] if isinstance(row[name], float) else 0.0) for name in first]
        return (*known, _canonical({name: row[name] for name in new if name != but_for}))

    return rank(new) > rank(old)


def _canonical(row: Row) -> str:
    # SQLite returns 1 for true.
    return json.dumps({n: int(v) if isinstance(v, bool) else v for n, v in row.items()}, sort_keys=True)


def _columns(line: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(line, name) for name in names}


def _rows(db: sqlite3.Connection, table: str, columns: Sequence[str], task_id: str) -> list[Row]:
    query = f"SELECT {', '.join(columns)} FROM {table} WHERE task_id = ? ORDER BY id"  # noqa: S608 - our own names
    return [dict(zip(columns, row, strict=True)) for row in db.execute(query, (task_id,))]


def _insert(db: sqlite3.Connection, table: str, row: Row, otherwise: str = "") -> None:
    marks = ", ".join(f":{name}" for name in row)
    db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks}) {otherwise}", row)  # noqa: S608 - our own names


def _update(db: sqlite3.Connection, table: str, row: Row, where: str) -> None:
    values = ", ".join(f"{name} = :{name}" for name in row)
    db.execute(f"UPDATE {table} SET {values} WHERE {where}", row)  # noqa: S608 - our own names
