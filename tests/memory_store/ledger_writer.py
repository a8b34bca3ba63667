"""Writes to a ledger and prints a line for each acknowledged write: `ledger_writer.py HOME COMMAND NAME …`."""

import datetime as dt
import sys
from pathlib import Path

import anyio
from ledger_rows import attempt, settlement, task

from chargehand.memory_store.errors import BudgetExceeded
from chargehand.memory_store.ledger import Ledger
from chargehand.memory_store.ownership import Owner
from chargehand.memory_store.request_queue import RequestQueue


def _print_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def begin_for_ever(ledger: Ledger, name: str) -> None:
    """Begin tasks until killed; print each task's id once it is acknowledged."""
    number = 0
    while True:
        number += 1
        await ledger.begin_task(task(f"{name}-{number}"))
        _print_line(f"{name}-{number}")


async def begin(ledger: Ledger, name: str, count: str) -> None:
    for number in range(int(count)):
        await ledger.begin_task(task(f"{name}-{number}"))
    _print_line("done")


async def spend(ledger: Ledger, name: str, cap_usd: str, wanted_usd: str) -> None:
    """Reserve until the budget is exceeded; settle every other reservation at half; print their number."""
    await ledger.begin_task(task(name))
    count = 0
    while True:
        try:
            reserved = await ledger.reserve(attempt(name, reserved_usd=float(wanted_usd)), daily_cap_usd=float(cap_usd))
        except BudgetExceeded:
            _print_line(str(count))
            return
        count += 1
        if count % 2:
            await ledger.settle(reserved, settlement(cost_usd=float(wanted_usd) / 2))


async def reserve_and_wait(ledger: Ledger, name: str, wanted_usd: str) -> None:
    await ledger.begin_task(task(name))
    await ledger.reserve(attempt(name, reserved_usd=float(wanted_usd)), daily_cap_usd=None)
    _print_line("reserved")
    await anyio.sleep_forever()


async def live(_: Ledger, owner: Owner) -> None:
    _print_line(owner.id)
    await anyio.sleep_forever()


async def own_and_wait(ledger: Ledger, owner: Owner, name: str, wanted_usd: str) -> None:
    await ledger.begin_task(task(name, owner=owner.id))
    await ledger.reserve(attempt(name, reserved_usd=float(wanted_usd)), daily_cap_usd=None)
    _print_line("reserved")
    await anyio.sleep_forever()


async def hold_turn(ledger: Ledger, owner: Owner, server: str) -> None:
    await RequestQueue(ledger, owner, at_once=1).take_turn(server, lambda _: None)
    _print_line("turn")
    await anyio.sleep_forever()


_WITH_OWNER = ("live", "own_and_wait", "hold_turn")


async def main(home: str, command: str, *arguments: str) -> None:
    _print_line("ready")
    sys.stdin.readline()  # the test starts all writers at once
    ledger = await Ledger.open(Path(home), lambda: dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC))
    owner = (await Owner.enter(Path(home)),) if command in _WITH_OWNER else ()
    await globals()[command](ledger, *owner, *arguments)
    await ledger.aclose()


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
