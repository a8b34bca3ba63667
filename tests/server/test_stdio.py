"""The server as a host runs it: a process that speaks JSON-RPC on its pipes, and ends when it is told to."""

import contextlib
import os
import signal
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest
from house import Script
from mcp import Client, StdioServerParameters
from rename_task import RENAME, RIGHT, TESTS
from server_process import COMMAND, Process

from chargehand.evaluation.peers.reply import Stall
from chargehand.evaluation.peers.vendors import vendors

BOUND_S = 60
"""For waits; how long an end really takes is measured, not tested (`chargehand bench latency`)."""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CHARGEHAND_HOME": str(tmp_path / "data")}


@pytest.fixture
def process(environment: dict[str, str], tmp_path: Path) -> Iterator[Process]:
    process = Process(environment, tmp_path)
    try:
        yield process
    finally:
        process.close()


def children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def is_alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("ending", ["SIGTERM", "SIGINT", "end of input"])
def test_an_idle_server_ends_at_once_with_exit_code_0(process: Process, ending: str):
    process.shake_hands()

    end(process, ending)

    assert process.popen.wait(BOUND_S) == 0


def end(process: Process, ending: str) -> None:
    if ending == "end of input":
        assert process.popen.stdin is not None
        process.popen.stdin.close()
    else:
        process.popen.send_signal(getattr(signal, ending))


@pytest.mark.anyio
@pytest.mark.parametrize("ending", ["SIGTERM", "SIGINT", "end of input"])
async def test_a_server_in_the_middle_of_a_call_ends_at_once_and_closes_its_books(
    environment: dict[str, str], tmp_path: Path, ending: str
):
    script = Script({"qwen3:30b-a3b": [Stall(RIGHT, anyio.Event(), after=1)]})
    async with vendors(script) as peers:
        process = Process(environment | peers.environment, tmp_path)
        try:
            await anyio.to_thread.run_sync(process.shake_hands)
            process.send("tools/call", {"name": "delegate_generation", "arguments": {"task": RENAME}}, 2)
            with anyio.fail_after(60):
                await script.was_asked.wait()

            end(process, ending)
            code = await anyio.to_thread.run_sync(process.popen.wait, BOUND_S)
        finally:
            process.close()

    assert code == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "ledger.sqlite3")) as db:
        assert db.execute("SELECT status FROM tasks").fetchall() == [("cancelled",)]
        assert db.execute("SELECT outcome, cost_usd FROM attempts").fetchall() == [("cancelled", 0.0)]


@pytest.mark.anyio
async def test_a_server_that_ends_while_tests_run_leaves_no_child(environment: dict[str, str], tmp_path: Path):
    endless = "import time\nwhile True:\n    time.sleep(0.01)"
    async with vendors(Script({"qwen3:30b-a3b": [RIGHT]})) as peers:
        process = Process(environment | peers.environment, tmp_path)
        try:
            await anyio.to_thread.run_sync(process.shake_hands)
            arguments = {"task": RENAME, "tests": endless}
            process.send("tools/call", {"name": "delegate_generation", "arguments": arguments}, 2)
            with anyio.fail_after(60):
                while not (children := await anyio.to_thread.run_sync(children_of, process.popen.pid)):
                    await anyio.lowlevel.checkpoint()

            process.popen.send_signal(signal.SIGTERM)
            code = await anyio.to_thread.run_sync(process.popen.wait, BOUND_S)
        finally:
            process.close()

    assert code == 0
    assert [child for child in children if is_alive(child)] == []


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_whole_delegation_over_stdio_in_both_eras(environment: dict[str, str], tmp_path: Path, mode: str):
    async with vendors(Script({"qwen3:30b-a3b": [RIGHT]})) as peers:
        server = StdioServerParameters(
            command=COMMAND[0], args=list(COMMAND[1:]), env=environment | peers.environment, cwd=tmp_path
        )
        async with Client(server, mode=mode) as client:
            result = await client.call_tool("delegate_generation", {"task": RENAME, "tests": TESTS})

    assert result.structured_content is not None
    assert result.structured_content["status"] == "succeeded"


