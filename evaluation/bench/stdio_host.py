"""A host for servers over stdio that can cancel calls, kill servers and close their input, as real hosts do."""

import contextlib
import itertools
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream

from .server_process import SERVER

_MOST_BYTES_A_LINE = 16_000_000


@dataclass
class Call:
    """A pending or completed tool call."""

    number: int
    done: anyio.Event = field(default_factory=anyio.Event)
    answer: Mapping[str, Any] | None = None
    """The structured result (in the tool's format, hence Any). None: pending, an error, or the server ended."""


@dataclass
class Host:
    """One server process and its calls."""

    process: anyio.abc.Process
    folder: Path
    """Its working directory."""
    _calls: dict[int, Call] = field(default_factory=dict[int, Call])
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def is_running(self) -> bool:
        return self.process.returncode is None

    async def shake_hands(self) -> None:
        client = {"name": "ordeal", "version": "0"}
        hello = await self._send(
            "initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
        )
        await hello.done.wait()
        await self._write({"method": "notifications/initialized", "params": {}})

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> Call:
        """Start a call; its `done` is set when it ends, or the server does."""
        return await self._send("tools/call", {"name": tool, "arguments": dict(arguments)})

    async def cancel(self, call: Call) -> None:
        """Send a cancellation of the call, which then gets no answer."""
        await self._write({"method": "notifications/cancelled", "params": {"requestId": call.number}})
        call.done.set()

    async def close_input(self) -> None:
        """Close the server's standard input."""
        if self.process.stdin is not None:
            await self.process.stdin.aclose()

    async def read(self) -> None:
        """Process responses until the server closes its output."""
        assert self.process.stdout is not None  # noqa: S101 - it is opened with pipes below
        lines = BufferedByteReceiveStream(self.process.stdout)
        with contextlib.suppress(anyio.IncompleteRead, anyio.ClosedResourceError, anyio.BrokenResourceError):
            while True:
                message = json.loads(await lines.receive_until(b"\n", _MOST_BYTES_A_LINE))
                call = self._calls.pop(message.get("id"), None)
                if call is not None:
                    call.answer = message.get("result", {}).get("structuredContent")
                    call.done.set()
        for call in self._calls.values():
            call.done.set()

    async def _send(self, method: str, params: Mapping[str, Any]) -> Call:
        call = Call(next(self._numbers))
        self._calls[call.number] = call
        await self._write({"id": call.number, "method": method, "params": params})
        return call

    async def _write(self, message: Mapping[str, Any]) -> None:
        if self.process.stdin is not None:
            with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
                await self.process.stdin.send(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")


@contextlib.asynccontextmanager
async def hosts(environment: Mapping[str, str], folder: Path) -> AsyncGenerator["Hosts"]:
    """Starts servers; those still running at the end of the block are killed."""
    async with anyio.create_task_group() as group:
        started = Hosts(dict(environment), folder, group)
        try:
            yield started
        finally:
            with anyio.CancelScope(shield=True):
                for host in started.all:
                    if host.is_running:
                        host.process.kill()
                    await host.process.wait()
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                for host in started.all:
                    await host.process.aclose()


@dataclass
class Hosts:
    environment: Mapping[str, str]
    folder: Path
    group: anyio.abc.TaskGroup
    all: list[Host] = field(default_factory=list[Host])

    async def start(self, *, command: Sequence[str] = SERVER) -> Host:
        """Start another server, initialized and ready for calls."""
        process = await anyio.open_process([*command], env=self.environment, cwd=self.folder, stderr=None)
        host = Host(process, self.folder)
        self.all.append(host)
        self.group.start_soon(host.read)
        await host.shake_hands()
        return host
