"""Runs work on one SQLite connection in groups: concurrent requests share one thread hop and one durable commit.

A commit waits for the disk and takes as long for thirty rows as for one; so does a hop to a thread. Requests that
arrive while a group runs form the next one. Each returns only when its rows are on disk.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from .schema import write_transaction

_T = TypeVar("_T")

Work = Callable[[sqlite3.Connection], _T]


@dataclass(eq=False)
class _Job:
    """One caller's work; its result type is the caller's, hence Any."""

    work: Work[Any]
    is_write: bool
    changes_state: bool
    wake: anyio.Event = field(default_factory=anyio.Event)
    is_leader: bool = False
    """Whether its caller must run the next group."""
    result: Any = None
    error: BaseException | None = field(default_factory=lambda: RuntimeError("the ledger's thread was given up"))
    """None: it succeeded."""

    def run(self, connection: sqlite3.Connection) -> None:
        try:
            self.result, self.error = self.work(connection), None
        except BaseException as error:  # noqa: BLE001 - raised again in the caller
            self.error = error


class GroupCommit:
    """Serializes access to one connection for concurrent tasks of one event loop."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        to_error: Callable[[sqlite3.Error], Exception],
        require_file: Callable[[], None],
    ) -> None:
        """to_error: converts an SQLite error to the exception raised; called once per caller.

        require_file: called before each commit; raises an SQLite error if what is written would be lost.
        """
        self._connection = connection
        self._require_file = require_file
        self._to_error = to_error
        self._waiting: list[_Job] = []
        self._has_leader = False
        self._own_commits = 0
        self._state: object = None

    @property
    def state(self) -> object:
        """A token that stays equal while no group observes changes to the file, by this process or others."""
        return self._state

    async def read(self, work: Work[_T]) -> _T:
        """The result of the work, run outside any transaction."""
        return await self._done(_Job(work, is_write=False, changes_state=False))

    async def write(self, work: Work[_T], *, changes_state: bool = True) -> _T:
        """The result of the work, once it is on disk; if the work raises, its changes are rolled back.

        changes_state: whether it changes `state`. The work completes even if the caller is cancelled.
        """
        with anyio.CancelScope(shield=True):
            return await self._done(_Job(work, is_write=True, changes_state=changes_state))
        raise AssertionError("a shielded scope is never left early")

    async def _done(self, job: _Job) -> Any:
        self._waiting.append(job)
        if self._has_leader:
            try:
                await job.wake.wait()
            except BaseException:
                self._withdraw(job)
                raise
        else:
            self._has_leader = job.is_leader = True
        if job.is_leader:
            await self._lead()
        if job.error is not None:
            raise job.error
        return job.result

    async def _lead(self) -> None:
        """Run all waiting jobs, then let one that arrived meanwhile lead the next group."""
        group, self._waiting = self._waiting, []
        try:
            # A thread cannot be cancelled, so a cancelled caller still waits for it.
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._do, group)
        finally:
            for job in group:
                job.wake.set()
            self._pass_lead()

    def _pass_lead(self) -> None:
        if self._waiting:
            self._waiting[0].is_leader = True
            self._waiting[0].wake.set()
        else:
            self._has_leader = False

    def _withdraw(self, job: _Job) -> None:
        """Remove the job of a caller that was cancelled while waiting."""
        if job in self._waiting:
            self._waiting.remove(job)
            if job.is_leader:
                self._pass_lead()

    def _do(self, group: Sequence[_Job]) -> None:
        reading = [job for job in group if not job.is_write]
        writing = [job for job in group if job.is_write]
        self._refresh_state()
        for job in reading:
            job.run(self._connection)
        if writing:
            try:
                self._commit(writing)
            except Exception as error:  # noqa: BLE001 - raised again in each caller
                for job in writing:
                    job.error = error
        for job in group:
            if isinstance(job.error, sqlite3.Error):
                job.error = self._to_error(job.error)

    def _refresh_state(self) -> None:
        # data_version counts commits of other connections only.
        try:
            (others,) = self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            self._state = object()  # equal to no earlier token; reads and writes will report the error
        else:
            self._state = (others, self._own_commits)

    def _commit(self, jobs: Sequence[_Job]) -> None:
        """Raises if none of the jobs could be committed."""
        self._require_file()
        with write_transaction(self._connection):
            for job in jobs:
                self._run_in_savepoint(job)
        if any(job.changes_state and job.error is None for job in jobs):
            self._own_commits += 1
            self._refresh_state()

    def _run_in_savepoint(self, job: _Job) -> None:
        """Run a job in a savepoint, so that its failure rolls back only its own rows."""
        db = self._connection
        db.execute("SAVEPOINT job")
        job.run(db)
        if job.error is not None:
            if not db.in_transaction:  # SQLite rolled back everything, as with some full disks
                raise sqlite3.OperationalError(str(job.error)) from job.error
            db.execute("ROLLBACK TO job")
        db.execute("RELEASE job")
