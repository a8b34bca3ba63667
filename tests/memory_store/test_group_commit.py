"""Group commit: concurrent writers share one commit, and each of them learns the result of its own write."""

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from ledger_rows import attempt, decision_of, delegate, task

from chargehand.memory_store.errors import BudgetExceeded, LedgerUnusable
from chargehand.memory_store.ledger import LEDGER_FILE, Ledger
from chargehand.memory_store.ledger_file import open_file
from chargehand.memory_store.records import NewDecision

pytestmark = pytest.mark.anyio

CALLERS = 40


@pytest.fixture
async def traced(tmp_path: Path, clock):
    """A ledger, and the SQL statements it executes."""
    statements: list[str] = []
    connection = open_file(tmp_path / LEDGER_FILE)
    connection.set_trace_callback(statements.append)
    ledger = Ledger(connection, tmp_path / LEDGER_FILE, clock)
    yield ledger, statements
    await ledger.aclose()


def decision(number: int) -> NewDecision:
    return NewDecision(f"d{number}", None, "m", "local", "rules", "other", 2.0, 0.5, "why")


def decisions_on_disk(ledger: Ledger) -> set[str]:
    """The ids of the decisions that a new connection finds."""
    with closing(sqlite3.connect(ledger.path)) as db:
        return {found for (found,) in db.execute("SELECT id FROM decisions")}


async def test_each_of_many_concurrent_decisions_is_on_disk_when_its_call_returns(traced):
    ledger, statements = traced
    missing_when_answered: list[str] = []

    async def decide(number: int) -> None:
        await ledger.record_decision(decision(number))
        if f"d{number}" not in decisions_on_disk(ledger):
            missing_when_answered.append(f"d{number}")

    async with anyio.create_task_group() as group:
        for number in range(CALLERS):
            group.start_soon(decide, number)

    assert missing_when_answered == []
    assert decisions_on_disk(ledger) == {f"d{number}" for number in range(CALLERS)}
    assert statements.count("COMMIT") == 2  # the first writer did not wait for the others


async def test_a_failed_write_rolls_back_only_its_own_rows(ledger: Ledger):
    await delegate(ledger, "t")
    refused: list[BudgetExceeded] = []

    async def spend_too_much() -> None:
        try:
            await ledger.reserve(attempt("t", reserved_usd=9.0), daily_cap_usd=5.0)
        except BudgetExceeded as error:
            refused.append(error)

    async def fail_half_way() -> None:
        def write(db: sqlite3.Connection) -> None:
            db.execute("UPDATE decisions SET reason = 'half done'")
            raise KeyError("half way")

        with pytest.raises(KeyError):
            await ledger.write(write)

    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(ledger.record_decision, decision(number))
            group.start_soon(spend_too_much)
            group.start_soon(fail_half_way)

    assert len(refused) == 4
    assert {f"d{number}" for number in range(4)} <= decisions_on_disk(ledger)
    assert await ledger.rows("SELECT COUNT(*) FROM decisions WHERE reason = 'half done'") == [(0,)]
    assert await ledger.spent_today_usd() == 0


async def test_a_failed_commit_is_reported_to_its_writers_and_not_to_readers(tmp_path: Path, clock):
    connection = open_file(tmp_path / LEDGER_FILE)
    ledger = Ledger(connection, tmp_path / LEDGER_FILE, clock)
    await ledger.begin_task(task("before"))
    connection.execute("PRAGMA busy_timeout = 0")
    errors: list[str] = []
    rows_read: list[object] = []

    async def decide(number: int) -> None:
        try:
            await ledger.record_decision(decision(number))
        except LedgerUnusable as error:
            errors.append(str(error))

    async def look_up() -> None:
        rows_read.append(await ledger.task("before"))

    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # another process holds the write lock
        async with anyio.create_task_group() as group:
            for number in range(CALLERS):
                group.start_soon(decide, number)
            group.start_soon(look_up)
        other.execute("ROLLBACK")

    assert len(errors) == CALLERS
    assert all(LEDGER_FILE in text for text in errors)
    assert decisions_on_disk(ledger) == set()
    assert [row is not None for row in rows_read] == [True]
    await ledger.record_decision(decision(0))  # the next write succeeds
    assert decisions_on_disk(ledger) == {"d0"}
    await ledger.aclose()


async def test_a_write_for_which_sqlite_rolls_back_everything_fails_for_its_whole_group(ledger: Ledger):
    failed: dict[int, str] = {}

    def fill_the_disk(db: sqlite3.Connection) -> None:
        db.execute("ROLLBACK")  # as SQLite itself does on some full disks
        raise sqlite3.OperationalError("database or disk is full")

    async def decide(number: int) -> None:
        try:
            await (ledger.write(fill_the_disk) if number == 2 else ledger.record_decision(decision(number)))
        except LedgerUnusable as error:
            failed[number] = str(error)

    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(decide, number)

    assert sorted(failed) == [1, 2, 3, 4]
    assert all("database or disk is full" in text for text in failed.values())
    assert decisions_on_disk(ledger) == {"d0"}  # it was alone in the first group
    await ledger.record_decision(decision(1))
    assert decisions_on_disk(ledger) == {"d0", "d1"}