@pytest.mark.anyio
async def test_two_servers_at_once_share_one_ledger(environment: dict[str, str], tmp_path: Path):
    async with vendors(Script({"qwen3:30b-a3b": [RIGHT]})) as peers:
        server = StdioServerParameters(
            command=COMMAND[0], args=list(COMMAND[1:]), env=environment | peers.environment, cwd=tmp_path
        )
        async with Client(server) as one, Client(server) as other:
            receipts: list[dict[str, Any]] = []

            async def delegate(client: Client) -> None:
                for _ in range(3):
                    result = await client.call_tool("delegate_generation", {"task": RENAME, "tests": TESTS})
                    receipts.append(result.structured_content or {})

            async with anyio.create_task_group() as group:
                group.start_soon(delegate, one)
                group.start_soon(delegate, other)
            task_id = receipts[0]["task_id"]
            words = [
                await client.call_tool("report_outcome", {"task_id": task_id, "outcome": "accepted"})
                for client in (one, other)
            ]

    assert [receipt["status"] for receipt in receipts] == ["succeeded"] * 6
    assert [word.is_error for word in words] == [False, False]
    assert words[0].structured_content == words[1].structured_content


@pytest.mark.anyio
async def test_what_was_answered_survives_a_kill(environment: dict[str, str], tmp_path: Path):
    async with vendors(Script({"qwen3:30b-a3b": [RIGHT]})) as peers:
        process = Process(environment | peers.environment, tmp_path)
        try:
            await anyio.to_thread.run_sync(process.shake_hands)
            process.send("tools/call", {"name": "delegate_generation", "arguments": {"task": RENAME}}, 2)
            answer = await anyio.to_thread.run_sync(process.receive)
        finally:
            process.close()
        server = StdioServerParameters(
            command=COMMAND[0], args=list(COMMAND[1:]), env=environment | peers.environment, cwd=tmp_path
        )
        receipt = answer["result"]["structuredContent"]
        async with Client(server) as client:
            again = await client.call_tool("delegate_generation", {"resume": receipt["task_id"]})

    assert again.structured_content == receipt


def test_nothing_heavy_is_imported_before_the_handshake(environment: dict[str, str], tmp_path: Path):
    process = Process(environment | {"PYTHONPROFILEIMPORTTIME": "1"}, tmp_path)
    try:
        assert process.popen.stdin is not None
        assert process.popen.stderr is not None
        with ThreadPoolExecutor() as pool:
            # Read as it comes: the list of imports is longer than a pipe is.
            said = pool.submit(process.popen.stderr.read)
            process.shake_hands()
            process.popen.stdin.close()
            imported = {line.rpartition("|")[2].strip() for line in said.result(BOUND_S).decode().splitlines()}
    finally:
        process.close()

    assert "chargehand.server.app" in imported
    assert not {"anthropic", "cerebras", "ollama", "chromadb", "openai", "numpy", "sqlite3"} & imported
    assert not {"chargehand.tools.services", "chargehand.memory_store.ledger", "chargehand.server.wiring"} & imported


@pytest.mark.parametrize("name", ["context_files", "target"])
def test_a_path_that_the_locale_cannot_name_is_refused_with_the_variable_that_helps(
    environment: dict[str, str], tmp_path: Path, name: str
):
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    project = tmp_path / "project"
    project.mkdir()
    process = Process(environment | ascii_only | {"CHARGEHAND_ROOTS": str(project)}, project)
    given = {"context_files": ["日.py"]} if name == "context_files" else {"target": "日.py", "output": "apply"}
    try:
        process.shake_hands()
        process.send("tools/call", {"name": "delegate_generation", "arguments": {"task": RENAME, **given}}, 2)
        result = process.receive()["result"]
    finally:
        process.close()

    assert result["isError"]
    assert f"{name}: this server's locale (ascii) cannot name '日.py'. Set PYTHONUTF8=1" in result["content"][0]["text"]


