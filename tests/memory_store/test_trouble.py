"""Full disks, missing permissions, damaged files, and clocks that are set back."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ledger_rows import attempt, delegate, old_ledger, task
from portable_rows import TASK, export_file, import_file

from chargehand.memory_store.care.exporting import export_memory
from chargehand.memory_store.errors import LedgerUnusable
from chargehand.memory_store.ledger import LEDGER_FILE, Ledger

pytestmark = pytest.mark.anyio

IS_ROOT = os.name != "nt" and os.geteuid() == 0
NOBODY = 65534

# Imports come first: a user without rights may not read this installation.
LIMITED = """
import datetime as dt, resource, sys, anyio, os
from pathlib import Path
import anyio._backends._asyncio
from chargehand.memory_store.errors import LedgerUnusable
from chargehand.memory_store.ledger import Ledger
from chargehand.memory_store.records import NewTask
home, limit, uid = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
async def main():
    done = 0
    try:
        ledger = await Ledger.open(home, lambda: dt.datetime.now(dt.UTC))
        while done < 5000:
            await ledger.begin_task(NewTask(f"x{done}", "delegation", "x" * 500, "other", 1.0, False))
            done += 1
    except LedgerUnusable as error:
        print(done)
        print(error)
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
if uid:
    os.setgroups([]); os.setgid(uid); os.setuid(uid)
