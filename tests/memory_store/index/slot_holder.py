"""A process with a slot or a keeper; prints a line for each completed step: `slot_holder.py HOME COMMAND …`."""

import datetime as dt
import os
import sys
from pathlib import Path

import anyio
import anyio.to_thread
from index_rows import EMBEDDER, add_tasks, nearest_ids, vectors, wait_for_phase

from chargehand.memory_store.index.chroma_library import load_chroma
from chargehand.memory_store.index.chroma_slot import ChromaSlot
from chargehand.memory_store.index.keeper import IndexKeeper
from chargehand.memory_store.index.slots import take_slot
from chargehand.memory_store.ledger import Ledger


def _print_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _read_line() -> str:
    return (await anyio.to_thread.run_sync(sys.stdin.readline)).strip()


async def hold(home: Path) -> None:
    """Take a slot and hold it, without Chroma."""
    slot = take_slot(home / "index")
    _print_line(str(slot.number))
    await _read_line()


async def serve(home: Path, name: str) -> None:
    """Serve an index. `add N` adds a task with vector N; `find N` prints the id of the task that is found."""
    ledger = await Ledger.open(home, lambda: dt.datetime(2026, 11, 24, tzinfo=dt.UTC))
    storage = ChromaSlot(home / "index", EMBEDDER)
    keeper = IndexKeeper(ledger, EMBEDDER, storage)
    unit_vectors = vectors(5000)
    async with anyio.create_task_group() as group:
        keeper.start(group)
        _print_line("started")
        await wait_for_phase(keeper, "ready")
        assert storage.folder is not None
        _print_line(f"ready {storage.folder.name}")
        while request := (await _read_line()).split():
            number = int(request[1])
            if request[0] == "add":
                _print_line((await add_tasks(ledger, unit_vectors[number : number + 1], prefix=f"{name}-{number}-"))[0])
            else:
                await ledger.refresh()
                _print_line(str((await nearest_ids(keeper, unit_vectors[number : number + 1]))[0]))
        group.cancel_scope.cancel()
    await keeper.aclose()
    await ledger.aclose()


def serve_children(home: Path) -> None:
    """For each line read, fork a process that loads the index; Chroma is imported only once."""
    load_chroma()
    _print_line("ready")
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            anyio.run(serve, home, "child")
        _print_line(f"child {child}")
        os.waitpid(child, 0)
        _print_line("over")


async def main(home: str, command: str, *arguments: str) -> None:
    await globals()[command](Path(home), *arguments)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    if sys.argv[2] == "serve_children":
        serve_children(Path(sys.argv[1]))
    else:
        anyio.run(main, *sys.argv[1:])
