"""A server on a data folder, with its own ledger connection and index; in the test process or in a child process.

As a child process it reads one line of JSON per operation and answers each with one line.
"""

import datetime as dt
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from ledger_rows import task

from chargehand.memory_store import embeddings
from chargehand.memory_store.care.importing import ImportRules, import_memory
from chargehand.memory_store.care.pruning import Selection, find_prunable, forget, prune
from chargehand.memory_store.embedding.lexical import LexicalEmbedder
from chargehand.memory_store.index.chroma_slot import ChromaSlot
from chargehand.memory_store.index.keeper import IndexKeeper
from chargehand.memory_store.ledger import Ledger

BOUND_S = 60
TEXTS = {
    "a": "walk the hedgehog across seven violet bridges",
    "b": "quarterly invoices rounding pennies upward",
    "c": "sharpen kernel matrices with gaussian blur",
    "d": "yodel timetable parser for alpine railways",
    "e": "compress lighthouse telemetry before midnight",
    "f": "plural forms of icelandic sweater patterns",
}


@dataclass
class Host:
    """One of several servers on the same data folder."""

    ledger: Ledger
    keeper: IndexKeeper
    embedder: LexicalEmbedder
    home: Path

    async def finds(self, name: str) -> bool:
        (vector,) = await self.embedder.embed([TEXTS[name]])
        await self.ledger.refresh()
        with anyio.fail_after(BOUND_S):
            while (found := await self.keeper.nearest(vector, 10, patience_s=BOUND_S)) is None:
                pass
        return any(neighbour.similarity > 0.99 for neighbour in found)

    async def do(self, operation: str, argument: Any) -> None:
        if operation == "record" and not await self.ledger.rows("SELECT 1 FROM tasks WHERE id = ?", (argument,)):
            await self.ledger.begin_task(task(argument, text=TEXTS[argument]))
            await self._embed(argument, argument)
        elif operation == "import":
            file = self.home / "outcomes.jsonl"
            row = {"task_id": f"i{argument}", "prompt": TEXTS[argument], "domain": "code",
                   "outcomes": {"m": {"correct": 1, "cost_usd": 0.0}}}  # fmt: skip
            file.write_text(json.dumps(row) + "\n")
            await import_memory(self.ledger, file, ImportRules(lambda _: ("other", 2.0)))
            known = "SELECT id FROM remembered_tasks WHERE origin = 'import' AND text = ?"
            for (task_id,) in await self.ledger.rows(known, (TEXTS[argument],)):
                await self._embed(task_id, argument)
        elif operation == "forget":
            await forget(self.ledger, Selection(task_ids=(argument,)))
        elif operation == "prune" and (
            prunable := await find_prunable(self.ledger, older_than_days=None, keep=argument)
        ):
            await prune(self.ledger, prunable)
        elif operation == "recall":
            await self.finds(argument)

    async def _embed(self, task_id: str, name: str) -> None:
        await embeddings.store(self.ledger, self.embedder.id, [task_id], await self.embedder.embed([TEXTS[name]]))


async def open_host(home: Path) -> Host:
    ledger = await Ledger.open(home, lambda: dt.datetime.now(dt.UTC))
    embedder = LexicalEmbedder()
    await embedder.prepare()
    return Host(ledger, IndexKeeper(ledger, embedder.id, ChromaSlot(home / "index", embedder.id)), embedder, home)


async def serve() -> None:
    """Reads `["open", HOME]`, operations of `do` or `["finds", NAME]`, and `["leave", null]`; then starts over."""
    while line := await _line():
        host = await open_host(Path(line[1]))
        async with anyio.create_task_group() as group:
            host.keeper.start(group)
            _print_line(None)
            while (line := await _line())[0] != "leave":
                operation, argument = line
                _print_line(await host.finds(argument) if operation == "finds" else await host.do(operation, argument))
            group.cancel_scope.cancel()
        await host.keeper.aclose()
        await host.ledger.aclose()
        _print_line(None)


async def _line() -> Any:
    return json.loads(await anyio.to_thread.run_sync(sys.stdin.readline) or "null")


def _print_line(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(serve)
