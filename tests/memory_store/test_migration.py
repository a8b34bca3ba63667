"""Migration of ledgers of earlier versions, and the backup that is kept."""

import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from ledger_rows import old_ledger, task

from chargehand.memory_store.errors import LedgerUnusable
from chargehand.memory_store.ledger import LEDGER_FILE, Ledger
from chargehand.memory_store.records import TrackRecord
from chargehand.memory_store.schema import MIGRATIONS

pytestmark = pytest.mark.anyio

OPENER = """
import datetime as dt, sys, anyio
from pathlib import Path
from chargehand.memory_store.ledger import Ledger
async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    ledger = await Ledger.open(Path(sys.argv[1]), lambda: dt.datetime.now(dt.UTC))
    print(await ledger.rows("SELECT COUNT(*) FROM tasks"), flush=True)
    await ledger.aclose()
anyio.run(main)
"""


async def test_tasks_records_and_evidence_of_an_old_ledger_are_kept_by_the_migration(home: Path, clock):
    old_ledger(home, tasks=30)

    ledger = await Ledger.open(home, clock)
    row = await ledger.task("old-7")
    record = await ledger.track_record("qwen3-14b", None)
    evidence = await ledger.rows("SELECT COUNT(*), SUM(success) FROM evidence")
    await ledger.begin_task(task("new", project="p"))
    intact = await ledger.rows("PRAGMA integrity_check") + await ledger.rows("PRAGMA foreign_key_check")
    await ledger.aclose()

    assert row is not None
    assert (row.text, row.project, row.origin, row.text_form) == ("Task 7", None, "use", "full")
    assert record == TrackRecord("qwen3-14b", None, 30, 0)
    assert evidence == [(30, 30)]
    assert intact == [("ok",)]


async def test_a_private_backup_of_the_old_ledger_is_kept_beside_the_new_one(home: Path, clock):
    old_ledger(home, tasks=30)

    await (await Ledger.open(home, clock)).aclose()

    backup = home / f"{LEDGER_FILE}.v1.bak"
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    with closing(sqlite3.connect(backup)) as old:
        assert old.execute("PRAGMA user_version").fetchone() == (1,)
        assert old.execute("SELECT COUNT(*) FROM tasks").fetchone() == (30,)
        assert old.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert _names(home) == [LEDGER_FILE, backup.name]


async def test_opening_a_new_or_current_ledger_makes_no_backup(home: Path, clock):
    await (await Ledger.open(home, clock)).aclose()
    await (await Ledger.open(home, clock)).aclose()

    assert _names(home) == [LEDGER_FILE]


async def test_an_unfinished_backup_is_removed_by_the_next_migration(home: Path, clock):
    old_ledger(home)
    (home / f"{LEDGER_FILE}.v1.bak.unfinished").write_bytes(b"half")

    await (await Ledger.open(home, clock)).aclose()

    assert _names(home) == [LEDGER_FILE, f"{LEDGER_FILE}.v1.bak"]


async def test_an_unfinished_backup_beside_a_current_ledger_is_removed(home: Path, clock):
    await (await Ledger.open(home, clock)).aclose()
    for ending in ("", "-journal"):
        (home / f"{LEDGER_FILE}.v1.bak.unfinished{ending}").write_bytes(b"half")

    await (await Ledger.open(home, clock)).aclose()

    assert _names(home) == [LEDGER_FILE]


async def test_the_ledger_is_not_migrated_when_its_backup_cannot_be_written(home: Path, clock):
    old_ledger(home)
    (home / f"{LEDGER_FILE}.v1.bak").mkdir()
    (home / f"{LEDGER_FILE}.v1.bak" / "in the way").touch()

    with pytest.raises(LedgerUnusable, match="cannot be used"):
        await Ledger.open(home, clock)

    with closing(sqlite3.connect(home / LEDGER_FILE)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert db.execute("SELECT COUNT(*) FROM tasks").fetchone() == (5,)
    assert not (home / f"{LEDGER_FILE}.v1.bak.unfinished").exists()


async def test_a_failing_migration_step_is_reported_and_the_ledger_stays_unchanged(home: Path, clock):
    old_ledger(home)
    with closing(sqlite3.connect(home / LEDGER_FILE)) as db:
        db.execute("CREATE TABLE identity (somebody TEXT)")

    message = (
        r"cannot be brought from version 3 to 4 \(table identity already exists\), and stays at version 1, unchanged."
        rf" Its copy {LEDGER_FILE}\.v1\.bak beside it is as good. Use the Chargehand that wrote it"
    )
    with pytest.raises(LedgerUnusable, match=message):
        await Ledger.open(home, clock)

    with closing(sqlite3.connect(home / LEDGER_FILE)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert db.execute("SELECT COUNT(*) FROM tasks").fetchone() == (5,)


async def test_a_migrated_ledger_has_the_same_indexes_as_a_new_one(home: Path, clock):
    indexes = "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"
    for folder in (home / "new", home / "old"):
        await (await Ledger.open(folder, clock)).aclose()
    with closing(sqlite3.connect(home / "new" / LEDGER_FILE)) as db:
        expected = db.execute(indexes).fetchall()
    with closing(sqlite3.connect(home / "old" / LEDGER_FILE)) as db:
        db.executescript(
            "DROP INDEX tasks_by_status; DROP INDEX tasks_of_use;"
            " CREATE INDEX tasks_by_type ON tasks (kind, task_type, begun_at);"
            " PRAGMA user_version = 10;"
        )

    ledger = await Ledger.open(home / "old", clock)

    assert await ledger.rows(indexes) == expected
    await ledger.aclose()


def test_concurrent_processes_can_open_an_old_ledger_and_migrate_it(home: Path):
    old_ledger(home, tasks=300)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

    counts = [process.communicate("go\n", timeout=60)[0] for process in reversed(processes)]

    assert counts == ["[(300,)]\n"] * 4
    with closing(sqlite3.connect(home / LEDGER_FILE)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


async def test_a_connection_of_the_old_version_can_still_write_after_the_migration(home: Path, clock):
    old_ledger(home)
    with closing(sqlite3.connect(home / LEDGER_FILE, isolation_level=None)) as old:
        old.execute("SELECT COUNT(*) FROM tasks")
        ledger = await Ledger.open(home, clock)

        old.execute(
            "INSERT INTO tasks (id, kind, begun_at, text, task_type, complexity, local_only, status)"
            " VALUES ('late', 'delegation', 5, 'Late', 'other', 1, 0, 'running')"
        )

    row = await ledger.task("late")
    await ledger.aclose()
    assert row is not None
    assert row.origin == "use"


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
