"""The ledger in a single process."""

import datetime as dt
import sqlite3
import stat
import threading
from pathlib import Path

import anyio
import pytest
from ledger_rows import ATTEMPT, CHECK, DECISION, FINISH, TASK, attempt, delegate, finish, settlement, task

from chargehand.memory_store.errors import BudgetExceeded, DailyLimitReached, LedgerUnusable
from chargehand.memory_store.ledger import LEDGER_FILE, Clock, Ledger
from chargehand.memory_store.records import TaskRow, TrackRecord
from chargehand.memory_store.schema import MIGRATIONS

pytestmark = pytest.mark.anyio


async def test_a_recorded_task_is_read_back_unchanged_by_a_second_connection(ledger, home, clock):
    await ledger.begin_task(TASK)
    await ledger.record_decision(DECISION)
    attempt_id = await ledger.reserve(ATTEMPT, daily_cap_usd=None)
    await ledger.record_check(CHECK)
    await ledger.settle(attempt_id, settlement())
    began = clock().timestamp()
    clock.advance(seconds=5)
    await ledger.finish_task("t1", FINISH)
    await ledger.record_outcome("t1", "accepted", "good")

    second_connection = await Ledger.open(home, clock)
    row = await second_connection.task("t1")
    await second_connection.aclose()

    assert row == TaskRow(
        id="t1",
        kind="delegation",
        begun_at=began,
        finished_at=began + 5,
        text="Write a function",
        task_type="code_generation",
        complexity=2.5,
        status="succeeded",
        model="qwen3-14b",
        verified_by=("tests",),
        receipt='{"status": "succeeded"}',
        outcomes=("accepted",),
    )


@pytest.mark.parametrize(("form", "kept"), [("full", "assert total([1]) == 1"), ("redacted", None)])
async def test_tests_are_stored_only_when_full_texts_are(home: Path, clock, form, kept: str | None):
    ledger = await Ledger.open(home, clock, text_form=form)

    await ledger.begin_task(task("t1", tests="assert total([1]) == 1"))

    assert await ledger.rows("SELECT tests FROM tasks") == [(kept,)]
    await ledger.aclose()


async def test_an_unknown_task_is_none_and_takes_no_outcome(ledger):
    assert await ledger.task("nothing") is None
    assert not await ledger.record_outcome("nothing", "accepted", None)


async def test_an_outcome_for_a_forgotten_task_is_not_recorded(ledger):
    await ledger.begin_task(task("t1"))
    await ledger.write(lambda db: db.execute("UPDATE tasks SET text = '', text_form = 'forgotten'"))

    assert not await ledger.record_outcome("t1", "accepted", None)
    assert await ledger.rows("SELECT * FROM outcomes") == []


async def test_settling_an_unknown_attempt_or_finishing_an_unknown_task_is_an_error(ledger):
    with pytest.raises(ValueError, match="no attempt 7"):
        await ledger.settle(7, settlement())
    with pytest.raises(ValueError, match="no task t1"):
        await ledger.finish_task("t1", FINISH)


async def test_reserving_for_an_unknown_task_raises_an_integrity_error_not_ledger_unusable(ledger):
    with pytest.raises(sqlite3.IntegrityError):
        await ledger.reserve(attempt("nothing"), daily_cap_usd=None)

    await ledger.begin_task(TASK)  # the ledger is still usable


async def test_a_reservation_counts_in_full_until_its_settled_cost_replaces_it(ledger):
    await ledger.begin_task(TASK)

    attempt_id = await ledger.reserve(attempt("t1", reserved_usd=0.5), daily_cap_usd=5)
    reserved = await ledger.spent_today_usd()
    await ledger.settle(attempt_id, settlement(cost_usd=0.125))

    assert (reserved, await ledger.spent_today_usd()) == (0.5, 0.125)


