"""The books: every task, decision, attempt, check, outcome and cent, in one SQLite file.

It is the one truth. A row is on disk before the call that wrote it returns, so what was acknowledged
survives a kill. Several processes may write to the same file at once.
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
from .ledger_file import in_words, open_file
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
"""Gives the present moment, with its time zone."""

_T = TypeVar("_T")

_CHECKPOINT_PATIENCE_MS = 200
_STANDING_AT_MOST = 64

_OF_TODAY = (
    "FROM attempts a JOIN tasks t ON t.id = a.task_id WHERE a.begun_at >= ? AND a.begun_at < ? AND NOT t.elsewhere"
)

_TASK_COLUMNS = tuple(name for name in TaskRow.__dataclass_fields__ if name != "outcomes")


class Ledger:
    """One open ledger file. Calls may come from many tasks at once; those that wait share a commit."""

    def __init__(self, connection: sqlite3.Connection, path: Path, clock: Clock, text_form: TextForm = "full") -> None:
        self._path = path
        self._clock = clock
        self._text_form: TextForm = text_form
        self._turns = GroupCommit(connection, partial(in_words, path))
        self._standing: dict[object, tuple[object, list[tuple[Any, ...]]]] = {}

    @classmethod
    async def open(cls, home: Path, clock: Clock, *, text_form: TextForm = "full") -> "Ledger":
        """The ledger in a data folder; folder and file are made when they are missing.

        text_form: what is kept of the texts of new tasks. Raises LedgerUnusable, which names the file
        and what to do.
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
        """What is kept of the texts of new tasks."""
        return self._text_form

    async def aclose(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._turns.read(sqlite3.Connection.close)

    async def begin_task(self, task: NewTask, *, at_most_per_day: int | None = None) -> None:
        """Record that work on a task begins.

        at_most_per_day: how many tasks of this kind may begin in one UTC day, failed ones not counted;
        more raise DailyLimitReached. None: any number.
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

        await self._turns.write(write)

    async def record_decision(self, decision: NewDecision) -> None:
        """Record what was decided. No decision rests on another, so `look` does not tell of it."""

        def write(db: sqlite3.Connection) -> None:
            d = decision
            db.execute(
                "INSERT INTO decisions (id, task_id, model, role, source, task_type, complexity, confidence, reason,"
                " expected_success, made_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*astuple(d), self._now()),
            )

        await self._turns.write(write, is_news=False)

    async def reserve(self, attempt: NewAttempt, *, daily_cap_usd: float | None) -> int:
        """Record that a request is about to leave, with its worst case set aside; gives the attempt's id.

        daily_cap_usd: the budget of the UTC day. None: no cap. Raises BudgetExceeded, and then
        nothing is recorded. A request that costs nothing always fits.
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

        return await self._turns.write(write)

    async def settle(self, attempt_id: int, settlement: Settlement) -> None:
        """Record how an attempt ended; its reservation is replaced by its cost.

        Raises ValueError for an attempt that was never reserved.
        """
        columns = ", ".join(f"{name} = ?" for name in Settlement.__dataclass_fields__)

        def write(db: sqlite3.Connection) -> None:
            query = f"UPDATE attempts SET {columns} WHERE id = ?"  # noqa: S608 - our own column names
            if db.execute(query, (*astuple(settlement), attempt_id)).rowcount == 0:
                raise ValueError(f"there is no attempt {attempt_id} to settle")

        await self._turns.write(write)

    async def record_check(self, check: NewCheck) -> None:
        def write(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO checks (task_id, attempt_id, name, outcome, executed, tests_passed, tests_total, seconds,"
                " first_failure) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                astuple(check),
            )

        await self._turns.write(write)

    async def finish_task(self, task_id: str, finish: Finish) -> None:
        """Record how a task ended. Raises ValueError for one that was never begun."""

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

        await self._turns.write(write)

    async def record_outcome(self, task_id: str, outcome: Outcome, note: str | None) -> bool:
        """Record the user's word on a task, once however often it is said; False when the task is unknown.

        The newest word counts: a good one takes back the bad ones before it, and a bad one the good ones.
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
                " ON CONFLICT (task_id, outcome) DO UPDATE SET note = COALESCE(excluded.note, note)",
                (task_id, outcome, note, self._now()),
            )
            return True

        return await self._turns.write(write)

    async def task(self, task_id: str) -> TaskRow | None:
        """The task as it stands; None when the ledger does not know it, or was told to forget it."""
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

        return await self._turns.read(read)

    async def track_record(self, model: str, task_type: TaskType | None) -> TrackRecord:
        """How often delegations that ended on a model were found good and bad, pruned ones counted too.

        See `track_record`. task_type None: all types.
        """
        return await self._turns.read(lambda db: read_track_record(db, model, task_type))

    async def spent_today_usd(self) -> float:
        """US dollars of the UTC day so far: settled costs, and the worst case of what is not settled.

        What was imported is not among it: that was spent under another ledger's budget.
        """
        return await self._turns.read(self._spent_today_usd)

    async def settled_today_usd(self) -> float:
        """The settled part of what `spent_today_usd` gives, as it stood at the last `look`."""
        rows = await self.standing_rows(f"SELECT TOTAL(a.cost_usd) {_OF_TODAY}", self._today())
        return rows[0][0]

    async def begun_today(self, kind: str) -> int:
        """How many tasks of a kind began in the UTC day so far, failed ones not counted."""
        return await self._turns.read(lambda db: self._begun_today(db, kind))

    async def identity(self) -> str:
        """Which ledger this is: twelve hexadecimal digits that it keeps wherever its file goes."""
        return (await self.rows("SELECT id FROM identity"))[0][0]

    async def rows(
        self, query: str, parameters: tuple[object, ...] | Mapping[str, object] = ()
    ) -> list[tuple[Any, ...]]:
        """The rows of a reading query (of any type, hence Any), for the reports of this folder."""
        return await self._turns.read(lambda db: db.execute(query, parameters).fetchall())

    async def look(self) -> object:
        """What is equal as long as nothing but decisions of this process was written, here or elsewhere."""
        return await self._turns.read(lambda _: self._turns.state)

    async def standing_rows(
        self, query: str, parameters: tuple[object, ...] | Mapping[str, object] = ()
    ) -> list[tuple[Any, ...]]:
        """The same rows as `rows`, as they stood at the last `look`: read once until that finds something new.

        For few rows that many decisions rest on, and none on what was decided.
        """
        key = (query, tuple(parameters.items()) if isinstance(parameters, Mapping) else parameters)
        known = self._standing.pop(key, None)
        if known is None or known[0] != self._turns.state:

            def read(db: sqlite3.Connection) -> tuple[object, list[tuple[Any, ...]]]:
                return self._turns.state, db.execute(query, parameters).fetchall()

            known = await self._turns.read(read)
        self._standing[key] = known
        while len(self._standing) > _STANDING_AT_MOST:
            del self._standing[next(iter(self._standing))]
        return known[1]

    async def write(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """What the work gives, done in one transaction, for what this folder keeps beside the tasks."""
        return await self._turns.write(work)

    async def empty_log(self) -> bool:
        """Move the write-ahead log into the file and cut it; False while a reader elsewhere needs it."""

        def checkpoint(db: sqlite3.Connection) -> bool:
            # Whoever waits here keeps other writers out meanwhile, so not for long.
            (patience,) = db.execute("PRAGMA busy_timeout").fetchone()
            db.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_PATIENCE_MS}")
            try:
                return not db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            finally:
                db.execute(f"PRAGMA busy_timeout = {patience}")

        return await self._turns.read(checkpoint)

    def _now(self) -> float:
        return self._clock().timestamp()

    def _today(self) -> tuple[float, float]:
        """The UTC day's first moment and the next day's; what a clock wrote that was ahead is in neither."""
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
