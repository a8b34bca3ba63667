"""Serves MCP over standard input and output, and ends at once, in order, when it is told to.

Observed in mcp 2.3.0: SIGTERM kills it without closing anything, and SIGINT hangs until standard input
closes, because a thread sits in read(2). So the signals are received here, and the process is left
through `os._exit` once the books are closed. A line that is no message gets no answer either; here it
gets the one that JSON-RPC specifies.
"""

import os
import signal
import sys

import anyio
import anyio.abc
from mcp.server.mcpserver import MCPServer
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp.types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError
from pydantic import ValidationError

from .app import build_app
from .surface.server_state import OpenWorkshop, ServerState

GRACE_S = 0.8
"""How long closing the books may take after a signal."""


async def serve_stdio(open_workshop: OpenWorkshop) -> None:
    """Serve until the host closes standard input, or a signal ends the process with exit code 0."""
    closed = anyio.Event()

    async with anyio.create_task_group() as group:
        await group.start(_end_on_signal, group.cancel_scope, closed)
        await _serve(build_app(open_workshop, when_closed=closed.set))
        group.cancel_scope.cancel()


async def _serve(app: MCPServer[ServerState]) -> None:
    server = app._lowlevel_server  # pyright: ignore[reportPrivateUsage] - `run_stdio_async` with the lines looked at
    async with stdio_server() as (lines, answers), anyio.create_task_group() as group:
        onwards, messages = anyio.create_memory_object_stream[SessionMessage | Exception]()

        async def sift() -> None:
            async with onwards:
                async for line in lines:
                    if isinstance(line, Exception):
                        await answers.send(SessionMessage(_complaint(line)))
                    else:
                        await onwards.send(line)

        group.start_soon(sift)
        await server.run(messages, answers, server.create_initialization_options())


def _complaint(error: Exception) -> JSONRPCError:
    is_json = isinstance(error, ValidationError) and error.errors()[0]["type"] != "json_invalid"
    if is_json:
        problem = ErrorData(code=INVALID_REQUEST, message="The line is not a JSON-RPC 2.0 message.")
    else:
        problem = ErrorData(code=PARSE_ERROR, message="The line is not JSON. Send one message per line, as UTF-8.")
    return JSONRPCError(jsonrpc="2.0", id=None, error=problem)


async def _end_on_signal(
    serving: anyio.CancelScope, closed: anyio.Event, *, task_status: anyio.abc.TaskStatus[None]
) -> None:
    if sys.platform == "win32":  # no signal receiver there; hosts end the process by closing standard input
        task_status.started()
        return
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            serving.cancel()
            with anyio.move_on_after(GRACE_S, shield=True):
                await closed.wait()
            sys.stderr.flush()
            os._exit(0)