async def test_a_reservation_over_the_daily_budget_is_refused_and_not_recorded(ledger):
    await ledger.begin_task(TASK)
    await ledger.reserve(attempt("t1", reserved_usd=4.0), daily_cap_usd=5)

    with pytest.raises(BudgetExceeded) as caught:
        await ledger.reserve(attempt("t1", reserved_usd=1.5), daily_cap_usd=5)

    assert (caught.value.cap_usd, caught.value.spent_usd, caught.value.wanted_usd) == (5, 4.0, 1.5)
    assert "$1.0000 left" in str(caught.value)
    assert "CHARGEHAND_DAILY_BUDGET_USD" in str(caught.value)
    assert await ledger.spent_today_usd() == 4.0
    await ledger.reserve(attempt("t1", reserved_usd=1.0), daily_cap_usd=5)


async def test_a_free_request_fits_any_budget(ledger):
    await ledger.begin_task(TASK)
    await ledger.reserve(attempt("t1", reserved_usd=9.0), daily_cap_usd=None)

    await ledger.reserve(attempt("t1", reserved_usd=0.0), daily_cap_usd=0)

    with pytest.raises(BudgetExceeded):
        await ledger.reserve(attempt("t1", reserved_usd=0.01), daily_cap_usd=0)


async def test_the_daily_budget_resets_at_midnight_utc(ledger, clock):
    await ledger.begin_task(TASK)
    clock.moment = clock.moment.replace(hour=23, minute=59, second=59)
    await ledger.reserve(attempt("t1", reserved_usd=5), daily_cap_usd=5)
    with pytest.raises(BudgetExceeded):
        await ledger.reserve(attempt("t1", reserved_usd=1), daily_cap_usd=5)

    clock.advance(seconds=1)

    assert await ledger.spent_today_usd() == 0
    await ledger.reserve(attempt("t1", reserved_usd=5), daily_cap_usd=5)


async def test_rows_dated_in_the_future_do_not_count_towards_todays_limits(ledger, clock):
    clock.advance(days=180)
    await ledger.begin_task(TASK)
    await ledger.begin_task(task("r1", kind="review"))
    await ledger.reserve(attempt("t1", reserved_usd=5), daily_cap_usd=5)

    clock.advance(days=-180)

    assert (await ledger.spent_today_usd(), await ledger.begun_today("review")) == (0, 0)
    await ledger.reserve(attempt("t1", reserved_usd=5), daily_cap_usd=5)


