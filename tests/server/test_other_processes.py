"""Several servers on one data folder: what one began, another collects, ends, or finds abandoned."""

import os
import sqlite3
from pathlib import Path
from typing import Any

import anyio
import pytest
from house import Connect, OpenHouse, Script
from mcp import Client
from rename_task import RENAME, RIGHT, TESTS
from server_process import Process

from chargehand.evaluation.peers.reply import Stall
from chargehand.evaluation.peers.vendors import Vendors, vendors
from chargehand.memory_store.care.exporting import export_memory
from chargehand.memory_store.care.importing import ImportRules, import_memory
from chargehand.memory_store.ledger import Ledger
from chargehand.memory_store.records import NewTask
from chargehand.server.cli import own_services
from chargehand.server.wiring import utc_now
from chargehand.tools.asking import consulting

pytestmark = pytest.mark.anyio

LOCAL, ECONOMY = "qwen3:30b-a3b", "claude-haiku-5-5"
BOUND_S = 60


async def call(client: Client, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool("delegate_generation", arguments)
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content


async def asked(script: Script, times: int = 1) -> None:
    with anyio.fail_after(BOUND_S):
        while len(script.asked) < times:
            await anyio.lowlevel.checkpoint()


def books(tmp_path: Path, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(tmp_path / "chargehand-home" / "ledger.sqlite3") as db:
        return db.execute(query).fetchall()


async def test_another_process_waits_for_a_delegation_and_gets_its_receipt(open_house: OpenHouse, connect: Connect):
    gate = anyio.Event()
    script = Script({LOCAL: [Stall(RIGHT, gate, after=1)]})
    seen: list[str] = []

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        seen.append(message or "")
        if "answering" in (message or ""):
            gate.set()

    async with open_house(script) as house, connect() as other:
        begun = await house.call("delegate_generation", task=RENAME, tests=TESTS, wait_s=0)
        await asked(script)
        running = await call(other, resume=begun["task_id"], wait_s=0)
        arguments = {"resume": begun["task_id"], "wait_s": BOUND_S}
        collected = await other.call_tool("delegate_generation", arguments, progress_callback=progressed)
        receipt = await house.call("delegate_generation", resume=begun["task_id"])

    assert running["status"] == "running"
    assert f'delegate_generation(resume="{begun["task_id"]}")' in running["notes"][0]
    assert receipt["status"] == "succeeded"
    assert collected.structured_content == receipt
    assert any(message.startswith("attempt 1: qwen3-30b-a3b") for message in seen)


async def test_another_process_ends_a_delegation_down_to_the_vendors_connection(
    open_house: OpenHouse, connect: Connect
):
    script = Script({ECONOMY: [Stall(RIGHT, anyio.Event(), after=2)]})
    async with open_house(script, installed=()) as house, connect() as other:
        begun = await house.call("delegate_generation", task=RENAME, wait_s=0)
        await asked(script)
        cancelled = await call(other, resume=begun["task_id"], cancel=True, wait_s=BOUND_S)
        own = await house.call("delegate_generation", resume=begun["task_id"])
        exchange = house.vendors.anthropic.journal.to("/v1/messages")[0]
        with anyio.fail_after(60):
            await exchange.over.wait()

    assert cancelled["status"] == "cancelled"
    assert cancelled == own
    assert cancelled["cost_usd"] > 0
    assert exchange.client_disconnected


async def test_cancelling_what_has_ended_changes_nothing(open_house: OpenHouse, connect: Connect):
    async with open_house(Script({LOCAL: [RIGHT]})) as house, connect() as other:
        receipt = await house.call("delegate_generation", task=RENAME, tests=TESTS)
        again = await call(other, resume=receipt["task_id"], cancel=True)

    assert again == receipt


async def test_whoever_stops_waiting_elsewhere_does_not_end_the_delegation(open_house: OpenHouse, connect: Connect):
    gate = anyio.Event()
    script = Script({LOCAL: [Stall(RIGHT, gate, after=1)]})
    async with open_house(script) as house, connect() as other:
        begun = await house.call("delegate_generation", task=RENAME, tests=TESTS, wait_s=0)
        await asked(script)
        with anyio.move_on_after(0.1):
            await other.call_tool("delegate_generation", {"resume": begun["task_id"]})
        gate.set()
        receipt = await house.call("delegate_generation", resume=begun["task_id"])

    assert receipt["status"] == "succeeded"


@pytest.mark.parametrize("cancel", [False, True])
async def test_a_delegation_that_was_imported_while_it_ran_is_said_to_be_on_another_machine(
    open_house: OpenHouse, tmp_path: Path, cancel: bool
):
    theirs = await Ledger.open(tmp_path / "theirs", utc_now)
    await theirs.begin_task(NewTask("t1", "delegation", RENAME, "refactoring", 1.0, local_only=False, owner="theirs"))
    await export_memory(theirs, tmp_path / "memory.jsonl")
    await theirs.aclose()
    async with own_services() as services:
        await import_memory(services.ledger, tmp_path / "memory.jsonl", ImportRules(lambda _: ("refactoring", 1.0)))

    async with open_house(Script({})) as house:
        said = await house.refusal("delegate_generation", resume="t1", cancel=cancel, wait_s=BOUND_S)

    assert "task t1 was imported while it ran on another machine. Resume or cancel it there" in said


class Doomed:
    """A server process that has begun a delegation and will be killed."""

    def __init__(self, tmp_path: Path, peers: Vendors) -> None:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **peers.environment}
        self._process = Process(environment | {"CHARGEHAND_HOME": str(tmp_path / "chargehand-home")}, tmp_path)

    async def begin(self, **arguments: Any) -> str:
        """The id of a delegation that it works on from now on."""
        await anyio.to_thread.run_sync(self._process.initialize)
        arguments = {"task": RENAME, "wait_s": 0} | arguments
        self._process.send("tools/call", {"name": "delegate_generation", "arguments": arguments}, 2)
        answer = await anyio.to_thread.run_sync(self._process.receive)
        return answer["result"]["structuredContent"]["task_id"]

    def kill(self) -> None:
        self._process.close()


@pytest.fixture
async def killed_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The id of a delegation whose server was killed while a paid request was under way."""
    script = Script({ECONOMY: [Stall(RIGHT, anyio.Event(), after=2)]})
    async with vendors(script, installed=()) as peers:
        for name, value in peers.environment.items():
            monkeypatch.setenv(name, value)
        doomed = Doomed(tmp_path, peers)
        try:
            task_id = await doomed.begin(model="haiku")
            await asked(script)
        finally:
            doomed.kill()
        yield task_id


async def test_a_task_whose_server_was_killed_says_so_and_its_request_counts_at_its_worst_case(
    connect: Connect, killed_at_work: str, tmp_path: Path
):
    reserved = books(tmp_path, "SELECT reserved_usd, cost_usd FROM attempts")
    async with connect() as client:
        receipt = await call(client, resume=killed_at_work)
        again = await call(client, resume=killed_at_work)

    assert receipt["status"] == "failed"
    assert receipt["notes"] == [
        "interrupted: its server ended, or could not record the result (a full disk, say);"
        " an open request counts at its highest possible cost."
    ]
    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["cancelled"]
    assert reserved[0][0] > 0
    assert reserved[0][1] is None
    assert receipt["cost_usd"] == pytest.approx(reserved[0][0], abs=1e-6)
    assert again == receipt
    assert books(tmp_path, "SELECT status, interrupted FROM tasks") == [("failed", 1)]
    assert books(tmp_path, "SELECT cost_usd FROM attempts") == [(reserved[0][0],)]


async def test_the_next_server_closes_the_books_of_a_killed_one_at_its_first_call(
    connect: Connect, killed_at_work: str, tmp_path: Path
):
    async with connect() as client:
        await client.call_tool("route_task", {"task": RENAME})

    assert books(tmp_path, "SELECT id, status FROM tasks") == [(killed_at_work, "failed")]
    assert books(tmp_path, "SELECT COUNT(*) FROM attempts WHERE cost_usd IS NULL") == [(0,)]


async def test_a_server_that_is_killed_while_another_waits_is_noticed(open_house: OpenHouse, tmp_path: Path):
    script = Script({LOCAL: [Stall(RIGHT, anyio.Event(), after=1)]})
    async with open_house(script) as house:
        doomed = Doomed(tmp_path, house.vendors)
        try:
            task_id = await doomed.begin()
            await asked(script)
            receipts: list[dict[str, Any]] = []

            async def collect() -> None:
                receipts.append(await house.call("delegate_generation", resume=task_id, wait_s=60))

            with anyio.fail_after(BOUND_S):
                async with anyio.create_task_group() as group:
                    group.start_soon(collect)
                    await anyio.lowlevel.checkpoint()
                    doomed.kill()
        finally:
            doomed.kill()

    assert receipts[0]["status"] == "failed"
    assert receipts[0]["notes"][0].startswith("interrupted")


async def test_local_generations_of_two_servers_take_turns_and_say_their_place(open_house: OpenHouse, connect: Connect):
    gate = anyio.Event()
    script = Script({LOCAL: [Stall(RIGHT, gate, after=1), RIGHT]})
    seen: list[str] = []
    receipts: list[dict[str, Any]] = []

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        seen.append(message or "")
        if "waiting, 1 ahead" in (message or ""):
            assert len(script.asked) == 1
            gate.set()

    async with open_house(script) as house, connect() as other:
        begun = await house.call("delegate_generation", task=RENAME, tests=TESTS, wait_s=0)
        await asked(script)
        with anyio.fail_after(BOUND_S):
            result = await other.call_tool(
                "delegate_generation", {"task": RENAME, "tests": TESTS}, progress_callback=progressed
            )
        receipts = [result.structured_content or {}, await house.call("delegate_generation", resume=begun["task_id"])]

    assert [receipt["status"] for receipt in receipts] == ["succeeded", "succeeded"]
    assert any("qwen3-30b-a3b waiting, 1 ahead" in message for message in seen)
    assert receipts[0]["attempts"][0]["seconds"] < 5  # its turn's wait is no part of it


async def test_a_killed_server_holds_nobody_up(open_house: OpenHouse, tmp_path: Path):
    script = Script({LOCAL: [Stall(RIGHT, anyio.Event(), after=1), RIGHT]})
    async with open_house(script) as house:
        doomed = Doomed(tmp_path, house.vendors)
        try:
            await doomed.begin()
            await asked(script)
            begun = await house.call("delegate_generation", task=RENAME, tests=TESTS, wait_s=0)
        finally:
            doomed.kill()
        with anyio.fail_after(BOUND_S):
            receipt = await house.call("delegate_generation", resume=begun["task_id"])

    assert receipt["status"] == "succeeded"


async def test_whoever_is_cancelled_in_line_has_asked_nothing_and_leaves_it(
    open_house: OpenHouse, connect: Connect, tmp_path: Path
):
    gate = anyio.Event()
    script = Script({LOCAL: [Stall(RIGHT, gate, after=1), RIGHT]})
    async with open_house(script) as house, connect() as other:
        first = await house.call("delegate_generation", task=RENAME, tests=TESTS, wait_s=0)
        await asked(script)
        waiting = await call(other, task=RENAME, tests=TESTS, wait_s=0)
        with anyio.fail_after(BOUND_S):
            while books(tmp_path, "SELECT COUNT(*) FROM tickets") != [(2,)]:
                await anyio.lowlevel.checkpoint()
        cancelled = await call(other, resume=waiting["task_id"], cancel=True)
        in_line = books(tmp_path, "SELECT COUNT(*) FROM tickets")
        gate.set()
        await house.call("delegate_generation", resume=first["task_id"])

    assert cancelled["status"] == "cancelled"
    assert cancelled["attempts"] == []
    assert len(script.asked) == 1
    assert in_line == [(1,)]
    assert books(tmp_path, "SELECT COUNT(*) FROM tickets") == [(0,)]


@pytest.mark.in_process("a review's time is made short")
async def test_a_review_whose_turn_does_not_come_says_what_is_ahead_of_it(
    open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(consulting, "TIMEOUT_S", 0.1)
    gate = anyio.Event()
    script = Script({LOCAL: [Stall(RIGHT, gate, after=1)]})
    async with open_house(script) as house:
        await house.call("delegate_generation", task=RENAME, wait_s=0)
        await asked(script)
        refusal = await house.refusal("strategic_review", goal="g", progress="p", local_only=True)
        gate.set()

    assert "it did not get its turn in time" in refusal


async def test_a_turn_that_does_not_come_in_time_goes_to_another_model(open_house: OpenHouse):
    gate = anyio.Event()
    script = Script({LOCAL: [Stall(RIGHT, gate, after=1)], ECONOMY: [RIGHT]})
    async with open_house(script) as house:
        first = await house.call("delegate_generation", task=RENAME, wait_s=0)
        await asked(script)
        second = await house.call("delegate_generation", task=RENAME, max_seconds=1, model="local")
        gate.set()
        await house.call("delegate_generation", resume=first["task_id"])

    assert second["status"] == "failed"
    assert second["attempts"] == []
    assert any("did not get its turn in time" in note for note in second["notes"])
