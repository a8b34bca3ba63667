"""What the books hold, one process at a time."""

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


async def test_a_task_comes_back_as_it_was_recorded_by_another_opening_of_the_file(ledger, home, clock):
    await ledger.begin_task(TASK)
    await ledger.record_decision(DECISION)
    attempt_id = await ledger.reserve(ATTEMPT, daily_cap_usd=None)
    await ledger.record_check(CHECK)
    await ledger.settle(attempt_id, settlement())
    began = clock().timestamp()
    clock.advance(seconds=5)
    await ledger.finish_task("t1", FINISH)
    await ledger.record_outcome("t1", "accepted", "good")

    again = await Ledger.open(home, clock)
    row = await again.task("t1")
    await again.aclose()

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
async def test_tests_are_kept_only_where_whole_texts_are(home: Path, clock, form, kept: str | None):
    ledger = await Ledger.open(home, clock, text_form=form)

    await ledger.begin_task(task("t1", tests="assert total([1]) == 1"))

    assert await ledger.rows("SELECT tests FROM tasks") == [(kept,)]
    await ledger.aclose()


async def test_an_unknown_task_is_none(ledger):
    assert await ledger.task("nothing") is None
    assert not await ledger.record_outcome("nothing", "accepted", None)


async def test_a_word_on_a_forgotten_task_is_not_recorded(ledger):
    await ledger.begin_task(task("t1"))
    await ledger.write(lambda db: db.execute("UPDATE tasks SET text = '', text_form = 'forgotten'"))

    assert not await ledger.record_outcome("t1", "accepted", None)
    assert await ledger.rows("SELECT * FROM outcomes") == []


async def test_settling_or_finishing_what_was_never_begun_is_an_error(ledger):
    with pytest.raises(ValueError, match="no attempt 7"):
        await ledger.settle(7, settlement())
    with pytest.raises(ValueError, match="no task t1"):
        await ledger.finish_task("t1", FINISH)


async def test_an_attempt_for_an_unknown_task_is_our_mistake_and_not_the_files(ledger):
    with pytest.raises(sqlite3.IntegrityError):
        await ledger.reserve(attempt("nothing"), daily_cap_usd=None)

    await ledger.begin_task(TASK)  # and the books go on


async def test_a_reservation_counts_until_it_is_settled_and_then_its_cost_does(ledger):
    await ledger.begin_task(TASK)

    attempt_id = await ledger.reserve(attempt("t1", reserved_usd=0.5), daily_cap_usd=5)
    reserved = await ledger.spent_today_usd()
    await ledger.settle(attempt_id, settlement(cost_usd=0.125))

    assert (reserved, await ledger.spent_today_usd()) == (0.5, 0.125)


async def test_a_request_over_the_days_budget_is_refused_and_leaves_no_trace(ledger):
    await ledger.begin_task(TASK)
    await ledger.reserve(attempt("t1", reserved_usd=4.0), daily_cap_usd=5)

    with pytest.raises(BudgetExceeded) as caught:
        await ledger.reserve(attempt("t1", reserved_usd=1.5), daily_cap_usd=5)

    assert (caught.value.cap_usd, caught.value.spent_usd, caught.value.wanted_usd) == (5, 4.0, 1.5)
    assert "$1.0000 left" in str(caught.value)
    assert "CHARGEHAND_DAILY_BUDGET_USD" in str(caught.value)
    assert await ledger.spent_today_usd() == 4.0
    await ledger.reserve(attempt("t1", reserved_usd=1.0), daily_cap_usd=5)


async def test_what_costs_nothing_always_fits(ledger):
    await ledger.begin_task(TASK)
    await ledger.reserve(attempt("t1", reserved_usd=9.0), daily_cap_usd=None)

    await ledger.reserve(attempt("t1", reserved_usd=0.0), daily_cap_usd=0)

    with pytest.raises(BudgetExceeded):
        await ledger.reserve(attempt("t1", reserved_usd=0.01), daily_cap_usd=0)


async def test_the_budget_starts_anew_at_midnight_utc(ledger, clock):
    await ledger.begin_task(TASK)
    clock.moment = clock.moment.replace(hour=23, minute=59, second=59)
    await ledger.reserve(attempt("t1", reserved_usd=5), daily_cap_usd=5)
    with pytest.raises(BudgetExceeded):
        await ledger.reserve(attempt("t1", reserved_usd=1), daily_cap_usd=5)

    clock.advance(seconds=1)

    assert await ledger.spent_today_usd() == 0
    await ledger.reserve(attempt("t1", reserved_usd=5), daily_cap_usd=5)


async def test_what_a_clock_that_was_ahead_wrote_uses_up_no_other_day(ledger, clock):
    clock.advance(days=180)
    await ledger.begin_task(TASK)
    await ledger.begin_task(task("r1", kind="review"))
    await ledger.reserve(attempt("t1", reserved_usd=5), daily_cap_usd=5)

    clock.advance(days=-180)

    assert (await ledger.spent_today_usd(), await ledger.begun_today("review")) == (0, 0)
    await ledger.reserve(attempt("t1", reserved_usd=5), daily_cap_usd=5)