async def test_the_budget_day_is_in_utc_whatever_the_clocks_timezone(ledger, clock):
    await ledger.begin_task(TASK)
    # 00:30 on the 25th in Berlin is 23:30 on the 24th in UTC.
    clock.moment = dt.datetime(2026, 11, 25, 0, 30, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    await ledger.reserve(attempt("t1", reserved_usd=1), daily_cap_usd=None)
    clock.advance(minutes=29)
    before = await ledger.spent_today_usd()
    clock.advance(minutes=1)

    assert (before, await ledger.spent_today_usd()) == (1, 0)


async def test_reviews_are_limited_per_day_and_failed_ones_do_not_count(ledger, clock):
    for name in ("r1", "r2"):
        await ledger.begin_task(task(name, kind="review"), at_most_per_day=2)
    with pytest.raises(DailyLimitReached):
        await ledger.begin_task(task("r3", kind="review"), at_most_per_day=2)
    assert await ledger.task("r3") is None

    await ledger.finish_task("r1", finish(status="failed", model=None))
    await ledger.begin_task(task("r3", kind="review"), at_most_per_day=2)
    await ledger.begin_task(task("d1"), at_most_per_day=1)

    assert await ledger.begun_today("review") == 2
    clock.advance(hours=12)
    assert await ledger.begun_today("review") == 0
    await ledger.begin_task(task("r4", kind="review"), at_most_per_day=1)


async def test_a_repeated_outcome_is_recorded_once_with_its_latest_note(ledger):
    await ledger.begin_task(TASK)

    for note in (None, "first", "second", None):
        assert await ledger.record_outcome("t1", "rejected", note)
    await ledger.record_outcome("t1", "tests_failed", None)

    row = await ledger.task("t1")
    assert row is not None
    assert row.outcomes == ("rejected", "tests_failed")
    notes = await ledger.rows("SELECT outcome, note FROM outcomes ORDER BY rowid")
    assert notes == [("rejected", "second"), ("tests_failed", None)]


@pytest.mark.parametrize(
    ("reported", "left"),
    [
        (("rejected", "accepted"), ("accepted",)),
        (("accepted", "tests_passed", "tests_failed"), ("tests_failed",)),
        (("accepted", "rejected", "accepted"), ("accepted",)),
    ],
)
async def test_a_reported_outcome_replaces_earlier_ones_that_contradict_it(ledger, reported: tuple, left: tuple):
    await ledger.begin_task(TASK)

    for report in reported:
        await ledger.record_outcome("t1", report, None)

    row = await ledger.task("t1")
    assert row is not None
    assert row.outcomes == left


@pytest.mark.parametrize(
    ("tries", "status", "reported", "small", "large"),
    [
        ([("small", True)], "succeeded", (), (1, 0), (0, 0)),
        ([("small", False), ("large", True)], "succeeded", (), (0, 1), (1, 0)),
        ([("small", False), ("small", True)], "succeeded", (), (1, 0), (0, 0)),
        ([("small", False), ("small", False)], "failed", (), (0, 1), (0, 0)),
        ([("small", False), ("large", False)], "failed", (), (0, 1), (0, 1)),
        ([("small", True)], "succeeded", ("rejected",), (0, 1), (0, 0)),
        ([("small", True)], "succeeded", ("rejected", "tests_failed"), (0, 1), (0, 0)),
        ([("small", True)], "succeeded", ("accepted", "rejected"), (0, 1), (0, 0)),
        ([("small", True)], "succeeded", ("accepted", "rejected", "accepted"), (1, 0), (0, 0)),
        ([("small", True)], "succeeded", ("tests_failed", "edited"), (1, 0), (0, 0)),
        ([("small", False), ("large", True)], "succeeded", ("rejected",), (0, 1), (0, 1)),
    ],
)
async def test_the_track_record_counts_each_task_once_per_model(ledger, tries, status, reported, small, large):
    await delegate(ledger, "t1", *tries, status=status, reported=reported)

    records = [await ledger.track_record(model, None) for model in ("small", "large")]

    assert [(r.good, r.bad) for r in records] == [small, large]


async def test_unverified_work_counts_neither_way_until_an_outcome_is_reported(ledger):
    await ledger.begin_task(TASK)
    await ledger.finish_task("t1", finish(status="unverified"))
    before = await ledger.track_record("qwen3-14b", None)

    await ledger.record_outcome("t1", "edited", None)

    assert before == TrackRecord("qwen3-14b", None, 0, 0)
    assert await ledger.track_record("qwen3-14b", None) == TrackRecord("qwen3-14b", None, 1, 0)


async def test_the_track_record_can_be_limited_to_a_task_type(ledger):
    await delegate(ledger, "t1", ("m", True), task_type="tests")
    await delegate(ledger, "t2", ("m", False), status="failed", task_type="debugging")

    assert await ledger.track_record("m", "tests") == TrackRecord("m", "tests", 1, 0)
    assert await ledger.track_record("m", "debugging") == TrackRecord("m", "debugging", 0, 1)


async def test_a_write_is_completed_although_its_caller_is_cancelled(ledger):
    with anyio.CancelScope() as scope:
        scope.cancel()
        await ledger.begin_task(TASK)

    assert await ledger.task("t1") is not None


async def test_concurrent_reservations_do_not_exceed_the_daily_budget(ledger):
    await ledger.begin_task(TASK)
    refused = 0

    async def reserve() -> None:
        nonlocal refused
        try:
            await ledger.reserve(attempt("t1", reserved_usd=0.3), daily_cap_usd=2)
        except BudgetExceeded:
            refused += 1

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(reserve)

    assert refused == 14
    assert await ledger.spent_today_usd() == pytest.approx(1.8)


async def test_the_data_folder_and_its_files_are_private(ledger, home: Path):
    await ledger.begin_task(TASK)

    folder, *files = _modes(home)
    assert folder == 0o700
    assert set(files) == {0o600}


async def test_opening_waits_for_another_process_that_is_creating_the_file(home: Path, clock):
    _make_folder(home)
    connection = sqlite3.connect(home / LEDGER_FILE, isolation_level=None, check_same_thread=False)
    connection.execute("CREATE TABLE begun (by TEXT)")
    connection.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.1, connection.execute, ["COMMIT"])
    release.start()

    ledger = await Ledger.open(home, clock)
    await ledger.begin_task(TASK)

    assert await ledger.rows("PRAGMA journal_mode") == [("wal",)]
    await ledger.aclose()
    release.join()
    connection.close()


