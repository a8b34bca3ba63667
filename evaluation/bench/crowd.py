"""Stress test: many servers delegate and search concurrently on one data folder, at random.

Required: every acknowledged task is in the ledger with its outcome; what one server recorded, the others find in
their next call; a server started afterwards finds every task; the ledger is intact.
"""

import contextlib
import random
import sqlite3
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import anyio
from mcp import Client
from rich.table import Table

from ...memory_store.ledger import LEDGER_FILE
from ..peers.reply import Ask, Reply
from ..peers.vendors import vendors
from .output import output
from .server_process import over_stdio, own_environment

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass
class _Observed:
    """Tasks acknowledged by the servers, and those that another server did not find."""

    acknowledged: dict[str, str] = field(default_factory=dict[str, str])
    """Text by task id."""
    searched: int = 0
    missed: list[str] = field(default_factory=list[str])
    """Texts of tasks that another server did not find in its next call."""


async def crowd(*, servers: int, seconds: float) -> int:
    """Run the test and print the result; returns the exit code: 1 when anything was lost or missed."""
    observed = _Observed()
    with tempfile.TemporaryDirectory(prefix="chargehand-crowd-") as folder:
        async with vendors(_answer) as peers, contextlib.AsyncExitStack() as stack:
            server = over_stdio(own_environment(folder) | peers.environment, folder)
            clients = [await stack.enter_async_context(Client(server)) for _ in range(servers)]
            until = time.monotonic() + seconds
            async with anyio.create_task_group() as group:
                for number, client in enumerate(clients):
                    chance = random.Random(number)  # noqa: S311 - which call comes next is no secret
                    group.start_soon(_use, client, clients, number, until, observed, chance)
            async with Client(server) as fresh:
                lost = [text for text in observed.acknowledged.values() if not await _finds(fresh, text)]
        missing, integrity = await anyio.to_thread.run_sync(_books, Path(folder) / "data" / LEDGER_FILE, observed)
    table = Table("", "value", show_header=False, title=f"{servers} servers on one data folder, {seconds:g} s")
    table.add_row("tasks acknowledged", str(len(observed.acknowledged)))
    table.add_row("not in the ledger with their outcome", str(len(missing)))
    table.add_row("looked for by another server in its next call", str(observed.searched))
    table.add_row("not found by it", str(len(observed.missed)))
    table.add_row("not found by a server started afterwards", str(len(lost)))
    table.add_row("the ledger's integrity check", integrity)
    output().print(table)
    return 1 if missing or lost or observed.missed or integrity != "ok" else 0


async def _use(
    client: Client, clients: Sequence[Client], own: int, until: float, observed: _Observed, chance: random.Random
) -> None:
    while time.monotonic() < until:
        # Random words make every task unique, so a hit can only be this very task.
        text = "Rename " + " ".join("".join(chance.choices(_LETTERS, k=8)) for _ in range(8))
        receipt = await _call(client, "delegate_generation", {"task": text, "tests": "assert double(2) == 4"})
        if receipt.get("status") != "succeeded":
            raise RuntimeError(f"a task ended as {receipt}")
        observed.acknowledged[receipt["task_id"]] = text
        if len(clients) > 1 and chance.random() < 0.5:
            other = chance.choice([c for place, c in enumerate(clients) if place != own])
            observed.searched += 1
            if not await _finds(other, text):
                observed.missed.append(text)


async def _finds(client: Client, text: str) -> bool:
    """Whether the server remembers this exact text, as then it counts as evidence."""
    decision = await _call(client, "route_task", {"task": text})
    while any(str(warning).startswith("memory:") for warning in decision["warnings"]):
        decision = await _call(client, "route_task", {"task": text})
    return decision["similar_tasks"] > 0 and decision["evidence"] > 0


async def _call(client: Client, tool: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    result = await client.call_tool(tool, dict(arguments))
    return cast(Mapping[str, Any], result.structured_content or {"status": str(result.content), "warnings": ()})


def _answer(_: Ask) -> Reply:
    return Reply("```python\ndef double(n):\n    return 2 * n\n```")


def _books(file: Path, observed: _Observed) -> tuple[list[str], str]:
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as books:
        written = dict(books.execute("SELECT id, text FROM tasks WHERE status = 'succeeded'"))
        integrity = str(books.execute("PRAGMA integrity_check").fetchone()[0])
    return [task_id for task_id, text in observed.acknowledged.items() if written.get(task_id) != text], integrity