async def test_the_day_is_utcs_whatever_the_clocks_zone(ledger, clock):
    await ledger.begin_task(TASK)
    # 00:30 on the 25th in Berlin is 23:30 on the 24th in UTC.
    clock.moment = dt.datetime(2026, 11, 25, 0, 30, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    await ledger.reserve(attempt("t1", reserved_usd=1), daily_cap_usd=None)
    clock.advance(minutes=29)
    before = await ledger.spent_today_usd()
    clock.advance(minutes=1)

    assert (before, await ledger.spent_today_usd()) == (1, 0)


async def test_only_so_many_reviews_begin_in_a_day_and_failed_ones_do_not_count(ledger, clock):
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


async def test_the_same_word_twice_is_one_and_a_later_note_replaces_the_first(ledger):
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
    ("words", "left"),
    [
        (("rejected", "accepted"), ("accepted",)),
        (("accepted", "tests_passed", "tests_failed"), ("tests_failed",)),
        (("accepted", "rejected", "accepted"), ("accepted",)),
    ],
)
async def test_a_word_takes_back_those_before_it_that_say_the_opposite(ledger, words: tuple, left: tuple):
    await ledger.begin_task(TASK)

    for word in words:
        await ledger.record_outcome("t1", word, None)

    row = await ledger.task("t1")
    assert row is not None
    assert row.outcomes == left


@pytest.mark.parametrize(
    ("tries", "status", "words", "small", "large"),
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
async def test_the_track_record_counts_a_task_once_for_each_model(ledger, tries, status, words, small, large):
    await delegate(ledger, "t1", *tries, status=status, words=words)

    records = [await ledger.track_record(model, None) for model in ("small", "large")]

    assert [(r.good, r.bad) for r in records] == [small, large]


async def test_unverified_work_is_neither_good_nor_bad_until_somebody_says_so(ledger):
    await ledger.begin_task(TASK)
    await ledger.finish_task("t1", finish(status="unverified"))
    before = await ledger.track_record("qwen3-14b", None)

    await ledger.record_outcome("t1", "edited", None)

    assert before == TrackRecord("qwen3-14b", None, 0, 0)
    assert await ledger.track_record("qwen3-14b", None) == TrackRecord("qwen3-14b", None, 1, 0)


async def test_the_track_record_can_be_of_one_task_type(ledger):
    await delegate(ledger, "t1", ("m", True), task_type="tests")
    await delegate(ledger, "t2", ("m", False), status="failed", task_type="debugging")

    assert await ledger.track_record("m", "tests") == TrackRecord("m", "tests", 1, 0)
    assert await ledger.track_record("m", "debugging") == TrackRecord("m", "debugging", 0, 1)


async def test_a_cancelled_caller_still_gets_its_row_written(ledger):
    with anyio.CancelScope() as scope:
        scope.cancel()
        await ledger.begin_task(TASK)

    assert await ledger.task("t1") is not None


async def test_calls_from_many_tasks_at_once_are_taken_one_by_one(ledger):
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


async def test_the_books_are_for_their_owners_eyes(ledger, home: Path):
    await ledger.begin_task(TASK)

    folder, *files = _modes(home)
    assert folder == 0o700
    assert set(files) == {0o600}


async def test_opening_waits_for_another_process_that_is_making_the_file(home: Path, clock):
    _make_folder(home)
    other = sqlite3.connect(home / LEDGER_FILE, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE begun (by TEXT)")
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.1, other.execute, ["COMMIT"])
    release.start()

    ledger = await Ledger.open(home, clock)
    await ledger.begin_task(TASK)

    assert await ledger.rows("PRAGMA journal_mode") == [("wal",)]
    await ledger.aclose()
    release.join()
    other.close()


async def test_a_ledger_of_a_newer_chargehand_is_left_alone(ledger, home: Path, clock):
    await ledger.rows(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")

    with pytest.raises(LedgerUnusable) as caught:
        await Ledger.open(home, clock)

    assert str(home / LEDGER_FILE) in str(caught.value)
    assert "newer Chargehand" in str(caught.value)
    assert "Upgrade" in str(caught.value)
    assert await ledger.rows("SELECT COUNT(*) FROM tasks") == [(0,)]


async def test_a_folder_that_cannot_be_made_is_named_with_what_to_do(tmp_path: Path, clock):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(LedgerUnusable) as caught:
        await Ledger.open(tmp_path / "file" / "home", clock)

    assert str(tmp_path / "file" / "home" / LEDGER_FILE) in str(caught.value)
    assert "CHARGEHAND_HOME" in str(caught.value)


async def test_a_folder_in_the_place_of_the_file_is_named(home: Path, clock):
    _make_folder(home / LEDGER_FILE)

    with pytest.raises(LedgerUnusable, match=r"ledger\.sqlite3 cannot be used"):
        await Ledger.open(home, clock)


async def test_a_file_that_is_no_ledger_is_not_touched(home: Path, clock):
    _make_folder(home)
    foreign = b"this is not a database, and somebody may want it" * 100
    (home / LEDGER_FILE).write_bytes(foreign)

    with pytest.raises(LedgerUnusable, match="move it aside"):
        await Ledger.open(home, clock)

    assert (home / LEDGER_FILE).read_bytes() == foreign


async def test_damage_that_shows_later_is_reported_with_the_same_remedy(home: Path, clock):
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
