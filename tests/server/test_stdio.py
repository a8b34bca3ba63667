"""The stdio server as a host runs it: a process that exchanges JSON-RPC over its pipes and exits when asked to."""

import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from opened_ledger import opened_ledger
from rename_task import RENAME, RIGHT, TESTS
from running_server import Script
from server_process import COMMAND, Process

from chargehand.evaluation.peers.reply import Stall
from chargehand.evaluation.peers.vendors import vendors

BOUND_S = 60
"""Upper bound of each wait. Shutdown time is measured by `chargehand bench latency`, not tested here."""


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
def test_an_idle_server_exits_with_code_0_on_a_signal_or_end_of_input(process: Process, ending: str):
    process.initialize()

    stop(process, ending)

    assert process.popen.wait(BOUND_S) == 0


def stop(process: Process, ending: str) -> None:
    if ending == "end of input":
        assert process.popen.stdin is not None
        process.popen.stdin.close()
    else:
        process.popen.send_signal(getattr(signal, ending))


@pytest.mark.anyio
@pytest.mark.parametrize("ending", ["SIGTERM", "SIGINT", "SIGHUP", "end of input"])
async def test_a_server_stopped_during_a_call_exits_with_code_0_and_records_the_cancellation(
    environment: dict[str, str], tmp_path: Path, ending: str
):
    script = Script({"qwen3:30b-a3b": [Stall(RIGHT, anyio.Event(), after=1)]})
    async with vendors(script) as peers:
        process = Process(environment | peers.environment, tmp_path)
        try:
            await anyio.to_thread.run_sync(process.initialize)
            process.send("tools/call", {"name": "delegate_generation", "arguments": {"task": RENAME}}, 2)
            with anyio.fail_after(60):
                await script.was_asked.wait()

            stop(process, ending)
            exit_code = await anyio.to_thread.run_sync(process.popen.wait, BOUND_S)
        finally:
            process.close()

    assert exit_code == 0
    with opened_ledger(tmp_path / "data") as db:
        assert db.execute("SELECT status FROM tasks").fetchall() == [("cancelled",)]
        assert db.execute("SELECT outcome, cost_usd FROM attempts").fetchall() == [("cancelled", 0.0)]


@pytest.mark.anyio
async def test_a_server_stopped_while_tests_run_leaves_no_child_process(environment: dict[str, str], tmp_path: Path):
    endless = "import time\nwhile True:\n    time.sleep(0.01)"
    async with vendors(Script({"qwen3:30b-a3b": [RIGHT]})) as peers:
        process = Process(environment | peers.environment, tmp_path)
        try:
            await anyio.to_thread.run_sync(process.initialize)
            arguments = {"task": RENAME, "tests": endless}
            process.send("tools/call", {"name": "delegate_generation", "arguments": arguments}, 2)
            with anyio.fail_after(60):
                while not (children := await anyio.to_thread.run_sync(children_of, process.popen.pid)):
                    await anyio.lowlevel.checkpoint()

            process.popen.send_signal(signal.SIGTERM)
            exit_code = await anyio.to_thread.run_sync(process.popen.wait, BOUND_S)
        finally:
            process.close()

    assert exit_code == 0
    assert [child for child in children if is_alive(child)] == []


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_delegation_succeeds_over_stdio_in_both_protocol_eras(
    environment: dict[str, str], tmp_path: Path, mode: str
):
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
        async with Client(server) as first, Client(server) as second:
            receipts: list[dict[str, Any]] = []

            async def delegate(client: Client) -> None:
                for _ in range(3):
                    result = await client.call_tool("delegate_generation", {"task": RENAME, "tests": TESTS})
                    receipts.append(result.structured_content or {})

            async with anyio.create_task_group() as group:
                group.start_soon(delegate, first)
                group.start_soon(delegate, second)
            task_id = receipts[0]["task_id"]
            reports = [
                await client.call_tool("report_outcome", {"task_id": task_id, "outcome": "accepted"})
                for client in (first, second)
            ]

    assert [receipt["status"] for receipt in receipts] == ["succeeded"] * 6
    assert [report.is_error for report in reports] == [False, False]
    assert reports[0].structured_content == reports[1].structured_content


@pytest.mark.anyio
async def test_an_answered_delegation_survives_sigkill(environment: dict[str, str], tmp_path: Path):
    async with vendors(Script({"qwen3:30b-a3b": [RIGHT]})) as peers:
        process = Process(environment | peers.environment, tmp_path)
        try:
            await anyio.to_thread.run_sync(process.initialize)
            process.send("tools/call", {"name": "delegate_generation", "arguments": {"task": RENAME}}, 2)
            response = await anyio.to_thread.run_sync(process.receive)
        finally:
            process.close()
        server = StdioServerParameters(
            command=COMMAND[0], args=list(COMMAND[1:]), env=environment | peers.environment, cwd=tmp_path
        )
        receipt = response["result"]["structuredContent"]
        async with Client(server) as client:
            resumed = await client.call_tool("delegate_generation", {"resume": receipt["task_id"]})

    assert resumed.structured_content == receipt


