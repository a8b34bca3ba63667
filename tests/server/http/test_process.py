"""`chargehand serve --http` as a process: how it starts, logs and shuts down."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import pytest
from mcp import Client, MCPError
from mcp_http import HEADERS, LIST_TOOLS, tool_call
from opened_ledger import opened_ledger
from rename_task import RENAME, RIGHT
from running_server import Script

from chargehand.evaluation.peers.reply import Stall
from chargehand.evaluation.peers.vendors import vendors

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="signals")]

BOUND_S = 60
"""Upper bound of each wait; no test measures the time."""


class Server:
    def __init__(self, environment: dict[str, str], folder: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "chargehand.server", "serve", "--http", *arguments]
        self.popen = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=folder)

    def next_line(self) -> str:
        assert self.popen.stderr is not None
        return self.popen.stderr.readline().strip()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CHARGEHAND_HOME": str(tmp_path / "data")}


@pytest.fixture
def started() -> Iterator[list[Server]]:
    servers: list[Server] = []
    yield servers
    for server in servers:
        server.popen.kill()
        server.popen.wait()
        assert server.popen.stderr is not None
        server.popen.stderr.close()


@pytest.mark.parametrize(
    ("signal_number", "era"), [(signal.SIGTERM, "legacy"), (signal.SIGINT, "auto"), (signal.SIGHUP, "auto")]
)
async def test_a_signal_during_a_call_records_the_cancellation_and_exits_with_code_0(
    environment: dict[str, str], tmp_path: Path, started: list[Server], signal_number: signal.Signals, era: str
):
    script = Script({"qwen3:30b-a3b": [Stall(RIGHT, anyio.Event(), after=1)]})
    async with vendors(script) as peers:
        server = Server(environment | peers.environment, tmp_path, "--port", "0")
        started.append(server)
        line = await anyio.to_thread.run_sync(server.next_line)
        assert line.startswith("chargehand serves MCP at http://127.0.0.1:")

        async with anyio.create_task_group() as group:
            group.start_soon(_call, line.rpartition(" ")[2], era)
            with anyio.fail_after(BOUND_S):
                await script.was_asked.wait()
            server.popen.send_signal(signal_number)
            exit_code = await anyio.to_thread.run_sync(server.popen.wait, BOUND_S)
            group.cancel_scope.cancel()

    assert exit_code == 0
    with opened_ledger(tmp_path / "data") as db:
        assert db.execute("SELECT status FROM tasks").fetchall() == [("cancelled",)]
        assert db.execute("SELECT outcome, cost_usd FROM attempts").fetchall() == [("cancelled", 0.0)]


async def test_a_second_signal_does_not_end_the_server_before_the_ledger_is_settled(
    environment: dict[str, str], tmp_path: Path, started: list[Server]
):
    script = Script({"qwen3:30b-a3b": [Stall(RIGHT, anyio.Event(), after=1)]})
    async with vendors(script) as peers:
        server = Server(environment | peers.environment, tmp_path, "--port", "0")
        started.append(server)
        line = await anyio.to_thread.run_sync(server.next_line)

        async with anyio.create_task_group() as group:
            group.start_soon(_call, line.rpartition(" ")[2], "auto")
            with anyio.fail_after(BOUND_S):
                await script.was_asked.wait()
                with opened_ledger(tmp_path / "data") as db:
                    db.execute("BEGIN IMMEDIATE")  # blocks writes to the ledger until the connection closes
                    server.popen.terminate()
                    await peers.ollama.journal.to("/api/chat")[0].over.wait()
                    server.popen.terminate()
            exit_code = await anyio.to_thread.run_sync(server.popen.wait, BOUND_S)
            group.cancel_scope.cancel()

    assert exit_code == 0
    with opened_ledger(tmp_path / "data") as db:
        assert db.execute("SELECT status FROM tasks").fetchall() == [("cancelled",)]


async def _call(url: str, era: str) -> None:
    async with Client(url, mode=era) as client:
        with contextlib.suppress(MCPError):  # the server shuts down during the call
            await client.call_tool("delegate_generation", {"task": RENAME})


async def test_a_call_in_progress_at_shutdown_is_answered_with_status_503(
    environment: dict[str, str], tmp_path: Path, started: list[Server]
):
    script = Script({"qwen3:30b-a3b": [Stall(RIGHT, anyio.Event(), after=1)]})
    responses: list[httpx2.Response] = []
    async with vendors(script) as peers:
        server = Server(environment | peers.environment, tmp_path, "--port", "0")
        started.append(server)
        url = (await anyio.to_thread.run_sync(server.next_line)).rpartition(" ")[2]

        async def call() -> None:
            tool = "delegate_generation"
            headers = {**HEADERS, "Mcp-Method": "tools/call", "Mcp-Name": tool}
            async with httpx2.AsyncClient(timeout=BOUND_S) as http:
                responses.append(await http.post(url, headers=headers, json=tool_call(tool, {"task": RENAME})))

        async with anyio.create_task_group() as group:
            group.start_soon(call)
            with anyio.fail_after(BOUND_S):
                await script.was_asked.wait()
            server.popen.terminate()
            exit_code = await anyio.to_thread.run_sync(server.popen.wait, BOUND_S)

    (response,) = responses
    assert (exit_code, response.status_code) == (0, 503)
    assert response.json()["error"]["message"] == "The server is shutting down. Call again when it is back."
    assert server.popen.stderr is not None
    assert server.popen.stderr.read() == ""


async def test_a_public_binding_without_a_token_exits_with_code_1(
    environment: dict[str, str], tmp_path: Path, started: list[Server]
):
    server = Server(environment, tmp_path, "--host", "0.0.0.0", "--port", "0")
    started.append(server)

    exit_code = await anyio.to_thread.run_sync(server.popen.wait, BOUND_S)

    assert exit_code == 1
    assert "CHARGEHAND_HTTP_TOKEN" in (server.popen.stderr.read() if server.popen.stderr else "")


async def test_a_refused_token_is_logged_once_as_a_warning_and_then_at_level_info(
    environment: dict[str, str],
    tmp_path: Path,
    started: list[Server],
    open_issuer: Callable[[], AbstractAsyncContextManager[Any]],
):
    async with open_issuer() as issuer:
        environment["CHARGEHAND_LOG_LEVEL"] = "INFO"
        server = Server(environment, tmp_path, "--port", "0", "--issuer", issuer.url)
        started.append(server)
        url = (await anyio.to_thread.run_sync(server.next_line)).rpartition(" ")[2]
        token = issuer.token(url, iss=f"{issuer.url}/")
        async with httpx2.AsyncClient(headers={**HEADERS, "Authorization": f"Bearer {token}"}) as http:
            responses = [await http.post(url, json=LIST_TOOLS) for _ in range(2)]
        with anyio.fail_after(BOUND_S):
            log = [await anyio.to_thread.run_sync(server.next_line, abandon_on_cancel=True) for _ in range(2)]

    assert [response.status_code for response in responses] == [401, 401]
    reason = f"its iss is {issuer.url}/, and --issuer is {issuer.url}"
    assert log == [
        f"{level} chargehand.server.http.tokens: a token was refused: {reason}" for level in ("WARNING", "INFO")
    ]


async def test_the_refusal_of_a_wrong_fixed_token_is_logged(
    environment: dict[str, str], tmp_path: Path, started: list[Server]
):
    server = Server(environment | {"CHARGEHAND_HTTP_TOKEN": "x" * 30}, tmp_path, "--port", "0")
    started.append(server)
    url = (await anyio.to_thread.run_sync(server.next_line)).rpartition(" ")[2]
    async with httpx2.AsyncClient(headers={**HEADERS, "Authorization": "Bearer another"}) as http:
        response = await http.post(url, json=LIST_TOOLS)
    with anyio.fail_after(BOUND_S):
        log = await anyio.to_thread.run_sync(server.next_line, abandon_on_cancel=True)

    assert response.status_code == 401
    assert log.endswith("a token was refused: it is not the one in CHARGEHAND_HTTP_TOKEN")
