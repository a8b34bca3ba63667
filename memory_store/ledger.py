"""The ledger: all tasks, decisions, attempts, checks, outcomes and costs, in one SQLite file.

It is the single source of truth. Writes are durable before their call returns, so acknowledged rows
survive a kill. Several processes may write to the file at once.
"""

import datetime as dt
import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import anyio
import anyio.to_thread

from ..profiles.vocabulary import TaskType
from .errors import BudgetExceeded, DailyLimitReached
from .group_commit import GroupCommit
from .judgement import COST_USD
from .ledger_file import FileWatch, open_file, to_ledger_error
from .records import (
    BAD_OUTCOMES,
    GOOD_OUTCOMES,
    Finish,
    NewAttempt,
    NewCheck,
    NewDecision,
    NewTask,
    Outcome,
    Settlement,
    TaskRow,
    TrackRecord,
)
from .text_form import TextForm, stored_text
from .track_record import read_track_record

LEDGER_FILE = "ledger.sqlite3"

Clock = Callable[[], dt.datetime]
"""Returns the current time, with its time zone."""

_T = TypeVar("_T")

_CHECKPOINT_PATIENCE_MS = 200
_CACHED_AT_MOST = 64

_OF_TODAY = (
    "FROM attempts a JOIN tasks t ON t.id = a.task_id WHERE a.begun_at >= ? AND a.begun_at < ? AND NOT t.elsewhere"
)

_TASK_COLUMNS = tuple(name for name in TaskRow.__dataclass_fields__ if name != "outcomes")