def test_the_handshake_imports_no_vendor_sdk_and_no_ledger(environment: dict[str, str], tmp_path: Path):
    process = Process(environment | {"PYTHONPROFILEIMPORTTIME": "1"}, tmp_path)
    try:
        assert process.popen.stdin is not None
        assert process.popen.stderr is not None
        with ThreadPoolExecutor() as pool:
            # Read concurrently: the list of imports is longer than a pipe's buffer.
            import_log = pool.submit(process.popen.stderr.read)
            process.initialize()
            process.popen.stdin.close()
            imported = {line.rpartition("|")[2].strip() for line in import_log.result(BOUND_S).decode().splitlines()}
    finally:
        process.close()

    assert "chargehand.server.app" in imported
    assert not {"anthropic", "cerebras", "ollama", "chromadb", "openai", "numpy", "sqlite3"} & imported
    assert not {"chargehand.tools.services", "chargehand.memory_store.ledger", "chargehand.server.wiring"} & imported


@pytest.mark.parametrize("name", ["context_files", "target"])
def test_a_path_the_locale_cannot_encode_is_refused_with_the_variable_to_set(
    environment: dict[str, str], tmp_path: Path, name: str
):
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    project = tmp_path / "project"
    project.mkdir()
    process = Process(environment | ascii_only | {"CHARGEHAND_ROOTS": str(project)}, project)
    path_arguments = {"context_files": ["日.py"]} if name == "context_files" else {"target": "日.py", "output": "apply"}
    try:
        process.initialize()
        process.send("tools/call", {"name": "delegate_generation", "arguments": {"task": RENAME, **path_arguments}}, 2)
        result = process.receive()["result"]
    finally:
        process.close()

    assert result["isError"]
    assert f"{name}: this server's locale (ascii) cannot name '日.py'. Set PYTHONUTF8=1" in result["content"][0]["text"]


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no file names that are not UTF-8")
def test_a_message_that_names_a_folder_that_is_not_utf8_does_not_end_the_server(
    environment: dict[str, str], tmp_path: Path
):
    home = tmp_path / os.fsdecode(b"data-\xff")
    (home / "ledger.sqlite3").mkdir(parents=True)
    process = Process(environment | {"CHARGEHAND_HOME": str(home)}, tmp_path)
    try:
        process.initialize()
        results: list[dict[str, Any]] = []
        for number in (2, 3):
            process.send("tools/call", {"name": "route_task", "arguments": {"task": RENAME}}, number)
            results.append(process.receive()["result"])
    finally:
        process.close()

    for result in results:
        assert result["isError"]
        assert f"the ledger {tmp_path}/data-\ufffd/ledger.sqlite3 cannot be used" in result["content"][0]["text"]


def test_startup_and_handshake_write_no_files(process: Process, tmp_path: Path):
    process.initialize()

    assert list(tmp_path.iterdir()) == []


def test_standard_output_carries_only_json_rpc_messages(process: Process):
    process.initialize()
    process.send("tools/call", {"name": "route_task", "arguments": {"task": "x", "model": "gpt9"}}, 2)
    process.send("tools/call", {"name": "nothing", "arguments": {}}, 3)
    responses = [process.receive(), process.receive()]
    assert process.popen.stdin is not None
    process.popen.stdin.close()
    assert process.popen.stdout is not None

    assert {response["id"] for response in responses} == {2, 3}
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
def test_an_invalid_message_gets_an_error_response_and_the_next_one_is_served(process: Process, line: bytes, code: int):
    assert process.popen.stdin is not None
    process.popen.stdin.write(line + b"\n")
    process.popen.stdin.flush()
    response = process.receive()

    assert (response["id"], response["error"]["code"]) == (None, code)
    assert process.initialize()["result"]["serverInfo"]["name"] == "chargehand"


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        (b'{"jsonrpc": "1.0", "method": "ping", "id": "seven"}', -32600, "not a JSON-RPC 2.0 message"),
        (b'{"jsonrpc": "2.0", "method": "ping", "params": [], "id": "seven"}', -32600, "params are an object"),
        (b'{"jsonrpc": "2.0", "method": "ping", "params": {"x": "\\ud83d"}, "id": "seven"}', -32700, "\\ud83d"),
    ],
)
def test_an_invalid_request_gets_an_error_response_with_its_id(process: Process, line: bytes, code: int, reason: str):
    assert process.popen.stdin is not None
    process.popen.stdin.write(b"\n \r\n" + line + b"\n")
    process.popen.stdin.flush()
    response = process.receive()

    assert (response["id"], response["error"]["code"]) == ("seven", code)
    assert reason in response["error"]["message"]


def test_the_server_exits_with_code_0_when_the_host_closes_its_output_pipe(process: Process):
    process.initialize()
    assert process.popen.stdout is not None
    assert process.popen.stderr is not None
    process.popen.stdout.close()

    process.send("ping", {}, 2)

    assert process.popen.wait(BOUND_S) == 0
    assert process.popen.stderr.read() == b""


def test_the_server_exits_at_end_of_input_even_if_the_host_reads_no_responses(process: Process):
    process.initialize()
    assert process.popen.stdin is not None
    for number in range(2, 22):  # more than a pipe's buffer holds
        process.send("tools/list", {}, number)

    process.popen.stdin.close()

    assert process.popen.wait(BOUND_S) == 0


def test_every_server_process_sends_byte_identical_lists(environment: dict[str, str], tmp_path: Path):
    lists: list[list[bytes]] = []
    for seed in ("1", "2"):
        process = Process(environment | {"PYTHONHASHSEED": seed}, tmp_path)
        try:
            process.initialize()
            responses: list[bytes] = []
            for method in ("tools/list", "prompts/list", "resources/list", "resources/templates/list"):
                process.send(method, {}, 2)
                assert process.popen.stdout is not None
                responses.append(process.popen.stdout.readline())
            lists.append(responses)
        finally:
            process.close()

    assert lists[0] == lists[1]
    assert all(b'"result"' in response for response in lists[0])
