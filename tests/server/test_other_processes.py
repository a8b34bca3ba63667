"""Several servers on one data folder: one can collect, cancel or clean up what another started."""

import os
import shutil
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from opened_ledger import opened_ledger
from rename_task import RENAME, RIGHT, TESTS
from running_server import Connect, OpenServer, Script
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


async def wait_for_requests(script: Script, times: int = 1) -> None:
    with anyio.fail_after(BOUND_S):
        while len(script.asked) < times:
            await anyio.lowlevel.checkpoint()


def query_ledger(tmp_path: Path, query: str) -> list[tuple[Any, ...]]:
    with opened_ledger(tmp_path / "chargehand-home") as db:
        return db.execute(query).fetchall()


async def test_another_server_can_wait_for_a_delegation_and_get_its_receipt(open_server: OpenServer, connect: Connect):
    gate = anyio.Event()
    script = Script({LOCAL: [Stall(RIGHT, gate, after=1)]})
    messages: list[str] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        messages.append(message or "")
        if "answering" in (message or ""):
            gate.set()

    async with open_server(script) as server, connect() as other:
        started = await server.call("delegate_generation", task=RENAME, tests=TESTS, wait_s=0)
        await wait_for_requests(script)
        running = await call(other, resume=started["task_id"], wait_s=0)
        arguments = {"resume": started["task_id"], "wait_s": BOUND_S}
        collected = await other.call_tool("delegate_generation", arguments, progress_callback=on_progress)
        receipt = await server.call("delegate_generation", resume=started["task_id"])

    assert running["status"] == "running"
    assert f'delegate_generation(resume="{started["task_id"]}")' in running["notes"][0]
    assert receipt["status"] == "succeeded"
    assert collected.structured_content == receipt
    assert any(message.startswith("attempt 1: qwen3-30b-a3b") for message in messages)


async def test_another_server_can_cancel_a_delegation_and_the_vendor_connection_closes(
    open_server: OpenServer, connect: Connect
):
    script = Script({ECONOMY: [Stall(RIGHT, anyio.Event(), after=2)]})
    async with open_server(script, installed=()) as server, connect() as other:
        started = await server.call("delegate_generation", task=RENAME, wait_s=0)
        await wait_for_requests(script)
        cancelled = await call(other, resume=started["task_id"], cancel=True, wait_s=BOUND_S)
        own = await server.call("delegate_generation", resume=started["task_id"])
        exchange = server.vendors.anthropic.journal.to("/v1/messages")[0]
        with anyio.fail_after(60):
            await exchange.over.wait()

    assert cancelled["status"] == "cancelled"
    assert cancelled == own
    assert cancelled["cost_usd"] > 0
    assert exchange.client_disconnected


async def test_cancelling_a_finished_delegation_changes_nothing(open_server: OpenServer, connect: Connect):
    async with open_server(Script({LOCAL: [RIGHT]})) as server, connect() as other:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS)
        cancelled = await call(other, resume=receipt["task_id"], cancel=True)

    assert cancelled == receipt


async def test_a_waiting_client_that_gives_up_does_not_end_the_delegation(open_server: OpenServer, connect: Connect):
    gate = anyio.Event()
    script = Script({LOCAL: [Stall(RIGHT, gate, after=1)]})
    async with open_server(script) as server, connect() as other:
        started = await server.call("delegate_generation", task=RENAME, tests=TESTS, wait_s=0)
        await wait_for_requests(script)
        with anyio.move_on_after(0.1):
            await other.call_tool("delegate_generation", {"resume": started["task_id"]})
        gate.set()
        receipt = await server.call("delegate_generation", resume=started["task_id"])

    assert receipt["status"] == "succeeded"


@pytest.mark.parametrize("cancel", [False, True])
async def test_a_delegation_imported_while_running_is_refused_as_running_elsewhere(
    open_server: OpenServer, tmp_path: Path, cancel: bool
):
    other_ledger = await Ledger.open(tmp_path / "theirs", utc_now)
    await other_ledger.begin_task(
        NewTask("t1", "delegation", RENAME, "refactoring", 1.0, local_only=False, owner="theirs")
    )
    await export_memory(other_ledger, tmp_path / "memory.jsonl")
    await other_ledger.aclose()
    async with own_services() as services:
        await import_memory(services.ledger, tmp_path / "memory.jsonl", ImportRules(lambda _: ("refactoring", 1.0)))

    async with open_server(Script({})) as server:
        refusal = await server.refusal("delegate_generation", resume="t1", cancel=cancel, wait_s=BOUND_S)

    assert "task t1 was imported while it ran on another machine. Resume or cancel it there" in refusal


