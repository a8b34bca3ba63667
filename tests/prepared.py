"""A process that has imported the product, and runs each command in a fork of itself.

`python prepared.py`, its standard input a socket; run by `command_line.py`, on Linux only. Importing the product takes
several times as long as most commands do. A fork has its own memory, environment, folder, standard streams and exit
code, as a process that was started has. What it lacks is the start.
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
    """Run what each message says: a job, its three streams, and a pipe for `_supervise`. Ends with the connection."""
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
    """Run one command. Writes its process id, and at its end its wait status, each as a line."""
    *streams, answers = files
    command = os.fork()
    if command == 0:
        os.close(answers)
        _run(job, streams)
    os.write(answers, f"{command}\n".encode())
    os.write(answers, f"{os.waitpid(command, 0)[1]}\n".encode())
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
    # The streams, as Python opens them when it starts.
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
    # What Python does at its end, but for taking a large process apart, which takes a second.
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
