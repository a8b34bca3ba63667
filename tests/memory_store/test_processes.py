"""The ledger used by several processes at once, some of which are killed."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ledger_rows import attempt, settlement, task

from chargehand.memory_store.errors import BudgetExceeded
from chargehand.memory_store.ledger import LEDGER_FILE, Ledger

pytestmark = pytest.mark.anyio

WRITER = Path(__file__).with_name("ledger_writer.py")
WAIT_S = 60


@contextmanager
def _writers(home: Path, *commands: tuple[str, ...]) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that are ready to write; killed on exit."""
    processes = [
        subprocess.Popen(
            [sys.executable, str(WRITER), str(home), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait(WAIT_S)
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()


def _start_all(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def _read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("acknowledged", [1, 25])
async def test_acknowledged_tasks_survive_kill_9(home: Path, clock, acknowledged: int):
    with _writers(home, ("begin_for_ever", "w")) as writers:
        _start_all(writers)
        acknowledged_ids = [_read_line(writers[0]) for _ in range(acknowledged)]
        writers[0].send_signal(signal.SIGKILL)
        assert writers[0].stdout is not None
        acknowledged_ids += writers[0].stdout.read().split()

    ledger = await Ledger.open(home, clock)
    kept = {name for (name,) in await ledger.rows("SELECT id FROM tasks")}
    intact = await ledger.rows("PRAGMA integrity_check")
    await ledger.begin_task(task("after"))
    await ledger.aclose()

    assert set(acknowledged_ids) <= kept
    assert len(kept) <= len(acknowledged_ids) + 1
    assert intact == [("ok",)]


async def test_processes_that_create_a_ledger_at_the_same_time_lose_no_row(home: Path, clock):
    names = [f"w{n}" for n in range(5)]
    with _writers(home, *(("begin", name, "20") for name in names)) as writers:
        _start_all(writers)
        assert [_read_line(writer) for writer in writers] == ["done"] * len(names)
        assert [writer.wait(WAIT_S) for writer in writers] == [0] * len(names)

    ledger = await Ledger.open(home, clock)
    kept = {name for (name,) in await ledger.rows("SELECT id FROM tasks")}
    await ledger.aclose()

    assert kept == {f"{name}-{number}" for name in names for number in range(20)}


async def test_concurrent_processes_never_reserve_more_than_the_daily_budget(home: Path, clock):
    with _writers(home, *(("spend", f"w{n}", "1.0", "0.0625") for n in range(3))) as writers:
        _start_all(writers)
        taken = [int(_read_line(writer)) for writer in writers]

    ledger = await Ledger.open(home, clock)
    spent = await ledger.spent_today_usd()
    (count,) = await ledger.rows("SELECT COUNT(*) FROM attempts")
    with pytest.raises(BudgetExceeded):
        await ledger.reserve(attempt("w0", reserved_usd=0.0625), daily_cap_usd=1.0)
    await ledger.aclose()

    assert sum(taken) == count[0]
    assert 1.0 - 0.0625 < spent <= 1.0


async def test_the_reservation_of_a_killed_process_counts_in_full(home: Path, clock):
    with _writers(home, ("reserve_and_wait", "w", "3.5")) as writers:
        _start_all(writers)
        assert _read_line(writers[0]) == "reserved"
        writers[0].send_signal(signal.SIGKILL)
        writers[0].wait(WAIT_S)

    ledger = await Ledger.open(home, clock)
    spent = await ledger.spent_today_usd()
    with pytest.raises(BudgetExceeded):
        await ledger.reserve(attempt("w", reserved_usd=2.0), daily_cap_usd=5)
    await ledger.aclose()

    assert spent == 3.5


async def test_two_ledger_connections_see_each_others_writes_immediately(home: Path, clock):
    first, second = await Ledger.open(home, clock), await Ledger.open(home, clock)
    await first.begin_task(task("t1"))
    reserved = await second.reserve(attempt("t1", reserved_usd=1.0), daily_cap_usd=5)
    await first.settle(reserved, settlement(cost_usd=0.5))

    spent = await second.spent_today_usd()
    await first.aclose()
    await second.aclose()

    assert spent == 0.5
    assert (home / LEDGER_FILE).exists()
