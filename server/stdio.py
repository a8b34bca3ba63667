"""Serves MCP over standard input and output, with a prompt and graceful shutdown on signals.

Observed in mcp 2.3.0: SIGTERM kills the process without closing anything, and SIGINT hangs until standard input
closes, because a thread blocks in read(2). So signals are handled here, and the process exits through `os._exit`
once the services are closed; otherwise Python would unload the libraries first, which took seconds on a busy machine.
The SDK also ignores lines that are not messages, and treats a request with an invalid
id as a notification; so lines are validated here first.
"""

import json
import os
import re
import sys
from collections.abc import AsyncGenerator
from typing import Any, NoReturn, cast

import anyio
import anyio.abc
from anyio.streams.memory import MemoryObjectSendStream
from mcp.server.mcpserver import MCPServer
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp.types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError, jsonrpc_message_adapter
from pydantic import ValidationError

from .app import build_app
from .end_signals import end_signals
from .surface.server_state import OpenServices, ServerState

SHUTDOWN_S = 0.8
"""How long closing the services may take after a signal."""
DRAIN_S = 5.0
"""How long the process waits after it has closed for the host to read the remaining output."""


async def serve_stdio(open_services: OpenServices) -> NoReturn:
    """Serve until the host closes standard input or output, or sends a signal; then end the process with exit code 0.

    Raises what keeps it from serving.
    """
    closed = anyio.Event()

    async with anyio.create_task_group() as group:
        await group.start(_end_on_signal, group.cancel_scope, closed)
        group.start_soon(_end_unread, closed)
        try:
            await _serve(build_app(open_services, on_closed=closed.set))
        except* BrokenPipeError:
            pass  # the host has closed standard output
        group.cancel_scope.cancel()
    _end()


async def _serve(app: MCPServer[ServerState]) -> None:
    server = app._lowlevel_server  # pyright: ignore[reportPrivateUsage] - `run_stdio_async` with validated lines
    error_sender, errors = anyio.create_memory_object_stream[JSONRPCError]()
    lines = cast("anyio.AsyncFile[str]", _messages(_standard_input(), error_sender))
    async with stdio_server(stdin=lines) as (messages, answers), anyio.create_task_group() as group:

        async def send_errors() -> None:
            async for error in errors:
                await answers.send(SessionMessage(error))

        group.start_soon(send_errors)
        await server.run(messages, answers, server.create_initialization_options())


def _standard_input() -> anyio.AsyncFile[str]:
    """Standard input, exclusively for this process: child processes inherit the null device instead."""
    own, nothing = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if sys.platform == "win32":
        from mcp.os.win32.utilities import rebind_std_handle_to_fd

        rebind_std_handle_to_fd(0)
    # Not closed, because a thread may still be reading from it at the end.
    return anyio.wrap_file(os.fdopen(own, encoding="utf-8", errors="replace", closefd=False))


async def _messages(
    lines: anyio.AsyncFile[str], error_sender: MemoryObjectSendStream[JSONRPCError]
) -> AsyncGenerator[str]:
    """Yields the lines that are valid messages; for the others, sends error responses to `error_sender`."""
    async with error_sender:
        async for line in lines:
            if not line.strip():
                continue
            if (error := _protocol_error(line)) is None:
                yield line
            else:
                await error_sender.send(error)


_SURROGATE = re.compile("[\ud800-\udfff]")


def _protocol_error(line: str) -> JSONRPCError | None:
    """The error response to an invalid line, with its id if it has one. None: the line is a valid message."""
    try:
        parsed: object = json.loads(line)
    except (ValueError, RecursionError):
        return _error(None, PARSE_ERROR, "The line is not JSON. Send one message per line, as UTF-8.")
    message = cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else {}
    given = message.get("id")
    request_id = given if isinstance(given, str | int) and not isinstance(given, bool) else None
    if "method" in message and "id" in message and request_id is None:
        return _error(None, INVALID_REQUEST, f"id: must be a string or an integer, got {json.dumps(given):.80}.")
    try:
        jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValidationError as error:
        if error.errors()[0]["type"] != "json_invalid":
            return _error(
                request_id, INVALID_REQUEST, "The line is not a JSON-RPC 2.0 message. Its params are an object."
            )
        lone = _SURROGATE.search(json.dumps(message, ensure_ascii=False))
        if lone is None:
            return _error(request_id, PARSE_ERROR, "The line is not JSON. Send one message per line, as UTF-8.")
        request_id = None if isinstance(request_id, str) and _SURROGATE.search(request_id) else request_id
        message_text = f"The line has half a character, \\u{ord(lone[0]):04x}, a lone surrogate. Send whole characters."
        return _error(request_id, PARSE_ERROR, message_text)
    return None


def _error(request_id: str | int | None, code: int, message: str) -> JSONRPCError:
    return JSONRPCError(jsonrpc="2.0", id=request_id, error=ErrorData(code=code, message=message))


async def _end_unread(closed: anyio.Event) -> None:
    """Exit DRAIN_S after the services are closed, as a thread may block in write(2) if the host does not read."""
    await closed.wait()
    await anyio.sleep(DRAIN_S)
    _end()


async def _end_on_signal(
    serving: anyio.CancelScope, closed: anyio.Event, *, task_status: anyio.abc.TaskStatus[None]
) -> None:
    numbers = end_signals()
    if not numbers:  # hosts end the process by closing standard input
        task_status.started()
        return
    with anyio.open_signal_receiver(*numbers) as signals:
        task_status.started()
        async for _ in signals:
            serving.cancel()
            with anyio.move_on_after(SHUTDOWN_S, shield=True):
                await closed.wait()
            _end()


def _end() -> NoReturn:
    """End the process at once: everything is closed, and unloading the libraries takes longer than hosts wait."""
    sys.stderr.flush()
    os._exit(0)
