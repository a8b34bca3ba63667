"""The server as a child process; JSON-RPC messages are written to and read from its pipes directly."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = (sys.executable, "-m", "chargehand.server")


class Process:
    """A server process, and the messages to and from it."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.popen = subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=folder
        )

    def send(self, method: str, params: dict[str, Any], number: int | None = None) -> None:
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        assert self.popen.stdin is not None
        self.popen.stdin.write(json.dumps(message if number is None else message | {"id": number}).encode() + b"\n")
        self.popen.stdin.flush()

    def receive(self) -> dict[str, Any]:
        assert self.popen.stdout is not None
        return json.loads(self.popen.stdout.readline())

    def close(self) -> None:
        self.popen.kill()
        self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def initialize(self) -> dict[str, Any]:
        client = {"name": "test", "version": "0"}
        self.send("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}, 1)
        answer = self.receive()
        self.send("notifications/initialized", {})
        return answer