class Ledger:
    """An open ledger file. Safe for concurrent tasks; their writes share commits."""

    def __init__(self, connection: sqlite3.Connection, path: Path, clock: Clock, text_form: TextForm = "full") -> None:
        self._path = path
        self._clock = clock
        self._text_form: TextForm = text_form
        self._group_commit = GroupCommit(connection, partial(to_ledger_error, path), FileWatch(path).require)
        self._cached: dict[object, tuple[object, list[tuple[Any, ...]]]] = {}

    @classmethod
    async def open(cls, home: Path, clock: Clock, *, text_form: TextForm = "full") -> "Ledger":
        """Open the ledger in a data folder; missing folders and files are created.

        text_form: how the texts of new tasks are stored. Raises LedgerUnusable, which names the file and
        the remedy.
        """
        path = home / LEDGER_FILE
        return cls(await anyio.to_thread.run_sync(open_file, path), path, clock, text_form)

    @property
    def path(self) -> Path:
        return self._path

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def text_form(self) -> TextForm:
        """How the texts of new tasks are stored."""
        return self._text_form

    async def aclose(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._group_commit.read(sqlite3.Connection.close)

    async def begin_task(self, task: NewTask, *, at_most_per_day: int | None = None) -> None:
        """Record the start of a task.

        at_most_per_day: limit on tasks of this kind per UTC day, failed ones not counted; beyond it
        DailyLimitReached is raised. None: no limit.
        """
        text = stored_text(task.text, self._text_form)
        tests = task.tests if self._text_form == "full" else None

        def write(db: sqlite3.Connection) -> None:
            now = self._now()
            if at_most_per_day is not None and self._begun_today(db, task.kind) >= at_most_per_day:
                raise DailyLimitReached(limit=at_most_per_day)
            db.execute(
                "INSERT INTO tasks (id, kind, begun_at, text, text_form, task_type, complexity, local_only, project,"
                " origin, owner, tests, status) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'running')",
                (
                    task.id, task.kind, now, text, self._text_form, task.task_type, task.complexity,
                    task.local_only, task.project, task.origin, task.owner, tests,
                ),
            )  # fmt: skip
            if task.caller is not None:
                db.execute("INSERT INTO task_callers (task_id, caller) VALUES (?, ?)", (task.id, task.caller))

        await self._group_commit.write(write)

    async def record_decision(self, decision: NewDecision) -> None:
        """Record a decision. Decisions do not depend on each other, so it does not change what `refresh` returns."""

        def write(db: sqlite3.Connection) -> None:
            d = decision
            db.execute(
                "INSERT INTO decisions (id, task_id, model, role, source, task_type, complexity, confidence, reason,"
                " expected_success, made_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*astuple(d), self._now()),
            )

        await self._group_commit.write(write, changes_state=False)

    async def reserve(self, attempt: NewAttempt, *, daily_cap_usd: float | None) -> int:
        """Record an attempt before its request is sent, reserve its worst-case cost, and return its id.

        daily_cap_usd: the budget of the UTC day. None: no cap. Raises BudgetExceeded and records nothing
        when the reservation does not fit; a free request always fits.
        """

        def write(db: sqlite3.Connection) -> int:
            wanted_usd = attempt.reserved_usd
            spent_usd = self._spent_today_usd(db)
            if daily_cap_usd is not None and wanted_usd > 0 and daily_cap_usd < spent_usd + wanted_usd:
                raise BudgetExceeded(cap_usd=daily_cap_usd, spent_usd=spent_usd, wanted_usd=wanted_usd)
            cursor = db.execute(
                "INSERT INTO attempts (task_id, model, provider, build, thinking, reserved_usd, begun_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*astuple(attempt), self._now()),
            )
            return cast(int, cursor.lastrowid)

        return await self._group_commit.write(write)

    async def settle(self, attempt_id: int, settlement: Settlement) -> None:
        """Record how an attempt ended; its cost replaces its reservation.

        Raises ValueError for an unknown attempt.
        """
        columns = ", ".join(f"{name} = ?" for name in Settlement.__dataclass_fields__)

        def write(db: sqlite3.Connection) -> None:
            query = f"UPDATE attempts SET {columns} WHERE id = ?"  # noqa: S608 - our own column names
            if db.execute(query, (*astuple(settlement), attempt_id)).rowcount == 0:
                raise ValueError(f"there is no attempt {attempt_id} to settle")

        await self._group_commit.write(write)

    async def record_check(self, check: NewCheck) -> None:
        def write(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO checks (task_id, attempt_id, name, outcome, executed, tests_passed, tests_total, seconds,"
                " first_failure) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                astuple(check),
            )

        await self._group_commit.write(write)

    async def finish_task(self, task_id: str, finish: Finish) -> None:
        """Record how a task ended. Raises ValueError for an unknown task."""

        def write(db: sqlite3.Connection) -> None:
            f = finish
            cursor = db.execute(
                "UPDATE tasks SET finished_at = ?, status = ?, model = ?, verified_by = ?, receipt = ?,"
                " baseline_model = ?, baseline_usd = ? WHERE id = ?",
                (
                    self._now(), f.status, f.model, json.dumps(f.verified_by), f.receipt,
                    f.baseline_model, f.baseline_usd, task_id,
                ),
            )  # fmt: skip
            if cursor.rowcount == 0:
                raise ValueError(f"there is no task {task_id} to finish")

        await self._group_commit.write(write)

    async def record_outcome(self, task_id: str, outcome: Outcome, note: str | None) -> bool:
        """Record the user's report on a task, idempotently; False when the task is unknown.

        The latest report counts, repeated or not: a good one deletes earlier bad ones, and vice versa.
        """
        taken_back = BAD_OUTCOMES if outcome in GOOD_OUTCOMES else GOOD_OUTCOMES

        def write(db: sqlite3.Connection) -> bool:
            known = "SELECT 1 FROM tasks WHERE id = ? AND text_form <> 'forgotten'"
            if db.execute(known, (task_id,)).fetchone() is None:
                return False
            db.executemany(
                "DELETE FROM outcomes WHERE task_id = ? AND outcome = ?", [(task_id, word) for word in taken_back]
            )
            db.execute(
                "INSERT INTO outcomes (task_id, outcome, note, recorded_at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (task_id, outcome) DO UPDATE"
                " SET note = COALESCE(excluded.note, note), recorded_at = excluded.recorded_at",
                (task_id, outcome, note, self._now()),
            )
            return True

        return await self._group_commit.write(write)

    async def task(self, task_id: str) -> TaskRow | None:
        """The task's current state; None when it is unknown or forgotten."""
        known = f"SELECT {', '.join(_TASK_COLUMNS)} FROM tasks WHERE id = ? AND text_form <> 'forgotten'"  # noqa: S608 - our own column names

        def read(db: sqlite3.Connection) -> TaskRow | None:
            row = db.execute(known, (task_id,)).fetchone()
            if row is None:
                return None
            words = db.execute(
                "SELECT outcome FROM outcomes WHERE task_id = ? ORDER BY recorded_at, rowid", (task_id,)
            ).fetchall()
            facts: dict[str, Any] = dict(zip(_TASK_COLUMNS, row, strict=True))
            facts["local_only"] = bool(facts["local_only"])
            facts["verified_by"] = tuple(json.loads(facts["verified_by"]))
            return TaskRow(**facts, outcomes=tuple(word for (word,) in words))

        return await self._group_commit.read(read)

    async def track_record(self, model: str, task_type: TaskType | None) -> TrackRecord:
        """Counts of good and bad delegations that ended on a model, pruned ones included.

        See `track_record`. task_type None: all types.
        """
        return await self._group_commit.read(lambda db: read_track_record(db, model, task_type))

    async def spent_today_usd(self) -> float:
        """US dollars spent in the current UTC day: settled costs, plus the worst case of unsettled attempts.

        Imported costs are excluded; they were spent under another ledger's budget.
        """
        return await self._group_commit.read(self._spent_today_usd)

    async def settled_today_usd(self) -> float:
        """The settled part of `spent_today_usd`, as of the last `refresh`."""
        rows = await self.cached_rows(f"SELECT TOTAL(a.cost_usd) {_OF_TODAY}", self._today())
        return rows[0][0]

    async def begun_today(self, kind: str) -> int:
        """The number of tasks of a kind begun in the current UTC day, failed ones not counted."""
        return await self._group_commit.read(lambda db: self._begun_today(db, kind))

    async def identity(self) -> str:
        """The ledger's id: twelve hexadecimal digits, stored in the file."""
        return (await self.rows("SELECT id FROM identity"))[0][0]

    async def rows(
        self, query: str, parameters: tuple[object, ...] | Mapping[str, object] = ()
    ) -> list[tuple[Any, ...]]:
        """The rows of a read-only query (of any type, hence Any), for the reports of this folder."""
        return await self._group_commit.read(lambda db: db.execute(query, parameters).fetchall())

    async def refresh(self) -> object:
        """Check for changes, and return the `version`."""
        return await self._group_commit.read(lambda _: self._group_commit.state)

    @property
    def version(self) -> object:
        """A token as of the last refresh that stays equal until anything but this process's decisions is written."""
        return self._group_commit.state

    async def cached_rows(
        self, query: str, parameters: tuple[object, ...] | Mapping[str, object] = ()
    ) -> list[tuple[Any, ...]]:
        """As `rows`, but cached: the result as of the last `refresh`, read again only after that sees a change.

        For small results used by many decisions; they must not depend on recorded decisions.
        """
        key = (query, tuple(parameters.items()) if isinstance(parameters, Mapping) else parameters)
        known = self._cached.pop(key, None)
        if known is None or known[0] != self._group_commit.state:

            def read(db: sqlite3.Connection) -> tuple[object, list[tuple[Any, ...]]]:
                return self._group_commit.state, db.execute(query, parameters).fetchall()

            known = await self._group_commit.read(read)
        self._cached[key] = known
        while len(self._cached) > _CACHED_AT_MOST:
            del self._cached[next(iter(self._cached))]
        return known[1]

    async def write(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """The result of the work, run in one write transaction, for this folder's other tables."""
        return await self._group_commit.write(work)

    async def empty_log(self) -> bool:
        """Checkpoint and truncate the write-ahead log; False while another process's reader needs it."""

        def checkpoint(db: sqlite3.Connection) -> bool:
            # Waiting here blocks other writers, so wait only briefly.
            (patience,) = db.execute("PRAGMA busy_timeout").fetchone()
            db.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_PATIENCE_MS}")
            try:
                return not db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            finally:
                db.execute(f"PRAGMA busy_timeout = {patience}")

        return await self._group_commit.read(checkpoint)

    def _now(self) -> float:
        return self._clock().timestamp()

    def _today(self) -> tuple[float, float]:
        """Start of the current UTC day and of the next; rows dated later by a fast clock are in neither."""
        now = self._clock().astimezone(dt.UTC)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
        return midnight, midnight + 86_400

    def _spent_today_usd(self, db: sqlite3.Connection) -> float:
        total = db.execute(
            f"SELECT SUM({COST_USD}) {_OF_TODAY}",
            self._today(),
        ).fetchone()[0]
        return total or 0.0

    def _begun_today(self, db: sqlite3.Connection, kind: str) -> int:
        return db.execute(
            "SELECT COUNT(*) FROM tasks WHERE kind = ? AND begun_at >= ? AND begun_at < ? AND status != 'failed'"
            " AND NOT elsewhere",
            (kind, *self._today()),
        ).fetchone()[0]