def test_starting_writes_nothing(process: Process, tmp_path: Path):
    process.shake_hands()

    assert list(tmp_path.iterdir()) == []


def test_only_json_reaches_standard_output(process: Process):
    process.shake_hands()
    process.send("tools/call", {"name": "route_task", "arguments": {"task": "x", "model": "gpt9"}}, 2)
    process.send("tools/call", {"name": "nothing", "arguments": {}}, 3)
    answers = [process.receive(), process.receive()]
    assert process.popen.stdin is not None
    process.popen.stdin.close()
    assert process.popen.stdout is not None

    assert {answer["id"] for answer in answers} == {2, 3}
    assert process.popen.stdout.read() == b""


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{not json", -32700),
        (b"\xff\xfe", -32700),
        (b"[]", -32600),
        (b"17", -32600),
        (b'{"jsonrpc": "2.0", "method": "ping", "id": 1.5}', -32600),
        (b'{"jsonrpc": "2.0", "method": "ping", "id": null}', -32600),
        (b'{"jsonrpc": "2.0", "method": "ping", "id": true}', -32600),
    ],
)
def test_a_line_that_is_no_message_is_answered_and_the_next_one_is_served(process: Process, line: bytes, code: int):
    assert process.popen.stdin is not None
    process.popen.stdin.write(line + b"\n")
    process.popen.stdin.flush()
    complaint = process.receive()

    assert (complaint["id"], complaint["error"]["code"]) == (None, code)
    assert process.shake_hands()["result"]["serverInfo"]["name"] == "chargehand"


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        (b'{"jsonrpc": "1.0", "method": "ping", "id": "seven"}', -32600, "not a JSON-RPC 2.0 message"),
        (b'{"jsonrpc": "2.0", "method": "ping", "params": [], "id": "seven"}', -32600, "params are an object"),
        (b'{"jsonrpc": "2.0", "method": "ping", "params": {"x": "\\ud83d"}, "id": "seven"}', -32700, "\\ud83d"),
    ],
)
def test_a_request_that_is_no_message_is_answered_by_its_id(process: Process, line: bytes, code: int, told: str):
    assert process.popen.stdin is not None
    process.popen.stdin.write(b"\n \r\n" + line + b"\n")
    process.popen.stdin.flush()
    complaint = process.receive()

    assert (complaint["id"], complaint["error"]["code"]) == ("seven", code)
    assert told in complaint["error"]["message"]


def test_a_host_that_no_longer_reads_is_the_end_of_the_input(process: Process):
    process.shake_hands()
    assert process.popen.stdout is not None
    assert process.popen.stderr is not None
    process.popen.stdout.close()

    process.send("ping", {}, 2)

    assert process.popen.wait(BOUND_S) == 0
    assert process.popen.stderr.read() == b""


def test_a_host_that_closes_the_input_and_reads_nothing_is_not_waited_for_for_ever(process: Process):
    process.shake_hands()
    assert process.popen.stdin is not None
    for number in range(2, 22):  # more than a pipe holds
        process.send("tools/list", {}, number)

    process.popen.stdin.close()

    assert process.popen.wait(BOUND_S) == 0


def test_every_process_lists_the_same_to_the_byte(environment: dict[str, str], tmp_path: Path):
    lists: list[list[bytes]] = []
    for seed in ("1", "2"):
        process = Process(environment | {"PYTHONHASHSEED": seed}, tmp_path)
        try:
            process.shake_hands()
            answers: list[bytes] = []
            for method in ("tools/list", "prompts/list", "resources/list", "resources/templates/list"):
                process.send(method, {}, 2)
                assert process.popen.stdout is not None
                answers.append(process.popen.stdout.readline())
            lists.append(answers)
        finally:
            process.close()

    assert lists[0] == lists[1]
    assert all(b'"result"' in answer for answer in lists[0])
