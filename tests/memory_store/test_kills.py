"""`kill -9` at random moments: what was acknowledged is there, and the next opening works at once.

CHARGEHAND_TEST_KILLS sets how often in all, 30 when it is not set.
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
from portable_rows import TASK, contents, export_file, take

from chargehand.memory_store.ledger import LEDGER_FILE, Ledger
from chargehand.memory_store.schema import MIGRATIONS

pytestmark = pytest.mark.anyio

WORKER = Path(__file__).with_name("care_worker.py")
KILLS = int(os.environ.get("CHARGEHAND_TEST_KILLS", "30"))
WAIT_S = 60
DICE = random.Random(20261124)


def share(of_all: float) -> range:
    """So many rounds; most of them kill two."""
    return range(max(1, round(KILLS * of_all)))


@contextmanager
def at_work(home: Path, *whats: str, file: Path | None = None) -> Iterator[list[subprocess.Popen[str]]]:
    """Workers that have begun; they are dead and read to the end afterwards."""
    workers = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(home), what, str(file or "")], stdout=subprocess.PIPE, text=True
        )
        for what in whats
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
    """Kill it at a random moment; gives what it had acknowledged."""
    time.sleep(DICE.uniform(0, within_s))
    worker.send_signal(signal.SIGKILL)
    worker.wait(WAIT_S)
    assert worker.stdout is not None
    return worker.stdout.read().split()


async def reopened(home: Path, clock) -> Ledger:
    ledger = await Ledger.open(home, clock)
    await ledger.begin_task(task(f"after-{time.monotonic_ns()}"))
    return ledger


async def assert_whole(ledger: Ledger) -> None:
    assert await ledger.rows("PRAGMA integrity_check") == [("ok",)]
    assert await ledger.rows("PRAGMA foreign_key_check") == []


async def test_killed_while_it_writes(home: Path, clock):
    await (await Ledger.open(home, clock)).aclose()
    told: list[str] = []
    for _ in share(0.1):
        with at_work(home, "write", "write") as workers:
            told += [name for worker in workers for name in kill(worker, within_s=0.3)]
        ledger = await reopened(home, clock)
        kept = {name for (name,) in await ledger.rows(
            "SELECT t.id FROM tasks t JOIN outcomes o ON o.task_id = t.id JOIN checks c ON c.task_id = t.id"
            " JOIN attempts a ON a.task_id = t.id WHERE t.status = 'succeeded' AND a.cost_usd = 0.25"
        )}  # fmt: skip
        await assert_whole(ledger)
        await ledger.aclose()
        assert set(told) <= kept


async def test_killed_while_it_migrates(tmp_path: Path, clock):
    template = tmp_path / "template"
    old_ledger(template, tasks=3_000)
    for number in share(0.2):
        home = tmp_path / f"home {number}"
        home.mkdir(mode=0o700)
        (home / LEDGER_FILE).write_bytes((template / LEDGER_FILE).read_bytes())
        with at_work(home, "open_only", "open_only") as workers:
            for worker in workers:
                kill(worker, within_s=0.04)
        assert version_of(home) in range(1, len(MIGRATIONS) + 1)

        ledger = await reopened(home, clock)
        assert await ledger.rows("SELECT COUNT(*) FROM evidence") == [(3_000,)]
        await assert_whole(ledger)
        await ledger.aclose()
        with closing(sqlite3.connect(home / f"{LEDGER_FILE}.v1.bak")) as backup:
            assert backup.execute("SELECT COUNT(*) FROM tasks").fetchone() == (3_000,)
        assert sorted(path.name for path in home.iterdir()) == [LEDGER_FILE, f"{LEDGER_FILE}.v1.bak"]


async def test_killed_while_it_prunes(home: Path, clock):
    ledger = await Ledger.open(home, clock)
    for number in range(300):
        await delegate(ledger, f"t{number}", ("m", number % 3 > 0), cost_usd=0.01, status="failed")
    await ledger.aclose()
    clock.advance(days=0.2)
    good = bad = 0
    for _ in share(0.15):
        with at_work(home, "prune_again_and_again") as workers:
            kill(workers[0], within_s=0.3)
        ledger = await reopened(home, clock)
        record = await ledger.track_record("m", None)
        good, bad = good or record.good, bad or record.bad
        assert (record.good, record.bad) == (good, bad)
        assert await ledger.spent_today_usd() == pytest.approx(3.0)
        await assert_whole(ledger)
        await ledger.aclose()
    assert bad == 100


async def test_killed_while_it_imports(home: Path, clock, tmp_path: Path):
    file = export_file(tmp_path, *({**TASK, "id": f"t{n}", "begun_at": float(n)} for n in range(2_000)))
    await (await Ledger.open(home, clock)).aclose()
    for _ in share(0.1):
        with at_work(home, "take_in", "write", file=file) as workers:
            for worker in workers:
                kill(worker, within_s=0.3)
        ledger = await reopened(home, clock)
        await assert_whole(ledger)
        # No task is there without what belongs to it.
        assert await ledger.rows("SELECT COUNT(*) FROM tasks WHERE elsewhere") == await ledger.rows(
            "SELECT COUNT(*) FROM checks c JOIN tasks t ON t.id = c.task_id WHERE t.elsewhere"
        )
        await ledger.aclose()

    ledger = await Ledger.open(home, clock)
    await take(ledger, file)
    whole = await Ledger.open(tmp_path / "whole", lambda: dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC))
    await take(whole, file)
    assert [row for row in (await contents(ledger))["checks"] if row[0].startswith("t")] == (await contents(whole))[
        "checks"
    ]
    await ledger.aclose()
    await whole.aclose()


async def test_killed_while_it_forgets(home: Path, clock):
    ledger = await Ledger.open(home, clock)
    for number in range(600):
        await ledger.begin_task(task(f"t{number}", project="doomed", text="doomed words"))
    await ledger.aclose()
    for _ in share(0.1):
        with at_work(home, "forget_again_and_again", "write") as workers:
            for worker in workers:
                kill(worker, within_s=0.3)
        ledger = await reopened(home, clock)
        await assert_whole(ledger)
        assert await ledger.rows("SELECT COUNT(*) FROM tasks WHERE id LIKE 't%'") == [(600,)]
        await ledger.aclose()


def version_of(home: Path) -> int:
    with closing(sqlite3.connect(home / LEDGER_FILE)) as db:
        return db.execute("PRAGMA user_version").fetchone()[0]
