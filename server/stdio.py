"""Serves MCP over standard input and output, and ends at once, in order, when it is told to.

Observed in mcp 2.3.0: SIGTERM kills it without closing anything, and SIGINT hangs until standard input
closes, because a thread sits in read(2). So the signals are received here, and the process is left
through `os._exit` once the books are closed. A line that is no message gets no answer there, and a request
whose id is no id is taken for a notification; so the lines are looked at here first.
"""

import json
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator
from typing import Any, cast

import anyio
import anyio.abc
from anyio.streams.memory import MemoryObjectSendStream
from mcp.server.mcpserver import MCPServer
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp.types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError, jsonrpc_message_adapter
from pydantic import ValidationError

from .app import build_app
from .surface.server_state import OpenServices, ServerState

GRACE_S = 0.8
"""How long closing the books may take after a signal."""
UNREAD_S = 5.0
"""How long the process waits after the end of its input for the host to read what is still to be read."""


async def serve_stdio(open_services: OpenServices) -> None:
    """Serve until the host closes standard input or output, or a signal ends the process with exit code 0."""
    closed = anyio.Event()

    async with anyio.create_task_group() as group:
        await group.start(_end_on_signal, group.cancel_scope, closed)
        group.start_soon(_end_unread, closed)
        try:
            await _serve(build_app(open_services, on_closed=closed.set))
        except* BrokenPipeError:
            pass  # whoever does not read is gone
        group.cancel_scope.cancel()


async def _serve(app: MCPServer[ServerState]) -> None:
    server = app._lowlevel_server  # pyright: ignore[reportPrivateUsage] - `run_stdio_async` with the lines looked at
    complaints, problems = anyio.create_memory_object_stream[JSONRPCError]()
    lines = cast("anyio.AsyncFile[str]", _messages(_standard_input(), complaints))
    async with stdio_server(stdin=lines) as (messages, answers), anyio.create_task_group() as group:

        async def send_errors() -> None:
            async for problem in problems:
                await answers.send(SessionMessage(problem))

        group.start_soon(send_errors)
        await server.run(messages, answers, server.create_initialization_options())


def _standard_input() -> anyio.AsyncFile[str]:
    """Standard input for us alone: children find the null device in its place."""
    own, nothing = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if sys.platform == "win32":
        from mcp.os.win32.utilities import rebind_std_handle_to_fd

        rebind_std_handle_to_fd(0)
    # Left open: at the end a thread may still read from it.
    return anyio.wrap_file(os.fdopen(own, encoding="utf-8", errors="replace", closefd=False))


async def _messages(
    lines: anyio.AsyncFile[str], complaints: MemoryObjectSendStream[JSONRPCError]
) -> AsyncGenerator[str]:
    """The lines that are messages; of the others, the complaints that answer them."""
    async with complaints:
        async for line in lines:
            if not line.strip():
                continue
            if (complaint := _complaint(line)) is None:
                yield line
            else:
                await complaints.send(complaint)


_SURROGATE = re.compile("[\ud800-\udfff]")


def _complaint(line: str) -> JSONRPCError | None:
    """What answers a line that is no message, with its id where it has one. None: it is a message."""
    try:
        said: object = json.loads(line)
    except (ValueError, RecursionError):
        return _error(None, PARSE_ERROR, "The line is not JSON. Send one message per line, as UTF-8.")
    message = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
    given = message.get("id")
    number = given if isinstance(given, str | int) and not isinstance(given, bool) else None
    if "method" in message and "id" in message and number is None:
        return _error(None, INVALID_REQUEST, f"id: must be a string or an integer, got {json.dumps(given):.80}.")
    try:
        jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValidationError as error:
        if error.errors()[0]["type"] != "json_invalid":
            return _error(number, INVALID_REQUEST, "The line is not a JSON-RPC 2.0 message. Its params are an object.")
        lone = _SURROGATE.search(json.dumps(message, ensure_ascii=False))
        if lone is None:
            return _error(number, PARSE_ERROR, "The line is not JSON. Send one message per line, as UTF-8.")
        number = None if isinstance(number, str) and _SURROGATE.search(number) else number
        told = f"The line has half a character, \\u{ord(lone[0]):04x}, a lone surrogate. Send whole characters."
        return _error(number, PARSE_ERROR, told)
    return None


def _error(number: str | int | None, code: int, message: str) -> JSONRPCError:
    return JSONRPCError(jsonrpc="2.0", id=number, error=ErrorData(code=code, message=message))


async def _end_unread(closed: anyio.Event) -> None:
    """End the process some time after its books are closed: a thread may sit in write(2) where nobody reads."""
    await closed.wait()
    await anyio.sleep(UNREAD_S)
    os._exit(0)


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
