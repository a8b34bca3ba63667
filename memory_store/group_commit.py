"""Takes the work on one connection in groups: what waits at the same time shares one thread and one durable commit.

A commit waits for the disk, and takes as long for thirty rows as for one; so does a hop into a thread. Whoever comes
while a group is under way waits, and is part of the next one. Each is answered only when its row is on the disk.
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
    """One caller's work. What it gives is of the caller's own type, hence Any."""

    work: Work[Any]
    is_write: bool
    is_news: bool
    woken: anyio.Event = field(default_factory=anyio.Event)
    leads: bool = False
    """Whether its caller sees to the next group."""
    result: Any = None
    error: BaseException | None = field(default_factory=lambda: RuntimeError("the ledger's thread was given up"))
    """None: it was done."""

    def run(self, connection: sqlite3.Connection) -> None:
        try:
            self.result, self.error = self.work(connection), None
        except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
            self.error = error


class GroupCommit:
    """One connection, and whoever wants something of it. Calls may come from many tasks of one event loop."""

    def __init__(self, connection: sqlite3.Connection, in_words: Callable[[sqlite3.Error], Exception]) -> None:
        """in_words: what is raised for what SQLite cannot do, made anew for each caller."""
        self._connection = connection
        self._in_words = in_words
        self._waiting: list[_Job] = []
        self._is_led = False
        self._own_news = 0
        self._state: object = None

    @property
    def state(self) -> object:
        """Equal as long as the last group found nothing new in the file, from here or from another process."""
        return self._state

    async def read(self, work: Work[_T]) -> _T:
        """What the work gives, outside of any transaction."""
        return await self._done(_Job(work, is_write=False, is_news=False))

    async def write(self, work: Work[_T], *, is_news: bool = True) -> _T:
        """What the work gives, once it is on the disk; if the work raises, nothing of it is.

        is_news: whether it makes `state` another. A cancelled caller still gets its row written.
        """
        with anyio.CancelScope(shield=True):
            return await self._done(_Job(work, is_write=True, is_news=is_news))
        raise AssertionError("a shielded scope is never left early")

    async def _done(self, job: _Job) -> Any:
        self._waiting.append(job)
        if self._is_led:
            try:
                await job.woken.wait()
            except BaseException:
                self._withdraw(job)
                raise
        else:
            self._is_led = job.leads = True
        if job.leads:
            await self._lead()
        if job.error is not None:
            raise job.error
        return job.result

    async def _lead(self) -> None:
        """Have all that waits done, and whoever has come meanwhile lead the next group."""
        group, self._waiting = self._waiting, []
        try:
            # A thread cannot be called back: whoever gives up waits for its end all the same.
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._do, group)
        finally:
            for job in group:
                job.woken.set()
            self._hand_on()

    def _hand_on(self) -> None:
        if self._waiting:
            self._waiting[0].leads = True
            self._waiting[0].woken.set()
        else:
            self._is_led = False

    def _withdraw(self, job: _Job) -> None:
        """Of a caller that was cancelled while it waited."""
        if job in self._waiting:
            self._waiting.remove(job)
            if job.leads:
                self._hand_on()

    def _do(self, group: Sequence[_Job]) -> None:
        reading = [job for job in group if not job.is_write]
        writing = [job for job in group if job.is_write]
        self._look()
        for job in reading:
            job.run(self._connection)
        if writing:
            try:
                self._commit(writing)
            except Exception as error:  # noqa: BLE001 - the same
                for job in writing:
                    job.error = error
        for job in group:
            if isinstance(job.error, sqlite3.Error):
                job.error = self._in_words(job.error)

    def _look(self) -> None:
        # Counts what other connections have committed, and never what this one has.
        try:
            (others,) = self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            self._state = object()  # equal to none before; whoever reads or writes meets the same trouble, and says it
        else:
            self._state = (others, self._own_news)

    def _commit(self, jobs: Sequence[_Job]) -> None:
        """Raises what kept all of them from the disk."""
        with write_transaction(self._connection):
            for job in jobs:
                self._run_apart(job)
        if any(job.is_news and job.error is None for job in jobs):
            self._own_news += 1
            self._look()

    def _run_apart(self, job: _Job) -> None:
        """Run it so that its failure undoes its own rows and nobody else's."""
        db = self._connection
        db.execute("SAVEPOINT job")
        job.run(db)
        if job.error is not None:
            if not db.in_transaction:  # SQLite undid it all, as on some full disks
                raise sqlite3.OperationalError(str(job.error)) from job.error
            db.execute("ROLLBACK TO job")
        db.execute("RELEASE job")
