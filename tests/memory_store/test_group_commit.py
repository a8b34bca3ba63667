"""Callers that wait for the disk at once: each is answered by its own row, and all of them by one commit."""

import sqlite3
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
    """A ledger, and the statements that reach its file."""
    statements: list[str] = []
    connection = open_file(tmp_path / LEDGER_FILE)
    connection.set_trace_callback(statements.append)
    ledger = Ledger(connection, tmp_path / LEDGER_FILE, clock)
    yield ledger, statements
    await ledger.aclose()


def decision(number: int) -> NewDecision:
    return NewDecision(f"d{number}", None, "m", "local", "rules", "other", 2.0, 0.5, "why")


def in_file(ledger: Ledger) -> set[str]:
    """The decisions that another process finds."""
    with closing(sqlite3.connect(ledger.path)) as db:
        return {found for (found,) in db.execute("SELECT id FROM decisions")}


async def test_each_of_many_decisions_is_in_the_file_once_its_caller_is_answered(traced):
    ledger, statements = traced
    missing_when_answered: list[str] = []

    async def decide(number: int) -> None:
        await ledger.record_decision(decision(number))
        if f"d{number}" not in in_file(ledger):
            missing_when_answered.append(f"d{number}")

    async with anyio.create_task_group() as group:
        for number in range(CALLERS):
            group.start_soon(decide, number)

    assert missing_when_answered == []
    assert in_file(ledger) == {f"d{number}" for number in range(CALLERS)}
    assert statements.count("COMMIT") == 2  # who came first did not wait for the others


async def test_a_write_that_is_refused_undoes_its_own_rows_alone(ledger: Ledger):
    await delegate(ledger, "t")
    refused: list[BudgetExceeded] = []

    async def spend_too_much() -> None:
        try:
            await ledger.reserve(attempt("t", reserved_usd=9.0), daily_cap_usd=5.0)
        except BudgetExceeded as error:
            refused.append(error)

    async def break_off() -> None:
        def write(db: sqlite3.Connection) -> None:
            db.execute("UPDATE decisions SET reason = 'half done'")
            raise KeyError("half way")

        with pytest.raises(KeyError):
            await ledger.write(write)

    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(ledger.record_decision, decision(number))
            group.start_soon(spend_too_much)
            group.start_soon(break_off)

    assert len(refused) == 4
    assert {f"d{number}" for number in range(4)} <= in_file(ledger)
    assert await ledger.rows("SELECT COUNT(*) FROM decisions WHERE reason = 'half done'") == [(0,)]
    assert await ledger.spent_today_usd() == 0


async def test_a_commit_that_fails_is_told_to_all_who_waited_for_it_and_to_nobody_else(tmp_path: Path, clock):
    connection = open_file(tmp_path / LEDGER_FILE)
    ledger = Ledger(connection, tmp_path / LEDGER_FILE, clock)
    await ledger.begin_task(task("before"))
    connection.execute("PRAGMA busy_timeout = 0")
    told: list[str] = []
    read: list[object] = []

    async def decide(number: int) -> None:
        try:
            await ledger.record_decision(decision(number))
        except LedgerUnusable as error:
            told.append(str(error))

    async def look_up() -> None:
        read.append(await ledger.task("before"))

    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # another process writes, and does not end
        async with anyio.create_task_group() as group:
            for number in range(CALLERS):
                group.start_soon(decide, number)
            group.start_soon(look_up)
        other.execute("ROLLBACK")

    assert len(told) == CALLERS
    assert all(LEDGER_FILE in text for text in told)
    assert in_file(ledger) == set()
    assert [row is not None for row in read] == [True]
    await ledger.record_decision(decision(0))  # and the next is none the worse for it
    assert in_file(ledger) == {"d0"}
    await ledger.aclose()


async def test_whoever_gives_up_waiting_keeps_nobody_from_being_answered(ledger: Ledger):
    async with anyio.create_task_group() as group:
        for number in range(CALLERS):
            group.start_soon(ledger.record_decision, decision(number))
        async with anyio.create_task_group() as impatient:
            for _ in range(CALLERS):
                impatient.start_soon(ledger.identity)
            await anyio.lowlevel.checkpoint()
            impatient.cancel_scope.cancel()

    assert in_file(ledger) == {f"d{number}" for number in range(CALLERS)}
    assert await ledger.identity()


async def test_a_cancelled_writer_still_gets_its_row_written(ledger: Ledger):
    async with anyio.create_task_group() as group:
        for number in range(CALLERS):
            group.start_soon(ledger.record_decision, decision(number))
        await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()

    assert in_file(ledger) == {f"d{number}" for number in range(CALLERS)}


async def test_cached_rows_follow_what_is_written_here_and_elsewhere(tmp_path: Path, clock):
    query = "SELECT COUNT(*) FROM tasks"
    here, elsewhere = await Ledger.open(tmp_path, clock), await Ledger.open(tmp_path, clock)
    nothing = await here.cached_rows(query)
    await here.begin_task(task("mine"))
    mine = await here.cached_rows(query)
    await elsewhere.begin_task(task("theirs"))
    await here.refresh()
    both = await here.cached_rows(query)

    assert (nothing, mine, both) == ([(0,)], [(1,)], [(2,)])
    await here.aclose()
    await elsewhere.aclose()


async def test_cached_rows_are_read_once_while_only_decisions_are_written(traced):
    ledger, statements = traced
    query = "SELECT model FROM aggregates"
    for number in range(3):
        await ledger.refresh()
        await ledger.cached_rows(query)
        await ledger.record_decision(decision(number))

    assert statements.count(query) == 1


async def test_a_look_tells_of_nothing_until_something_is_written(ledger: Ledger):
    first = await ledger.refresh()
    await ledger.record_decision(decision_of(None))
    second = await ledger.refresh()
    await ledger.begin_task(task("t"))

    assert second == first
    assert await ledger.refresh() != second
