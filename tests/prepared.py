"""A process that imports the product once and runs each command in a fork of itself.

Started by `command_line.py` as `python prepared.py` with a socket as standard input, on Linux only. Importing the
product takes several times as long as most commands. A fork has its own memory, environment, working folder, standard
streams and exit code, like a new process; only the start-up of Python is missing.
"""

import atexit
import gc
import importlib
import io
import json
import os
import pkgutil
import signal
import socket
import sys
import threading
import time
from typing import Any

import chargehand.server.command
from chargehand.server.cli import main

LIBRARIES = ("anthropic", "cerebras.cloud.sdk", "chromadb", "httpx2", "mcp.server.mcpserver", "openai", "uvicorn")


def serve(requests: socket.socket) -> None:
    """Run a command for each message: a job, its three streams, and a pipe for `_supervise`. Returns at end of file."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, files, _, _ = socket.recv_fds(requests, 1 << 20, 4)
        if not message:
            return
        if os.fork() == 0:
            requests.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _supervise(json.loads(message), files)
        for file in files:
            os.close(file)


def _supervise(job: dict[str, Any], files: list[int]) -> None:
    """Run one command. Writes its process id, then its wait status when it ends, each as a line."""
    *streams, replies = files
    command = os.fork()
    if command == 0:
        os.close(replies)
        _run(job, streams)
    os.write(replies, f"{command}\n".encode())
    os.write(replies, f"{os.waitpid(command, 0)[1]}\n".encode())
    os._exit(0)


def _run(job: dict[str, Any], streams: list[int]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(job["environment"])
    time.tzset()
    os.chdir(job["folder"])
    sys.argv = ["chargehand", *(os.fsdecode(bytes.fromhex(argument)) for argument in job["arguments"])]
    # The standard streams, opened as Python does when it starts.
    sys.stdin = io.TextIOWrapper(io.FileIO(0), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w"), encoding="utf-8")
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w"), encoding="utf-8", errors="backslashreplace", line_buffering=True)
    code: Any = 1
    try:
        code = main()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001  # as Python does
        sys.excepthook(*sys.exc_info())
    # Python's own shutdown, except for the tear-down of a large process, which takes a second.
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    for module in pkgutil.iter_modules(chargehand.server.command.__path__, "chargehand.server.command."):
        importlib.import_module(module.name)
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.freeze()
    serve(socket.socket(fileno=0))
