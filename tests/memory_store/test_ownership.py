"""Liveness of owners, and how the tasks of dead processes are closed."""

import signal
import subprocess
from pathlib import Path

import anyio
import pytest
from ledger_rows import attempt, finish, settlement, task

from chargehand.memory_store.ledger import Ledger
from chargehand.memory_store.ownership import FOLDER, Owner
from chargehand.memory_store.under_way import close_abandoned, close_task, read_state, request_cancellation

pytestmark = pytest.mark.anyio


def _kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(60)


async def test_an_owner_is_alive_until_it_leaves(home: Path):
    first, second = await Owner.enter(home), await Owner.enter(home)

    assert await second.is_alive(first.id)
    assert await first.is_alive(first.id)
    await first.leave()
    assert not await second.is_alive(first.id)
    await second.leave()
    assert list((home / FOLDER).iterdir()) == []


async def test_an_unknown_owner_is_dead(home: Path):
    owner = await Owner.enter(home)

    assert not await owner.is_alive("4711-nobody")
    assert not await owner.is_alive("../ledger.sqlite3")
    await owner.leave()


async def test_a_killed_process_is_dead_immediately_and_its_file_is_removed(start_writer, home: Path):
    owner = await Owner.enter(home)
    with start_writer("live") as (process, other_id):
        assert await owner.is_alive(other_id)
        _kill(process)

        assert not await owner.is_alive(other_id)
    assert [path.name for path in (home / FOLDER).iterdir()] == [owner.id]
    await owner.leave()


async def test_entering_removes_the_files_of_dead_owners(start_writer, home: Path):
    with start_writer("live") as (process, _):
        _kill(process)
    owner = await Owner.enter(home)

    assert [path.name for path in (home / FOLDER).iterdir()] == [owner.id]
    await owner.leave()


async def test_many_owners_can_enter_concurrently(home: Path):
    owners: list[Owner] = []

    async def enter() -> None:
        owners.append(await Owner.enter(home))

    async with anyio.create_task_group() as group:
        for _ in range(30):
            group.start_soon(enter)

    assert [await owners[0].is_alive(owner.id) for owner in owners] == [True] * 30
    for owner in owners:
        await owner.leave()


async def test_the_task_of_a_dead_process_is_closed_once_and_its_reservation_counts_in_full(
    start_writer, home: Path, ledger: Ledger, clock
):
    owner = await Owner.enter(home)
    with start_writer("own_and_wait", "t1", "0.75") as (process, _):
        await close_abandoned(ledger, owner, clock().timestamp())
        while_alive = await read_state(ledger, "t1")
        _kill(process)
        await close_abandoned(ledger, owner, clock().timestamp())
    closed_at = clock().timestamp()
    clock.advance(hours=1)
    await close_abandoned(ledger, owner, clock().timestamp())
    await close_task(ledger, "t1", clock().timestamp())

    assert while_alive is not None
    assert while_alive.status == "running"
    closed = await ledger.task("t1")
    assert closed is not None
    assert (closed.status, closed.finished_at) == ("failed", closed_at)
    assert await ledger.rows("SELECT interrupted FROM tasks") == [(1,)]
    assert await ledger.rows("SELECT outcome, cost_usd FROM attempts") == [("cancelled", 0.75)]
    await owner.leave()


async def test_an_abandoned_task_with_a_cancellation_request_ends_as_cancelled(
    start_writer, home: Path, ledger: Ledger, clock
):
    owner = await Owner.enter(home)
    with start_writer("own_and_wait", "t1", "0.5") as (process, _):
        await request_cancellation(ledger, "t1", clock().timestamp())
        _kill(process)
    await close_abandoned(ledger, owner, clock().timestamp())

    closed = await read_state(ledger, "t1")
    assert closed is not None
    assert closed.status == "cancelled"
    await owner.leave()


async def test_finished_tasks_of_a_dead_process_stay_unchanged(home: Path, ledger: Ledger, clock):
    owner = await Owner.enter(home)
    await ledger.begin_task(task("t1", owner="4711-dead"))
    attempt_id = await ledger.reserve(attempt("t1", reserved_usd=1.0), daily_cap_usd=None)
    await ledger.settle(attempt_id, settlement(cost_usd=0.25))
    await ledger.finish_task("t1", finish())
    before = await ledger.task("t1")

    await close_abandoned(ledger, owner, clock().timestamp())
    await close_task(ledger, "t1", clock().timestamp())

    assert await ledger.task("t1") == before
    assert await ledger.rows("SELECT cost_usd FROM attempts") == [(0.25,)]
    await owner.leave()


async def test_only_the_open_requests_of_a_dead_process_are_booked_at_their_worst_case(
    home: Path, ledger: Ledger, clock
):
    owner = await Owner.enter(home)
    await ledger.begin_task(task("t1", owner="4711-dead"))
    await ledger.begin_task(task("t2", owner=owner.id))
    ended = await ledger.reserve(attempt("t1", reserved_usd=1.0), daily_cap_usd=None)
    await ledger.settle(ended, settlement(cost_usd=0.25))
    await ledger.reserve(attempt("t1", reserved_usd=0.5), daily_cap_usd=None)
    await ledger.reserve(attempt("t2", reserved_usd=2.0), daily_cap_usd=None)

    await close_abandoned(ledger, owner, clock().timestamp())

    assert await ledger.rows("SELECT cost_usd FROM attempts ORDER BY id") == [(0.25,), (0.5,), (None,)]
    await owner.leave()


async def test_a_task_without_an_owner_is_closed_after_two_hours_and_not_before(home: Path, ledger: Ledger, clock):
    owner = await Owner.enter(home)
    await ledger.begin_task(task("t1"))
    clock.advance(minutes=90)
    await close_abandoned(ledger, owner, clock().timestamp())
    during = await read_state(ledger, "t1")
    clock.advance(minutes=31)
    await close_abandoned(ledger, owner, clock().timestamp())
    after = await read_state(ledger, "t1")

    assert during is not None
    assert after is not None
    assert (during.status, after.status) == ("running", "failed")
    await owner.leave()
