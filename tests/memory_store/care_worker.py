"""Repeats one operation on a ledger until it is killed: `care_worker.py HOME COMMAND [FILE]`.

Each line it prints acknowledges an operation that is complete.
"""

import datetime as dt
import itertools
import os
import sys
from pathlib import Path

import anyio
from ledger_rows import check_of, decision_of, finish, task
from portable_rows import RULES

from chargehand.memory_store.care.importing import import_memory
from chargehand.memory_store.care.pruning import Selection, find_prunable, forget, prune, shrink
from chargehand.memory_store.ledger import Ledger
from chargehand.memory_store.records import NewAttempt, Settlement

NAME = f"w{os.getpid()}"


def _print_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def write(ledger: Ledger, _: str) -> None:
    """Write whole delegations one after the other; print each task's id once it is acknowledged."""
    for number in itertools.count():
        name = f"{NAME}-{number}"
        await ledger.begin_task(task(name, text=f"Write number {number}"))
        await ledger.record_decision(decision_of(name))
        attempt = NewAttempt(name, "m", "ollama", None, thinking=False, reserved_usd=0.5)
        attempt_id = await ledger.reserve(attempt, daily_cap_usd=None)
        await ledger.settle(attempt_id, Settlement("passed", seconds=1.0, cost_usd=0.25))
        await ledger.record_check(check_of(name, attempt_id))
        await ledger.finish_task(name, finish(model="m"))
        await ledger.record_outcome(name, "accepted", None)
        _print_line(name)


async def prune_again_and_again(ledger: Ledger, _: str) -> None:
    while True:
        prunable = await find_prunable(ledger, older_than_days=None, keep=3)
        if prunable is not None:
            await shrink(ledger, went=await prune(ledger, prunable))
        _print_line("pruned")


async def forget_again_and_again(ledger: Ledger, _: str) -> None:
    while True:
        await forget(ledger, Selection(project="doomed"))
        _print_line("forgotten")


async def take_in(ledger: Ledger, file: str) -> None:
    while True:
        await import_memory(ledger, Path(file), RULES)
        _print_line("imported")


async def open_only(_: Ledger, __: str) -> None:
    _print_line("opened")
    await anyio.sleep_forever()


async def main(home: str, command: str, file: str = "") -> None:
    _print_line("ready")
    ledger = await Ledger.open(Path(home), lambda: dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC))
    await globals()[command](ledger, file)


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
