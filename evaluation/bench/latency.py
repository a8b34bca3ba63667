"""Startup cost: time from spawn to the response to `initialize`, and resident memory, against a minimal server.

The two are started alternately, so that load on the machine affects both; the result is the median of the ratios.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

import anyio.to_thread
from rich.progress import track
from rich.table import Table

from .output import output, progress_output
from .server_process import SERVER, own_environment, resident_mb

BASELINE = (sys.executable, "-m", "chargehand.evaluation.bench.baseline_server")

_INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "latency", "version": "0"},
    },
}


_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Start:
    seconds: float
    resident_mb: float | None
    """None: this system does not report it."""


async def measure_latency(*, runs: int) -> int:
    """Print the ratios; returns the exit code."""
    pairs = [
        await anyio.to_thread.run_sync(_pair)
        for _ in track(range(runs), "starting servers", console=progress_output(), transient=True)
    ]
    table = Table("", "chargehand", "empty server", "median of ratios", title=f"{runs} starts of each, in turn")
    ours, theirs = [a.seconds for a, _ in pairs], [b.seconds for _, b in pairs]
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    table.add_row("initialize, median s", _median(ours), _median(theirs), f"{ratio:.2f}")
    memory = [(a.resident_mb, b.resident_mb) for a, b in pairs if a.resident_mb and b.resident_mb]
    if memory:
        ratio = statistics.median(a / b for a, b in memory)
        table.add_row("resident MB", _median([a for a, _ in memory]), _median([b for _, b in memory]), f"{ratio:.2f}")
    output().print(table)
    return 0


def _pair() -> tuple[Start, Start]:
    return start(SERVER), start(BASELINE)


def start(command: Sequence[str]) -> Start:
    """Start a server in a temporary folder, wait for its response, and end it by closing its input."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=own_environment(folder),
        ) as server:
            if server.stdin is None or server.stdout is None:
                raise RuntimeError("the pipes asked for are not there")
            server.stdin.write(json.dumps(_INITIALIZE).encode() + b"\n")
            server.stdin.flush()
            answer = server.stdout.readline()
            seconds = time.perf_counter() - begun
            if b'"result"' not in answer:
                raise RuntimeError(f"no answer to initialize from {command}")
            memory_mb = resident_mb(server.pid)
            server.stdin.close()
            server.wait(timeout=_PATIENCE_S)
    return Start(seconds, memory_mb)


def _median(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.3f}"
