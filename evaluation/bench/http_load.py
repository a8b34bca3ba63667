"""Calls per second of a server over HTTP, compared with minimal servers; each client has its own connection.

One baseline only answers; the other makes one durable SQLite commit first, as every decision does. All run at the same
time and are loaded in turn, so that load on the machine affects all; the result is the median of the ratios. The same
minimal client is used for all, and takes its share of the machine.
"""

import contextlib
import json
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream
from rich.table import Table

from .output import output
from .server_process import own_environment

OURS = ("-m", "chargehand.server", "serve", "--http", "--port")
BASELINE = ("-m", "chargehand.evaluation.bench.baseline_server")

_PATIENCE_S = 60.0
_UNLIMITED = "[http.calls_per_minute]\nroute_task = 100000000\n[http.calls_at_once]\nroute_task = 100000\n"
_MOST_HEADER_BYTES = 65_536
_META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "load", "version": "0"},
}


@dataclass(frozen=True)
class Load:
    """The result of one period of calls."""

    per_second: float
    p50_ms: float
    p99_ms: float


async def measure_http(*, clients: int, seconds: float, rounds: int) -> int:
    """Print the ratios for route_task with an empty memory; returns the exit code."""
    loads: dict[str, list[Load]] = {"route_task": [], "empty server": [], "empty server, one commit": []}
    async with _server(OURS) as ours, _server(BASELINE) as empty, _server(BASELINE, "said.sqlite3") as durable:
        asked = list(
            zip(loads.values(), (ours, empty, durable), (_ROUTE, _SAY, _SAY), strict=True),
        )
        for _, port, call in asked:
            await _load(port, call, clients=2, seconds=2.0)  # warm up: some modules load on the first call
        for _ in range(rounds):
            for of_server, port, call in asked:
                of_server.append(await _load(port, call, clients=clients, seconds=seconds))
    mine = loads["route_task"]
    title = f"{clients} clients over HTTP, {rounds} rounds in turn"
    table = Table("", "calls/s", "p50 ms", "p99 ms", "median of ratios", title=title)
    for name, of_server in loads.items():
        ratio = statistics.median(a.per_second / b.per_second for a, b in zip(mine, of_server, strict=True))
        figures = (_median([getattr(load, key) for load in of_server]) for key in Load.__dataclass_fields__)
        table.add_row(name, *figures, "" if of_server is mine else f"{ratio:.2f}")
    output().print(table)
    return 0


_TEXT = "Rename the variable n to count in this function: def double(n): return 2 * n"
_ROUTE = ("route_task", {"task": _TEXT})
_SAY = ("one", {"text": _TEXT})


@contextlib.asynccontextmanager
async def _server(command: Sequence[str], *after_port: str) -> AsyncGenerator[int]:
    """Run a server while the block runs; yields its port. after_port: arguments after the port."""
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="chargehand-http-") as folder:
        environment = own_environment(folder)
        home = Path(folder) / "data"
        home.mkdir()
        (home / "config.toml").write_text(_UNLIMITED)
        async with await anyio.open_process(
            [sys.executable, *command, str(port), *after_port], env=environment, cwd=folder, stdout=None, stderr=None
        ) as process:
            try:
                await _until_it_listens(port)
                yield port
            finally:
                process.terminate()


async def _until_it_listens(port: int) -> None:
    with anyio.fail_after(_PATIENCE_S):
        while True:
            with contextlib.suppress(OSError):
                stream = await anyio.connect_tcp("127.0.0.1", port)
                await stream.aclose()
                return
            await anyio.sleep(0.1)


async def _load(port: int, call: tuple[str, Mapping[str, str]], *, clients: int, seconds: float) -> Load:
    """call: the tool and its arguments."""
    taken_s: list[float] = []
    until = time.perf_counter() + seconds

    async def ask() -> None:
        request = _request(port, *call)
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            answers = BufferedByteReceiveStream(stream)
            begun = time.perf_counter()
            while begun < until or not taken_s:
                await stream.send(request)
                await _answer(answers)
                taken_s.append(time.perf_counter() - begun)
                begun = time.perf_counter()

    async with anyio.create_task_group() as group:
        for _ in range(clients):
            group.start_soon(ask)
    taken_s.sort()
    p50, p99 = (taken_s[int(len(taken_s) * part)] * 1_000 for part in (0.5, 0.99))
    return Load(len(taken_s) / seconds, p50, p99)


def _request(port: int, tool: str, arguments: Mapping[str, str]) -> bytes:
    params: dict[str, Any] = {"name": tool, "arguments": dict(arguments), "_meta": _META}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        "Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n"
        f"Mcp-Method: tools/call\r\nMcp-Name: {tool}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _answer(answers: BufferedByteReceiveStream) -> None:
    head = (await answers.receive_until(b"\r\n\r\n", _MOST_HEADER_BYTES)).decode("latin-1").lower()
    length = next(int(line.partition(":")[2]) for line in head.split("\r\n") if line.startswith("content-length:"))
    body = await answers.receive_exactly(length)
    if " 200 " not in head.partition("\r\n")[0] or b'"isError":true' in body:
        raise RuntimeError(f"a call failed: {head.partition(chr(13))[0]} {body[:300]!r}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _median(values: Sequence[float]) -> str:
    return f"{statistics.median(values):,.1f}"