anyio.run(main)
"""


def write_with_limits(home: Path, *, file_bytes: int = 0, uid: int = 0) -> tuple[int, str]:
    """Runs a process under limits; returns how many tasks it could write, and the error message that stopped it."""
    process = subprocess.run(
        [sys.executable, "-c", LIMITED, str(home), str(file_bytes), str(uid)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    count, _, message = process.stdout.partition("\n")
    return int(count), message


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of 1 MiB; only root can mount one."""
    folder = Path(tempfile.mkdtemp())
    mounted = IS_ROOT and shutil.which("mount") is not None
    if mounted:
        mounting = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
        mounted = subprocess.run(mounting, check=False, capture_output=True).returncode == 0
    if not mounted:
        folder.rmdir()
        pytest.skip("no small disk can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
    folder.rmdir()


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A temporary folder that other users may enter."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


async def test_a_full_disk_is_reported_and_acknowledged_tasks_stay(small_disk, clock):
    home = small_disk / "home"
    written, message = write_with_limits(home)

    assert 0 < written < 5_000
    assert str(home / LEDGER_FILE) in message
    assert "the disk is full" in message
    with closing(sqlite3.connect(home / LEDGER_FILE)) as db:
        assert db.execute("SELECT COUNT(*) FROM tasks").fetchone() == (written,)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_full_disk_on_opening_is_not_reported_as_damage(small_disk, clock):
    home = small_disk / "home"
    await (await Ledger.open(home, clock)).aclose()
    fill_up(small_disk, leaving=0)

    with pytest.raises(LedgerUnusable, match=r"the disk is full\. What it holds is safe") as refused:
        await Ledger.open(home, clock)

    assert "damaged" not in str(refused.value)


async def test_a_migration_on_a_full_disk_leaves_the_old_ledger_unchanged(small_disk, clock):
    home = small_disk / "home"
    old_ledger(home, tasks=1_000)
    fill_up(small_disk, leaving=200_000)

    with pytest.raises(LedgerUnusable, match="the disk is full"):
        await Ledger.open(home, clock)

    with closing(sqlite3.connect(home / LEDGER_FILE)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert db.execute("SELECT COUNT(*) FROM tasks").fetchone() == (1_000,)
    assert not list(home.glob("*.bak*"))


async def test_an_export_on_a_full_disk_keeps_the_previous_file(small_disk, ledger):
    target = small_disk / "memory.jsonl"
    target.write_text("the last one")
    await ledger.begin_task(task("t1", text="x" * 2_000_000))

    with pytest.raises(OSError, match="No space left"):
        await export_memory(ledger, target)

    assert target.read_text() == "the last one"
    assert len(list(small_disk.iterdir())) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
async def test_a_file_size_limit_is_reported_and_acknowledged_tasks_stay(home, clock):
    written, message = write_with_limits(home, file_bytes=300_000)

    assert 0 < written < 5_000
    assert str(home / LEDGER_FILE) in message
    ledger = await Ledger.open(home, clock)
    assert await ledger.rows("SELECT COUNT(*) FROM tasks") == [(written,)]
    assert await ledger.rows("PRAGMA integrity_check") == [("ok",)]
    await ledger.aclose()


@pytest.mark.skipif(not IS_ROOT, reason="only root can become somebody else")
@pytest.mark.parametrize("case", ["file", "folder", "foreign"])
async def test_missing_write_permission_is_reported_with_the_path_and_a_remedy(shared_folder: Path, clock, case: str):
    home = shared_folder / "home"
    ledger = await Ledger.open(home, clock)
    await ledger.begin_task(task("t1"))
    await ledger.aclose()
    if case != "foreign":
        for path in (home, home / LEDGER_FILE):
            os.chown(path, NOBODY, NOBODY)
        (home / LEDGER_FILE if case == "file" else home).chmod(0o400 if case == "file" else 0o500)
    before = (home / LEDGER_FILE).read_bytes()

    written, message = write_with_limits(home, uid=NOBODY)

    assert written == 0
    assert str(home / LEDGER_FILE) in message
    assert "CHARGEHAND_HOME" in message
    assert "damaged" not in message
    assert (home / LEDGER_FILE).read_bytes() == before


@pytest.mark.parametrize("name", ["with space", "größe 🙂", "percent%20?query#hash", "quote'\"", "a;b"])
async def test_data_folders_may_have_any_name(tmp_path: Path, clock, name: str):
    home = tmp_path / name / "deeper"
    old_ledger(home)

    ledger = await Ledger.open(home, clock)
    await export_memory(ledger, home / "export ü.jsonl")
    await import_file(ledger, export_file(home, TASK, name="import ü.jsonl"))
    count = await ledger.rows("SELECT COUNT(*) FROM tasks")
    await ledger.aclose()

    assert count == [(6,)]
    assert (home / f"{LEDGER_FILE}.v1.bak").exists()


async def test_after_the_clock_is_set_back_no_row_is_lost_and_only_the_shown_days_costs_count(ledger, clock):
    await delegate(ledger, "t1", ("m", True), cost_usd=1.0)
    clock.advance(days=-30)

    await delegate(ledger, "t2", ("m", True), cost_usd=0.25)
    await ledger.record_outcome("t1", "accepted", None)
    await ledger.reserve(attempt("t2", reserved_usd=0.5), daily_cap_usd=None)

    assert await ledger.spent_today_usd() == 0.75
    assert await ledger.rows("SELECT COUNT(*) FROM evidence WHERE kind = 'executed'") == [(2,)]
    row = await ledger.task("t1")
    assert row is not None
    assert row.outcomes == ("accepted",)


@pytest.fixture
async def damaged(home: Path, clock) -> Path:
    """The closed file of a ledger with 100 tasks, for a test to damage."""
    ledger = await Ledger.open(home, clock)
    for number in range(100):
        await ledger.begin_task(task(f"t{number}", text="x" * 2_000))
    await ledger.aclose()
    return home / LEDGER_FILE


@pytest.mark.parametrize("part", [0.9, 0.5, 0.01])
async def test_a_truncated_ledger_is_reported_as_damaged_and_left_unchanged(damaged, clock, part: float):
    size = damaged.stat().st_size
    os.truncate(damaged, int(size * part))
    before = damaged.read_bytes()

    with pytest.raises(LedgerUnusable, match="is damaged") as caught:
        await Ledger.open(damaged.parent, clock)

    assert "move it aside" in str(caught.value)
    assert ".recover" in str(caught.value)
    assert damaged.read_bytes() == before
    assert files_beside(damaged) == []


async def test_an_empty_ledger_file_with_a_non_empty_wal_is_damaged_not_new(home, clock):
    ledger = await Ledger.open(home, clock)
    await ledger.begin_task(task("t1"))
    log = (home / f"{LEDGER_FILE}-wal").read_bytes()
    await ledger.aclose()
    (home / LEDGER_FILE).write_bytes(b"")
    (home / f"{LEDGER_FILE}-wal").write_bytes(log)

    with pytest.raises(LedgerUnusable, match="is damaged"):
        await Ledger.open(home, clock)

    assert (home / f"{LEDGER_FILE}-wal").read_bytes() == log


@pytest.mark.parametrize("junk", [b"\x00" * 8192, b"{}", b"SQLite format 3\x00" + b"\xff" * 4080])
async def test_an_overwritten_ledger_is_left_unchanged_and_once_moved_away_a_new_one_is_created(
    damaged, clock, junk: bytes
):
    damaged.write_bytes(junk)

    with pytest.raises(LedgerUnusable) as caught:
        await Ledger.open(damaged.parent, clock)

    assert "move it aside" in str(caught.value)
    assert damaged.read_bytes() == junk
    damaged.rename(damaged.with_suffix(".aside"))
    ledger = await Ledger.open(damaged.parent, clock)
    await ledger.begin_task(task("t1"))
    await ledger.aclose()


async def test_damage_found_while_open_is_reported_and_the_damaged_bytes_stay_unchanged(damaged, clock):
    data = damaged.read_bytes()
    half = len(data) // 2
    damaged.write_bytes(data[:half] + b"\x5a" * (len(data) - half))
    ledger = await Ledger.open(damaged.parent, clock)

    with pytest.raises(LedgerUnusable, match="is damaged"):
        await ledger.rows("SELECT SUM(LENGTH(text)) FROM tasks")
    await ledger.aclose()

    assert damaged.read_bytes()[half:] == b"\x5a" * (len(data) - half)


async def test_the_error_about_a_damaged_ledger_names_its_backup(home, clock):
    old_ledger(home)
    await (await Ledger.open(home, clock)).aclose()
    os.truncate(home / LEDGER_FILE, 5_000)

    with pytest.raises(LedgerUnusable, match=r"an older copy is in ledger\.sqlite3\.v1\.bak"):
        await Ledger.open(home, clock)


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
async def test_ledger_files_readable_by_others_are_made_private(home, clock):
    ledger = await Ledger.open(home, clock)
    await ledger.begin_task(task("t1"))
    for path in home.iterdir():
        path.chmod(0o644)

    second_connection = await Ledger.open(home, clock)

    assert {stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()} == {0o600}
    await second_connection.aclose()
    await ledger.aclose()


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
async def test_an_empty_data_folder_is_made_private_and_one_with_other_files_keeps_its_mode(tmp_path: Path, clock):
    empty, in_use = tmp_path / "made", tmp_path / "used"
    for folder in (empty, in_use):
        folder.mkdir(mode=0o755)
    (in_use / "something else").touch()

    for folder in (empty, in_use):
        await (await Ledger.open(folder, clock)).aclose()

    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (empty, in_use)] == [0o700, 0o755]
    assert stat.S_IMODE((in_use / LEDGER_FILE).stat().st_mode) == 0o600


def fill_up(disk: Path, *, leaving: int) -> None:
    (disk / "filler").write_bytes(b"x" * (shutil.disk_usage(disk).free - leaving))


def files_beside(ledger: Path) -> list[str]:
    return [path.name for path in ledger.parent.iterdir() if path != ledger]