class KilledServer:
    """A server process that starts a delegation and is then killed."""

    def __init__(self, tmp_path: Path, peers: Vendors) -> None:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **peers.environment}
        self._process = Process(environment | {"CHARGEHAND_HOME": str(tmp_path / "chargehand-home")}, tmp_path)

    async def begin(self, **arguments: Any) -> str:
        """Starts a delegation and returns its task id."""
        await anyio.to_thread.run_sync(self._process.initialize)
        arguments = {"task": RENAME, "wait_s": 0} | arguments
        self._process.send("tools/call", {"name": "delegate_generation", "arguments": arguments}, 2)
        answer = await anyio.to_thread.run_sync(self._process.receive)
        return answer["result"]["structuredContent"]["task_id"]

    def kill(self) -> None:
        self._process.close()


@pytest.fixture
async def killed_task_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The id of a delegation whose server was killed during a paid request."""
    script = Script({ECONOMY: [Stall(RIGHT, anyio.Event(), after=2)]})
    async with vendors(script, installed=()) as peers:
        for name, value in peers.environment.items():
            monkeypatch.setenv(name, value)
        killed_server = KilledServer(tmp_path, peers)
        try:
            task_id = await killed_server.begin(model="haiku")
            await wait_for_requests(script)
        finally:
            killed_server.kill()
        yield task_id


async def test_a_task_of_a_killed_server_fails_and_its_open_request_costs_the_worst_case(
    connect: Connect, killed_task_id: str, tmp_path: Path
):
    reserved = query_ledger(tmp_path, "SELECT reserved_usd, cost_usd FROM attempts")
    async with connect() as client:
        receipt = await call(client, resume=killed_task_id)
        second_receipt = await call(client, resume=killed_task_id)

    assert receipt["status"] == "failed"
    assert receipt["notes"] == [
        "interrupted: its server ended, or could not record the result (a full disk, say);"
        " an open request counts at its highest possible cost."
    ]
    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["cancelled"]
    assert reserved[0][0] > 0
    assert reserved[0][1] is None
    assert receipt["cost_usd"] == pytest.approx(reserved[0][0], abs=1e-6)
    assert second_receipt == receipt
    assert query_ledger(tmp_path, "SELECT status, interrupted FROM tasks") == [("failed", 1)]
    assert query_ledger(tmp_path, "SELECT cost_usd FROM attempts") == [(reserved[0][0],)]


async def test_the_first_call_of_the_next_server_settles_the_tasks_of_a_killed_one(
    connect: Connect, killed_task_id: str, tmp_path: Path
):
    async with connect() as client:
        await client.call_tool("route_task", {"task": RENAME})

    assert query_ledger(tmp_path, "SELECT id, status FROM tasks") == [(killed_task_id, "failed")]
    assert query_ledger(tmp_path, "SELECT COUNT(*) FROM attempts WHERE cost_usd IS NULL") == [(0,)]


async def test_a_waiting_server_notices_that_the_working_server_was_killed(open_server: OpenServer, tmp_path: Path):
    script = Script({LOCAL: [Stall(RIGHT, anyio.Event(), after=1)]})
    async with open_server(script) as server:
        killed_server = KilledServer(tmp_path, server.vendors)
        try:
            task_id = await killed_server.begin()
            await wait_for_requests(script)
            receipts = [await server.call("delegate_generation", resume=task_id, wait_s=0)]

            async def collect() -> None:
                receipts.append(await server.call("delegate_generation", resume=task_id, wait_s=60))

            with anyio.fail_after(BOUND_S):
                async with anyio.create_task_group() as group:
                    group.start_soon(collect)
                    await anyio.lowlevel.checkpoint()
                    killed_server.kill()
        finally:
            killed_server.kill()

    assert [receipt["status"] for receipt in receipts] == ["running", "failed"]
    assert receipts[1]["notes"][0].startswith("interrupted")


async def test_local_generations_of_two_servers_queue_and_report_their_position(
    open_server: OpenServer, connect: Connect
):
    gate = anyio.Event()
    script = Script({LOCAL: [Stall(RIGHT, gate, after=1), RIGHT]})
    messages: list[str] = []
    receipts: list[dict[str, Any]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        messages.append(message or "")
        if "waiting, 1 ahead" in (message or ""):
            assert len(script.asked) == 1
            gate.set()

    async with open_server(script) as server, connect() as other:
        started = await server.call("delegate_generation", task=RENAME, tests=TESTS, wait_s=0)
        await wait_for_requests(script)
        with anyio.fail_after(BOUND_S):
            result = await other.call_tool(
                "delegate_generation", {"task": RENAME, "tests": TESTS}, progress_callback=on_progress
            )
        receipts = [
            result.structured_content or {},
            await server.call("delegate_generation", resume=started["task_id"]),
        ]

    assert [receipt["status"] for receipt in receipts] == ["succeeded", "succeeded"]
    assert any("qwen3-30b-a3b waiting, 1 ahead" in message for message in messages)
    assert receipts[0]["attempts"][0]["seconds"] < 5  # without the time in the queue


async def test_a_killed_server_does_not_block_the_queue(open_server: OpenServer, tmp_path: Path):
    script = Script({LOCAL: [Stall(RIGHT, anyio.Event(), after=1), RIGHT]})
    async with open_server(script) as server:
        killed_server = KilledServer(tmp_path, server.vendors)
        try:
            await killed_server.begin()
            await wait_for_requests(script)
            started = await server.call("delegate_generation", task=RENAME, tests=TESTS, wait_s=0)
        finally:
            killed_server.kill()
        with anyio.fail_after(BOUND_S):
            receipt = await server.call("delegate_generation", resume=started["task_id"])

    assert receipt["status"] == "succeeded"


async def test_a_task_cancelled_in_the_queue_leaves_it_without_a_request(
    open_server: OpenServer, connect: Connect, tmp_path: Path
):
    gate = anyio.Event()
    script = Script({LOCAL: [Stall(RIGHT, gate, after=1), RIGHT]})
    async with open_server(script) as server, connect() as other:
        first = await server.call("delegate_generation", task=RENAME, tests=TESTS, wait_s=0)
        await wait_for_requests(script)
        waiting = await call(other, task=RENAME, tests=TESTS, wait_s=0)
        with anyio.fail_after(BOUND_S):
            while query_ledger(tmp_path, "SELECT COUNT(*) FROM tickets") != [(2,)]:
                await anyio.lowlevel.checkpoint()
        cancelled = await call(other, resume=waiting["task_id"], cancel=True)
        queued = query_ledger(tmp_path, "SELECT COUNT(*) FROM tickets")
        gate.set()
        await server.call("delegate_generation", resume=first["task_id"])

    assert cancelled["status"] == "cancelled"
    assert cancelled["attempts"] == []
    assert len(script.asked) == 1
    assert queued == [(1,)]
    assert query_ledger(tmp_path, "SELECT COUNT(*) FROM tickets") == [(0,)]


@pytest.mark.in_process("it patches the timeout of reviews")
async def test_a_review_that_times_out_in_the_queue_says_so(open_server: OpenServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(consulting, "TIMEOUT_S", 0.1)
    gate = anyio.Event()
    script = Script({LOCAL: [Stall(RIGHT, gate, after=1)]})
    async with open_server(script) as server:
        await server.call("delegate_generation", task=RENAME, wait_s=0)
        await wait_for_requests(script)
        refusal = await server.refusal("strategic_review", goal="g", progress="p", local_only=True)
        gate.set()

    assert "it did not get its turn in time" in refusal


async def test_a_pinned_delegation_that_times_out_in_the_queue_fails_without_an_attempt(open_server: OpenServer):
    gate = anyio.Event()
    script = Script({LOCAL: [Stall(RIGHT, gate, after=1)], ECONOMY: [RIGHT]})
    async with open_server(script) as server:
        first = await server.call("delegate_generation", task=RENAME, wait_s=0)
        await wait_for_requests(script)
        second = await server.call("delegate_generation", task=RENAME, max_seconds=1, model="local")
        gate.set()
        await server.call("delegate_generation", resume=first["task_id"])

    assert second["status"] == "failed"
    assert second["attempts"] == []
    assert any("did not get its turn in time" in note for note in second["notes"])


@pytest.mark.parametrize("damage", ["deleted", "replaced"])
async def test_calls_are_refused_without_a_request_while_the_data_folder_is_missing_or_replaced(
    open_server: OpenServer, tmp_path: Path, damage: str
):
    home, script = tmp_path / "chargehand-home", Script({LOCAL: [RIGHT]})
    async with open_server(script) as server:
        before = await server.call("delegate_generation", task=RENAME, tests=TESTS)
        home.rename(tmp_path / "away")
        if damage == "replaced":
            async with own_services():
                pass
        refusals = [
            await server.refusal("delegate_generation", task=RENAME),
            await server.refusal("route_task", task=RENAME),
            await server.refusal("report_outcome", task_id=before["task_id"], outcome="accepted"),
        ]
        shutil.rmtree(home, ignore_errors=True)
        (tmp_path / "away").rename(home)
        after = await server.call("report_outcome", task_id=before["task_id"], outcome="accepted")

    for refusal in refusals:
        assert f"the ledger {home / 'ledger.sqlite3'} was moved, deleted or replaced while it was in use" in refusal
        assert "Put it back, or restart the server" in refusal
    assert len(script.asked) == 1
    assert after["good"] == 1
