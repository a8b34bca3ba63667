"""Latency of `route_task` over stdio with many remembered tasks, compared with a trivial call.

The trivial call goes to the same server over the same pipe and is refused before any tool runs. The remembered tasks
are synthetic; half of them are similar enough to the queries to count.
"""

import json
import statistics
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import anyio
import anyio.to_thread
from mcp import Client, MCPError
from mcp.client.stdio import stdio_client
from rich.table import Table

from .output import output
from .server_process import SERVER, over_stdio, own_environment

CALLS = 300
"""Calls of each kind, once the index is ready."""
BUILDING_LIMIT_S = 1_200.0
"""Time limit for building the index; beyond it the measurement fails."""

_LOG = "log"
_READY = "the memory's index is ready"
_VERBS = ("parse", "format", "validate", "sort", "merge", "split", "convert", "count", "filter", "render")
_THINGS = ("dates", "prices", "orders", "paths", "colours", "matrices", "tokens", "invoices", "routes", "names")


@dataclass
class _Times:
    """Milliseconds per call, for calls of both kinds made alternately."""

    routes: list[float] = field(default_factory=list[float])
    trivial: list[float] = field(default_factory=list[float])

    @property
    def median(self) -> float:
        return statistics.median(self.routes)


async def measure_recall_latency(sizes: Sequence[int]) -> int:
    """Print milliseconds by number of remembered tasks; returns the exit code."""
    building = {size: _Times() for size in sizes}
    ready = {size: _Times() for size in sizes}
    async with AsyncExitStack() as stack:
        clients: dict[int, Client] = {}
        for size in sizes:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chargehand-recall-")))
            await anyio.to_thread.run_sync(_fill, folder, size)
            clients[size] = await stack.enter_async_context(_server(folder))
            await _time_until_ready(clients[size], folder, building[size])
        # Alternately, so that load on the machine affects all of them.
        for number in range(CALLS):
            for size, client in clients.items():
                await _time_one(client, number, ready[size])
    table = Table("tasks", "index", "calls", "p50", "p99", "trivial p50", "trivial p99", "above", "ratio")
    table.title = "route_task over stdio, ms"
    table.caption = f"above: p50 less that of a trivial call; ratio: p50 to that of {sizes[0]:,} tasks when ready"
    for size in sizes:
        for name, times in (("building", building[size]), ("ready", ready[size])):
            above = times.median - statistics.median(times.trivial)
            figures = (*_quantiles(times.routes), *_quantiles(times.trivial), f"{above:.1f}")
            ratio = f"{times.median / ready[sizes[0]].median:.2f}"
            table.add_row(f"{size:,}", name, str(len(times.routes)), *figures, ratio)
    output().print(table)
    return 0


def _fill(folder: Path, size: int) -> None:
    file = folder / "outcomes.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in _rows(size)), encoding="utf-8")
    command = [*SERVER, "memory", "import", str(file), "--json"]
    subprocess.run(command, check=True, env=own_environment(folder), cwd=folder, stdout=subprocess.DEVNULL)


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


@asynccontextmanager
async def _server(folder: Path) -> AsyncGenerator[Client]:
    parameters = over_stdio(own_environment(folder) | {"CHARGEHAND_LOG_LEVEL": "INFO"}, folder)
    with (folder / _LOG).open("w", encoding="utf-8") as file:
        async with Client(stdio_client(parameters, errlog=file)) as client:
            yield client


async def _time_until_ready(client: Client, folder: Path, times: _Times) -> None:
    """Time calls from the first answer that uses memory until the server reports that its index is ready."""
    with anyio.fail_after(BUILDING_LIMIT_S):
        while not (await _route(client, _task(0)))["similar_tasks"]:
            pass
        while not times.routes or _READY not in await anyio.Path(folder / _LOG).read_text(encoding="utf-8"):
            await _time_one(client, len(times.routes), times)


async def _time_one(client: Client, number: int, times: _Times) -> None:
    begun = perf_counter()
    await _route(client, _task(7 * number + 3) + " again")
    middle = perf_counter()
    await _refused(client)
    times.routes.append((middle - begun) * 1000)
    times.trivial.append((perf_counter() - middle) * 1000)


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
