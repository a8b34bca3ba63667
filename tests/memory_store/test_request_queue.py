"""The request queue of a server: first come, first served across processes; dead processes are dropped."""

import signal
from pathlib import Path

import anyio
import pytest

from chargehand.memory_store.ledger import Ledger
from chargehand.memory_store.ownership import Owner
from chargehand.memory_store.request_queue import RequestQueue

pytestmark = pytest.mark.anyio

SERVER = "http://127.0.0.1:11434"
BOUND_S = 60


def _ignore(_: int) -> None: ...


@pytest.fixture
async def owner(home: Path):
    owner = await Owner.enter(home)
    yield owner
    await owner.leave()


async def test_a_server_takes_at_most_the_configured_number_of_concurrent_requests(ledger: Ledger, owner: Owner):
    queue = RequestQueue(ledger, owner, at_once=2)
    with anyio.fail_after(BOUND_S):
        await queue.take_turn(SERVER, _ignore)
        await queue.take_turn(SERVER, _ignore)
    with anyio.move_on_after(0.05) as third:
        await queue.take_turn(SERVER, _ignore)

    assert third.cancelled_caught
    assert await ledger.rows("SELECT COUNT(*) FROM tickets") == [(2,)]


async def test_each_server_has_its_own_queue(ledger: Ledger, owner: Owner):
    queue = RequestQueue(ledger, owner, at_once=1)
    with anyio.fail_after(BOUND_S):
        await queue.take_turn(SERVER, _ignore)
        await queue.take_turn("http://gpu-box.lan:11434", _ignore)


async def test_turns_are_first_come_first_served_across_processes_and_report_their_place(
    home: Path, clock, ledger: Ledger
):
    openings = [await Ledger.open(home, clock) for _ in range(3)]
    owners = [await Owner.enter(home) for _ in openings]
    queues = [RequestQueue(connection, owner, at_once=1) for connection, owner in zip(openings, owners, strict=True)]
    first = await queues[0].take_turn(SERVER, _ignore)
    order: list[int] = []
    places: dict[int, list[int]] = {n: [] for n in range(1, 5)}

    async def wait_in_line(number: int, queue: RequestQueue) -> None:
        ticket = await queue.take_turn(SERVER, places[number].append)
        order.append(number)
        await queue.leave(SERVER, ticket)

    with anyio.fail_after(BOUND_S):
        async with anyio.create_task_group() as group:
            for number in places:
                group.start_soon(wait_in_line, number, queues[number % 3])
                while not places[number]:
                    await anyio.lowlevel.checkpoint()
            await queues[0].leave(SERVER, first)

    assert order == [1, 2, 3, 4]
    assert [places_told[0] for places_told in places.values()] == [1, 2, 3, 4]
    assert all(places_told == sorted(set(places_told), reverse=True) for places_told in places.values())
    assert await ledger.rows("SELECT COUNT(*) FROM tickets") == [(0,)]
    for connection, owner in zip(openings, owners, strict=True):
        await owner.leave()
        await connection.aclose()


async def test_a_waiter_of_the_same_process_gets_its_turn_at_once_and_not_at_its_next_look(
    ledger: Ledger, owner: Owner, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("chargehand.memory_store.request_queue._LOOK_EVERY_S", 2 * BOUND_S)
    queue = RequestQueue(ledger, owner, at_once=1)
    first = await queue.take_turn(SERVER, _ignore)
    with anyio.fail_after(BOUND_S):
        async with anyio.create_task_group() as group:
            waiting = anyio.Event()
            group.start_soon(queue.take_turn, SERVER, lambda _: waiting.set())
            await waiting.wait()
            await queue.leave(SERVER, first)


async def test_a_place_that_does_not_change_is_told_once(ledger: Ledger, owner: Owner, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("chargehand.memory_store.request_queue._LOOK_EVERY_S", 0.0)
    queue = RequestQueue(ledger, owner, at_once=1)
    await queue.take_turn(SERVER, _ignore)
    places_told: list[int] = []
    async with anyio.create_task_group() as group:
        group.start_soon(queue.take_turn, SERVER, places_told.append)
        for _ in range(20):  # the waiter looks about as often
            await ledger.identity()
        group.cancel_scope.cancel()

    assert places_told == [1]


async def test_the_ticket_of_a_killed_process_is_dropped(start_writer, ledger: Ledger, owner: Owner):
    places_told: list[int] = []
    with start_writer("hold_turn", SERVER) as (process, _), anyio.fail_after(BOUND_S):
        async with anyio.create_task_group() as group:
            group.start_soon(RequestQueue(ledger, owner, at_once=1).take_turn, SERVER, places_told.append)
            while not places_told:
                await anyio.lowlevel.checkpoint()
            process.send_signal(signal.SIGKILL)
            process.wait(BOUND_S)

    assert places_told == [1]
    assert await ledger.rows("SELECT owner FROM tickets") == [(owner.id,)]


async def test_a_cancelled_wait_leaves_no_ticket(ledger: Ledger, owner: Owner):
    queue = RequestQueue(ledger, owner, at_once=1)
    first = await queue.take_turn(SERVER, _ignore)
    async with anyio.create_task_group() as group:
        waiting = anyio.Event()
        group.start_soon(queue.take_turn, SERVER, lambda _: waiting.set())
        await waiting.wait()
        group.cancel_scope.cancel()
    await queue.leave(SERVER, first)

    assert await ledger.rows("SELECT * FROM tickets") == []