async def test_a_ledger_of_a_newer_version_is_refused(ledger, home: Path, clock):
    await ledger.rows(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")

    with pytest.raises(LedgerUnusable) as caught:
        await Ledger.open(home, clock)

    assert str(home / LEDGER_FILE) in str(caught.value)
    assert "newer Chargehand" in str(caught.value)
    assert "Upgrade" in str(caught.value)
    assert await ledger.rows("SELECT COUNT(*) FROM tasks") == [(0,)]


async def test_a_data_folder_that_cannot_be_created_is_reported_with_a_remedy(tmp_path: Path, clock):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(LedgerUnusable) as caught:
        await Ledger.open(tmp_path / "file" / "home", clock)

    assert str(tmp_path / "file" / "home" / LEDGER_FILE) in str(caught.value)
    assert "CHARGEHAND_HOME" in str(caught.value)


async def test_a_folder_in_place_of_the_ledger_file_is_reported(home: Path, clock):
    _make_folder(home / LEDGER_FILE)

    with pytest.raises(LedgerUnusable, match=r"ledger\.sqlite3 cannot be used"):
        await Ledger.open(home, clock)


async def test_a_file_that_is_not_a_ledger_is_left_unchanged(home: Path, clock):
    _make_folder(home)
    content = b"this is not a database, and somebody may want it" * 100
    (home / LEDGER_FILE).write_bytes(content)

    with pytest.raises(LedgerUnusable, match="move it aside"):
        await Ledger.open(home, clock)

    assert (home / LEDGER_FILE).read_bytes() == content


async def test_damage_found_after_opening_is_reported_with_the_same_remedy(home: Path, clock):
    ledger = await Ledger.open(home, clock)
    for n in range(200):
        await ledger.begin_task(task(f"t{n}", text="x" * 2_000))
    await ledger.aclose()
    _damage(home / LEDGER_FILE)

    with pytest.raises(LedgerUnusable, match="move it aside"):
        await _read_all(home, clock)


async def test_a_failed_write_leaves_the_ledger_usable(ledger):
    await ledger.begin_task(TASK)
    with pytest.raises(sqlite3.IntegrityError):
        await ledger.begin_task(TASK)

    await ledger.begin_task(task("t2"))

    assert await ledger.task("t2") is not None


def _modes(folder: Path) -> list[int]:
    return [stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())]


def _make_folder(path: Path) -> None:
    path.mkdir(parents=True)


def _damage(file: Path) -> None:
    """Overwrite all but the first and the last page, so that the file still opens."""
    data = file.read_bytes()
    file.write_bytes(data[:4096] + b"\x5a" * (len(data) - 8192) + data[-4096:])


async def _read_all(home: Path, clock: Clock) -> None:
    ledger = await Ledger.open(home, clock)
    try:
        for n in range(200):
            await ledger.task(f"t{n}")
    finally:
        await ledger.aclose()
