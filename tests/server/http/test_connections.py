"""Limits on what a client can consume before it is authenticated."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import httpx2
import pytest
from anyio.abc import ByteStream
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chargehand.server.http.binding import Binding
from chargehand.server.http.connections import ACCEPT_BACKLOG
from chargehand.server.http.serving import listen, serving

pytestmark = pytest.mark.anyio

Opening = Callable[..., AbstractAsyncContextManager[Any]]
LIMITS = "chargehand.server.http.connections"
BOUND_S = 60
"""Upper bound of each wait; no test measures the time."""


async def open_connection(url: str, sent: str = "") -> ByteStream:
    parts = urlsplit(url)
    stream = await anyio.connect_tcp(parts.hostname or "", parts.port or 0)
    if sent:
        await send(stream, url, sent)
    return stream


async def send(stream: ByteStream, url: str, text: str) -> None:
    await stream.send(text.replace("\n", "\r\n").format(host=urlsplit(url).netloc).encode())


async def receive_all(stream: ByteStream) -> bytes:
    """Everything received until the other side closes the connection."""
    received = b""
    with anyio.fail_after(BOUND_S), contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        while True:
            received += await stream.receive()
    return received


@pytest.mark.parametrize("header", ["X-One: {fill}", "X-Many: {fill}\r\n"])
async def test_endless_headers_are_refused(open_http_server: Opening, monkeypatch: pytest.MonkeyPatch, header: str):
    monkeypatch.setattr(f"{LIMITS}.REQUEST_TIMEOUT_S", 600)  # so that it is not what ends them
    piece = header.format(fill="a" * 4_000).encode()
    async with (
        open_http_server() as server,
        await open_connection(server.url, "POST /mcp HTTP/1.1\nHost: {host}\n") as stream,
    ):
        with anyio.fail_after(BOUND_S), contextlib.suppress(anyio.BrokenResourceError):
            for _ in range(25_000):  # 100 MB
                await stream.send(piece)
            pytest.fail("100 MB of headers were accepted")
        health = await server.request("GET", "/health")

    assert health.status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "POST /mcp HTTP/1.1\nHost: {host}\nX-Half: ",
        "POST /mcp HTTP/1.1\nHost: {host}\nMCP-Protocol-Version: 2026-07-28\nContent-Type: application/json\n"
        "Accept: application/json, text/event-stream\nContent-Length: 100\n\nhalf",
    ],
)
async def test_an_incomplete_request_times_out_with_status_408(
    open_http_server: Opening, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sent: str
):
    monkeypatch.setattr(f"{LIMITS}.REQUEST_TIMEOUT_S", 0.2)
    async with open_http_server() as server, await open_connection(server.url, sent) as stream:
        answer = await receive_all(stream)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.endswith(b"\r\n\r\nThe request was not complete after 0.2 s.")
    assert not caplog.records


async def test_each_request_of_a_connection_has_its_own_limits(
    open_http_server: Opening, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(f"{LIMITS}.MAX_HEAD_BYTES", 2_000)
    start, fill = "GET /health HTTP/1.1\nHost: {host}\n", "X-Fill: " + 1_000 * "a" + "\n"
    ends: list[bytes] = []
    async with open_http_server() as server:
        for unfinished, timeout_s in ((start + 3 * fill, 600), (start, 0.2)):
            async with await open_connection(server.url) as stream:
                for _ in range(3):
                    await send(stream, server.url, f"{start}{fill}\n")
                    answer = b""
                    while not answer.endswith(b"}"):
                        answer += await stream.receive()
                    assert answer.startswith(b"HTTP/1.1 200 ")
                monkeypatch.setattr(f"{LIMITS}.REQUEST_TIMEOUT_S", timeout_s)
                await send(stream, server.url, unfinished)
                ends.append((await receive_all(stream))[:13])

    assert ends == [b"HTTP/1.1 431 ", b"HTTP/1.1 408 "]


async def test_a_response_under_way_outlives_the_request_timeout_and_the_arrival_of_more_clients(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(f"{LIMITS}.REQUEST_TIMEOUT_S", 0.2)
    request_received, gate = anyio.Event(), anyio.Event()
    answers: list[httpx2.Response] = []

    async def slow(request: Request) -> Response:
        await request.body()
        request_received.set()
        await gate.wait()
        return Response("at last")

    with listen(Binding(port=0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"

        async def post() -> None:
            async with httpx2.AsyncClient(timeout=BOUND_S) as http:
                answers.append(await http.post(url, content=b"please"))

        app = Starlette(routes=[Route("/", slow, methods=["POST"])])
        async with serving(app, listener), anyio.create_task_group() as group:
            group.start_soon(post)
            await request_received.wait()
            async with await open_connection(url) as idle:
                await receive_all(idle)
            monkeypatch.setattr(f"{LIMITS}.MAX_CONNECTIONS", 1)
            async with await open_connection(url) as one_too_many:
                refused = await receive_all(one_too_many)
            gate.set()

    assert [answer.text for answer in answers] == ["at last"]
    assert refused.startswith(b"HTTP/1.1 503 ")


async def test_idle_connections_are_dropped_to_admit_new_clients(
    open_http_server: Opening, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(f"{LIMITS}.MAX_CONNECTIONS", 4)
    async with open_http_server() as server, contextlib.AsyncExitStack() as idle:
        streams = [await idle.enter_async_context(await open_connection(server.url)) for _ in range(10)]
        health = await server.request("GET", "/health")
        dropped = await receive_all(streams[0])

    assert health.status_code == 200
    assert dropped == b""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
async def test_running_out_of_file_descriptors_is_logged_once_and_survived(tmp_path: Path):
    serve = "ulimit -n 60; exec $0 -m chargehand.server serve --http --port 0"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "CHARGEHAND_HOME": str(tmp_path / "data")}
    process = await anyio.to_thread.run_sync(
        lambda: subprocess.Popen(
            ["/bin/sh", "-c", serve, sys.executable],
            env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        )
    )  # fmt: skip
    assert process.stderr is not None
    try:
        url = (await anyio.to_thread.run_sync(process.stderr.readline)).split()[-1]
        async with contextlib.AsyncExitStack() as idle:

            async def connect() -> None:
                await idle.enter_async_context(await open_connection(url))

            process.send_signal(signal.SIGSTOP)  # so that more connections wait than it can accept
            with anyio.fail_after(BOUND_S):
                async with anyio.create_task_group() as group:
                    for _ in range(ACCEPT_BACKLOG):
                        group.start_soon(connect)
            process.send_signal(signal.SIGCONT)
            async with httpx2.AsyncClient(timeout=BOUND_S) as http:
                health = await http.get(url.removesuffix("/mcp") + "/health")
    finally:
        process.terminate()
        _, log = await anyio.to_thread.run_sync(process.communicate)

    assert health.status_code == 200
    assert len(log.splitlines()) == 1, log[:2_000]
    assert process.returncode == 0
