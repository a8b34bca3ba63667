"""`kill -9` at random moments: acknowledged writes are there, and the next opening works immediately.

CHARGEHAND_TEST_KILLS sets the approximate number of kills of all tests together; default 20.
"""

import datetime as dt
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from ledger_rows import delegate, old_ledger, task
from portable_rows import TASK, all_rows, export_file, import_file

from chargehand.memory_store.ledger import LEDGER_FILE, Ledger
from chargehand.memory_store.schema import MIGRATIONS

pytestmark = pytest.mark.anyio

WORKER = Path(__file__).with_name("care_worker.py")
KILLS = int(os.environ.get("CHARGEHAND_TEST_KILLS", "20"))
WAIT_S = 60
DICE = random.Random(20261124)


def rounds(fraction: float) -> range:
    """The rounds of a test that makes this fraction of KILLS; most rounds kill two workers."""
    return range(max(1, round(KILLS * fraction)))


@contextmanager
def start_workers(home: Path, *commands: str, file: Path | None = None) -> Iterator[list[subprocess.Popen[str]]]:
    """Start workers, one per command; they are killed on exit."""
    workers = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(home), command, str(file or "")], stdout=subprocess.PIPE, text=True
        )
        for command in commands
    ]
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        yield workers
    finally:
        for worker in workers:
            worker.kill()
            worker.wait(WAIT_S)
            assert worker.stdout is not None
            worker.stdout.close()


def kill(worker: subprocess.Popen[str], *, within_s: float) -> list[str]:
    """Kill a worker at a random moment; returns the words it had printed."""
    time.sleep(DICE.uniform(0, within_s))
    worker.send_signal(signal.SIGKILL)
    worker.wait(WAIT_S)
    assert worker.stdout is not None
    return worker.stdout.read().split()


async def reopened(home: Path, clock) -> Ledger:
    ledger = await Ledger.open(home, clock)
    await ledger.begin_task(task(f"after-{time.monotonic_ns()}"))
    return ledger


async def assert_consistent(ledger: Ledger) -> None:
    assert await ledger.rows("PRAGMA integrity_check") == [("ok",)]
    assert await ledger.rows("PRAGMA foreign_key_check") == []


async def test_acknowledged_delegations_survive_kill_9(home: Path, clock):
    await (await Ledger.open(home, clock)).aclose()
    acknowledged: list[str] = []
    for _ in rounds(0.1):
        with start_workers(home, "write", "write") as workers:
            acknowledged += [name for worker in workers for name in kill(worker, within_s=0.3)]
        ledger = await reopened(home, clock)
        kept = {name for (name,) in await ledger.rows(
            "SELECT t.id FROM tasks t JOIN outcomes o ON o.task_id = t.id JOIN checks c ON c.task_id = t.id"
            " JOIN attempts a ON a.task_id = t.id WHERE t.status = 'succeeded' AND a.cost_usd = 0.25"
        )}  # fmt: skip
        await assert_consistent(ledger)
        await ledger.aclose()
        assert set(acknowledged) <= kept


async def test_a_migration_interrupted_by_kill_9_is_completed_by_the_next_opening(tmp_path: Path, clock):
    template = tmp_path / "template"
    old_ledger(template, tasks=3_000)
    for number in rounds(0.2):
        home = tmp_path / f"home {number}"
        home.mkdir(mode=0o700)
        (home / LEDGER_FILE).write_bytes((template / LEDGER_FILE).read_bytes())
        with start_workers(home, "open_only", "open_only") as workers:
            for worker in workers:
                kill(worker, within_s=0.04)
        assert version_of(home) in range(1, len(MIGRATIONS) + 1)

        ledger = await reopened(home, clock)
        assert await ledger.rows("SELECT COUNT(*) FROM evidence") == [(3_000,)]
        await assert_consistent(ledger)
        await ledger.aclose()
        with closing(sqlite3.connect(home / f"{LEDGER_FILE}.v1.bak")) as backup:
            assert backup.execute("SELECT COUNT(*) FROM tasks").fetchone() == (3_000,)
        assert sorted(path.name for path in home.iterdir()) == [LEDGER_FILE, f"{LEDGER_FILE}.v1.bak"]


async def test_pruning_interrupted_by_kill_9_changes_no_track_record_or_spend(home: Path, clock):
    ledger = await Ledger.open(home, clock)
    for number in range(300):
        await delegate(ledger, f"t{number}", ("m", number % 3 > 0), cost_usd=0.01, status="failed")
    await ledger.aclose()
    clock.advance(days=0.2)
    good = bad = 0
    for _ in rounds(0.15):
        with start_workers(home, "prune_again_and_again") as workers:
            kill(workers[0], within_s=0.3)
        ledger = await reopened(home, clock)
        record = await ledger.track_record("m", None)
        good, bad = good or record.good, bad or record.bad
        assert (record.good, record.bad) == (good, bad)
        assert await ledger.spent_today_usd() == pytest.approx(3.0)
        await assert_consistent(ledger)
        await ledger.aclose()
    assert bad == 100


async def test_an_import_interrupted_by_kill_9_leaves_whole_tasks_and_can_be_repeated(
    home: Path, clock, tmp_path: Path
):
    file = export_file(tmp_path, *({**TASK, "id": f"t{n}", "begun_at": float(n)} for n in range(2_000)))
    await (await Ledger.open(home, clock)).aclose()
    for _ in rounds(0.1):
        with start_workers(home, "take_in", "write", file=file) as workers:
            for worker in workers:
                kill(worker, within_s=0.3)
        ledger = await reopened(home, clock)
        await assert_consistent(ledger)
        # Every imported task has its check.
        assert await ledger.rows("SELECT COUNT(*) FROM tasks WHERE elsewhere") == await ledger.rows(
            "SELECT COUNT(*) FROM checks c JOIN tasks t ON t.id = c.task_id WHERE t.elsewhere"
        )
        await ledger.aclose()

    ledger = await Ledger.open(home, clock)
    await import_file(ledger, file)
    uninterrupted = await Ledger.open(tmp_path / "whole", lambda: dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC))
    await import_file(uninterrupted, file)
    assert [row for row in (await all_rows(ledger))["checks"] if row[0].startswith("t")] == (
        await all_rows(uninterrupted)
    )["checks"]
    await ledger.aclose()
    await uninterrupted.aclose()


async def test_forgetting_interrupted_by_kill_9_leaves_a_consistent_ledger(home: Path, clock):
    ledger = await Ledger.open(home, clock)
    for number in range(600):
        await ledger.begin_task(task(f"t{number}", project="doomed", text="doomed words"))
    await ledger.aclose()
    for _ in rounds(0.1):
        with start_workers(home, "forget_again_and_again", "write") as workers:
            for worker in workers:
                kill(worker, within_s=0.3)
        ledger = await reopened(home, clock)
        await assert_consistent(ledger)
        assert await ledger.rows("SELECT COUNT(*) FROM tasks WHERE id LIKE 't%'") == [(600,)]
        await ledger.aclose()


def version_of(home: Path) -> int:
    with closing(sqlite3.connect(home / LEDGER_FILE)) as db:
        return db.execute("PRAGMA user_version").fetchone()[0]
