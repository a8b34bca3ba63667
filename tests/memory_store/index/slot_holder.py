"""A process with a keeper, a line for each thing done: `slot_holder.py HOME COMMAND …`, run by the tests."""

import datetime as dt
import os
import sys
from pathlib import Path

import anyio
import anyio.to_thread
from index_rows import EMBEDDER, found, remember, until, vectors

from chargehand.memory_store.index.chroma_library import load_chroma
from chargehand.memory_store.index.chroma_slot import ChromaSlot
from chargehand.memory_store.index.keeper import IndexKeeper
from chargehand.memory_store.index.slots import take_slot
from chargehand.memory_store.ledger import Ledger


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def _line() -> str:
    return (await anyio.to_thread.run_sync(sys.stdin.readline)).strip()


async def hold(home: Path) -> None:
    """Take a slot and keep it; no Chroma."""
    slot = take_slot(home / "index")
    _say(str(slot.number))
    await _line()


async def serve(home: Path, name: str) -> None:
    """Keep an index until killed. Asked for `add N` it remembers vector N, for `find N` it names the task it finds."""
    ledger = await Ledger.open(home, lambda: dt.datetime(2026, 11, 24, tzinfo=dt.UTC))
    storage = ChromaSlot(home / "index", EMBEDDER)
    keeper = IndexKeeper(ledger, EMBEDDER, storage)
    some = vectors(5000)
    async with anyio.create_task_group() as group:
        keeper.start(group)
        _say("started")
        await until(keeper, "ready")
        assert storage.folder is not None
        _say(f"ready {storage.folder.name}")
        while words := (await _line()).split():
            number = int(words[1])
            if words[0] == "add":
                _say((await remember(ledger, some[number : number + 1], prefix=f"{name}-{number}-"))[0])
            else:
                await ledger.refresh()
                _say(str((await found(keeper, some[number : number + 1]))[0]))
        group.cancel_scope.cancel()
    await keeper.aclose()
    await ledger.aclose()


def live_often(home: Path) -> None:
    """Per line read, a process that loads the index in the background; Chroma is imported once for all."""
    load_chroma()
    _say("ready")
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            anyio.run(serve, home, "child")
        _say(f"child {child}")
        os.waitpid(child, 0)
        _say("over")


async def main(home: str, command: str, *rest: str) -> None:
    await globals()[command](Path(home), *rest)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    if sys.argv[2] == "live_often":
        live_often(Path(sys.argv[1]))
    else:
        anyio.run(main, *sys.argv[1:])