async def test_a_connection_that_fails_is_reported_to_every_caller_and_then_used_again(tmp_path: Path, clock):
    connection = open_file(tmp_path / LEDGER_FILE)
    ledger = Ledger(connection, tmp_path / LEDGER_FILE, clock)
    before = await ledger.refresh()
    errors: list[str] = []

    async def attempt_to(call: Callable[[], Awaitable[object]]) -> None:
        with pytest.raises(LedgerUnusable) as caught:
            await call()
        errors.append(str(caught.value))

    connection.set_authorizer(lambda *_: sqlite3.SQLITE_DENY)
    async with anyio.create_task_group() as group:
        for call in (ledger.identity, ledger.identity, lambda: ledger.record_decision(decision(0))):
            group.start_soon(attempt_to, call)
    connection.set_authorizer(None)

    assert len(errors) == 3
    assert all(LEDGER_FILE in text for text in errors)
    assert await ledger.identity()
    await ledger.record_decision(decision(0))
    assert decisions_on_disk(ledger) == {"d0"}
    assert await ledger.refresh() == before  # decisions do not count as a change
    await ledger.aclose()


async def test_cancelled_callers_do_not_block_other_callers(ledger: Ledger):
    async with anyio.create_task_group() as group:
        for number in range(CALLERS):
            group.start_soon(ledger.record_decision, decision(number))
        async with anyio.create_task_group() as impatient:
            for _ in range(CALLERS):
                impatient.start_soon(ledger.identity)
            await anyio.lowlevel.checkpoint()
            impatient.cancel_scope.cancel()

    assert decisions_on_disk(ledger) == {f"d{number}" for number in range(CALLERS)}
    assert await ledger.identity()


async def test_a_read_whose_caller_was_cancelled_while_waiting_is_not_run(traced):
    ledger, statements = traced
    query = "SELECT 'given up'"
    async with anyio.create_task_group() as group:
        group.start_soon(ledger.record_decision, decision(0))
        group.start_soon(ledger.record_decision, decision(1))
        async with anyio.create_task_group() as impatient:
            impatient.start_soon(ledger.rows, query)
            await anyio.lowlevel.checkpoint()
            impatient.cancel_scope.cancel()

    assert decisions_on_disk(ledger) == {"d0", "d1"}
    assert query not in statements


async def test_concurrent_reads_share_one_hop_to_the_thread(traced):
    ledger, statements = traced
    async with anyio.create_task_group() as group:
        for _ in range(CALLERS):
            group.start_soon(ledger.rows, "SELECT 1")

    assert statements.count("SELECT 1") == CALLERS
    assert statements.count("PRAGMA data_version") == 2  # once for the first reader, once for all the others


async def test_writes_are_completed_although_their_callers_are_cancelled(ledger: Ledger):
    async with anyio.create_task_group() as group:
        for number in range(CALLERS):
            group.start_soon(ledger.record_decision, decision(number))
        await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()

    assert decisions_on_disk(ledger) == {f"d{number}" for number in range(CALLERS)}


async def test_cached_rows_follow_writes_of_this_and_of_other_connections(tmp_path: Path, clock):
    query = "SELECT COUNT(*) FROM tasks"
    first, second = await Ledger.open(tmp_path, clock), await Ledger.open(tmp_path, clock)
    before = await first.cached_rows(query)
    await first.begin_task(task("mine"))
    after_own_write = await first.cached_rows(query)
    await second.begin_task(task("theirs"))
    await first.refresh()
    after_both = await first.cached_rows(query)

    assert (before, after_own_write, after_both) == ([(0,)], [(1,)], [(2,)])
    await first.aclose()
    await second.aclose()


async def test_cached_rows_are_not_reread_while_only_decisions_are_written(traced):
    ledger, statements = traced
    query = "SELECT model FROM aggregates"
    for number in range(3):
        await ledger.refresh()
        await ledger.cached_rows(query)
        await ledger.record_decision(decision(number))

    assert statements.count(query) == 1


async def test_refresh_reports_a_change_after_a_task_is_written_but_not_after_a_decision(ledger: Ledger):
    first = await ledger.refresh()
    await ledger.record_decision(decision_of(None))
    second = await ledger.refresh()
    await ledger.begin_task(task("t"))

    assert second == first
    assert await ledger.refresh() != second


async def test_refresh_reports_a_task_that_was_written_in_one_group_with_decisions(ledger: Ledger):
    before = await ledger.refresh()
    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(ledger.record_decision, decision(number))
        group.start_soon(ledger.begin_task, task("t"))

    assert await ledger.refresh() != before


async def test_refresh_reports_no_change_after_a_write_that_was_refused(ledger: Ledger):
    await delegate(ledger, "t")
    before = await ledger.refresh()
    with pytest.raises(BudgetExceeded):
        await ledger.reserve(attempt("t", reserved_usd=9.0), daily_cap_usd=5.0)

    assert await ledger.refresh() == before
