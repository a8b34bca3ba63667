"""What looking back costs a caller: `route_task` over stdio with many remembered tasks, beside a trivial call.

The trivial call goes to the same server over the same pipe and is refused before any tool runs. The
remembered tasks are made up; half of them are alike enough to the ones that are asked about to count.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.to_thread
from mcp import Client, MCPError, StdioServerParameters
from rich.console import Console
from rich.table import Table

CALLS = 200
WARM_FOR_S = 15.0

_VERBS = ("parse", "format", "validate", "sort", "merge", "split", "convert", "count", "filter", "render")
_THINGS = ("dates", "prices", "orders", "paths", "colours", "matrices", "tokens", "invoices", "routes", "names")


async def measure_recall_latency(sizes: Sequence[int]) -> int:
    """Print milliseconds by number of remembered tasks; gives the exit code."""
    table = Table("tasks", "route_task p50", "p99", "trivial p50", "p99", "p50 above trivial", title="over stdio, ms")
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="chargehand-recall-") as folder:
            environment = {"PATH": "/usr/bin:/bin", "HOME": folder, "CHARGEHAND_HOME": f"{folder}/data"}
            await anyio.to_thread.run_sync(_fill, Path(folder), size, environment)
            routes, trivial = await _timed(Path(folder), environment)
        above = statistics.median(routes) - statistics.median(trivial)
        table.add_row(f"{size:,}", *_quantiles(routes), *_quantiles(trivial), f"{above:.1f}")
    Console().print(table)
    return 0


def _fill(folder: Path, size: int, environment: Mapping[str, str]) -> None:
    file = folder / "outcomes.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in _rows(size)), encoding="utf-8")
    command = [sys.executable, "-m", "chargehand.server", "memory", "import", str(file), "--json"]
    subprocess.run(command, check=True, env=environment, cwd=folder, stdout=subprocess.DEVNULL)
    rebuild = [sys.executable, "-m", "chargehand.server", "memory", "rebuild", "--json"]
    subprocess.run(rebuild, check=True, env=environment, cwd=folder, stdout=subprocess.DEVNULL)


def _rows(size: int) -> Iterator[dict[str, Any]]:
    models = ("qwen3-30b-a3b", "claude-haiku-5-5", "claude-sonnet-5-5")
    for number in range(size):
        outcomes = {
            model: {"correct": (number + place) % 3 and 1, "cost_usd": 0.0} for place, model in enumerate(models)
        }
        yield {"task_id": f"made-up/{number}", "prompt": _task(number), "domain": "code", "outcomes": outcomes}


def _task(number: int) -> str:
    verb, thing = _VERBS[number % 10], _THINGS[number // 10 % 10]
    return f"Write a function number {number} that can {verb} {thing} of kind {number // 100} for the report"


async def _timed(folder: Path, environment: Mapping[str, str]) -> tuple[list[float], list[float]]:
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "chargehand.server"], env=dict(environment), cwd=folder
    )
    routes: list[float] = []
    trivial: list[float] = []
    async with Client(server) as client:
        # The index loads behind the first answers, and tells nobody when it is done.
        warm = time.monotonic() + WARM_FOR_S
        while time.monotonic() < warm:
            await _route(client, _task(0))
        for number in range(CALLS):
            begun = time.perf_counter()
            await _route(client, _task(7 * number + 3) + " again")
            middle = time.perf_counter()
            await _refused(client)
            routes.append((middle - begun) * 1000)
            trivial.append((time.perf_counter() - middle) * 1000)
    return routes, trivial


async def _route(client: Client, task: str) -> Mapping[str, Any]:
    result = await client.call_tool("route_task", {"task": task})
    return cast(Mapping[str, Any], result.structured_content or {})


async def _refused(client: Client) -> None:
    try:
        await client.call_tool("no_such_tool", {})
    except MCPError:
        return
    raise RuntimeError("a tool that does not exist was called")


def _quantiles(values: Sequence[float]) -> tuple[str, str]:
    ordered = sorted(values)
    return f"{statistics.median(ordered):.1f}", f"{ordered[int(len(ordered) * 0.99)]:.1f}"
