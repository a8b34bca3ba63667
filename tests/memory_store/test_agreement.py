"""Whatever two hosts on one folder do in turns, ledger and index agree: what is remembered is found, no more."""

import datetime as dt
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_rows import task

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
a_name = st.sampled_from(sorted(TEXTS))
an_operation = st.one_of(
    st.tuples(st.just("record"), a_name),
    st.tuples(st.just("import"), a_name),
    st.tuples(st.just("forget"), a_name),
    st.tuples(st.just("prune"), st.integers(0, 3)),
    st.tuples(st.just("recall"), a_name),
    st.tuples(st.just("rebuild"), a_name),
)


@dataclass
class Host:
    """One of two on the same folder: its own view of the ledger, its own index."""

    ledger: Ledger
    keeper: IndexKeeper
    embedder: LexicalEmbedder
    home: Path

    async def finds(self, name: str) -> bool:
        (vector,) = await self.embedder.embed([TEXTS[name]])
        with anyio.fail_after(BOUND_S):
            while (found := await self.keeper.nearest(vector, 10, patience_s=BOUND_S)) is None:
                pass
        return any(neighbour.similarity > 0.99 for neighbour in found)

    async def do(self, what: str, argument) -> None:
        if what == "record" and not await self.ledger.rows("SELECT 1 FROM tasks WHERE id = ?", (argument,)):
            await self.ledger.begin_task(task(argument, text=TEXTS[argument]))
            await self._embed(argument, argument)
        elif what == "import":
            file = self.home / "outcomes.jsonl"
            row = {"task_id": f"i{argument}", "prompt": TEXTS[argument], "domain": "code",
                   "outcomes": {"m": {"correct": 1, "cost_usd": 0.0}}}  # fmt: skip
            file.write_text(json.dumps(row) + "\n")
            await import_memory(self.ledger, file, ImportRules(lambda _: ("other", 2.0)))
            known = "SELECT id FROM remembered_tasks WHERE origin = 'import' AND text = ?"
            for (task_id,) in await self.ledger.rows(known, (TEXTS[argument],)):
                await self._embed(task_id, argument)
        elif what == "forget":
            await forget(self.ledger, Selection(task_ids=(argument,)))
        elif what == "prune" and (prunable := await find_prunable(self.ledger, older_than_days=None, keep=argument)):
            await prune(self.ledger, prunable)
        elif what == "recall":
            await self.finds(argument)
        elif what == "rebuild":
            await self.keeper.rebuild()

    async def _embed(self, task_id: str, name: str) -> None:
        from chargehand.memory_store import embeddings

        await embeddings.store(self.ledger, self.embedder.id, [task_id], await self.embedder.embed([TEXTS[name]]))


@settings(max_examples=20)
@given(operations=st.lists(st.tuples(st.integers(0, 1), an_operation), min_size=4, max_size=16))
def test_any_interleaving_of_two_hosts_leaves_ledger_and_index_in_agreement(operations):
    anyio.run(play, operations)


async def play(operations) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        hosts = [await host(home), await host(home)]
        try:
            async with anyio.create_task_group() as group:
                for one in hosts:
                    one.keeper.start(group)
                for who, (what, argument) in operations:
                    await hosts[who].do(what, argument)
                remembered = {text for (text,) in await hosts[0].ledger.rows("SELECT text FROM remembered_tasks")}
                for one in hosts:
                    for name, text in TEXTS.items():
                        assert await one.finds(name) == (text in remembered), (name, operations)
                group.cancel_scope.cancel()
        finally:
            for one in hosts:
                await one.keeper.aclose()
                await one.ledger.aclose()


async def host(home: Path) -> Host:
    ledger = await Ledger.open(home, lambda: dt.datetime.now(dt.UTC))
    embedder = LexicalEmbedder()
    await embedder.prepare()
    return Host(ledger, IndexKeeper(ledger, embedder.id, ChromaSlot(home / "index", embedder.id)), embedder, home)
