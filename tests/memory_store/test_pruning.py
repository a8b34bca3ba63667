"""Pruning and forgetting: deleted data is gone, and costs and track records stay."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from ledger_rows import attempt, check_of, decision_of, delegate, finish, old_ledger, settlement, task
from portable_rows import ROW, TASK, export_file, import_file, lines_file

from chargehand.memory_store.care.exporting import export_memory
from chargehand.memory_store.care.pruning import (
    Forgotten,
    Selection,
    count_prunable,
    find_forgettable,
    find_prunable,
    forget,
    prune,
    shrink,
)
from chargehand.memory_store.ledger import Ledger
from chargehand.memory_store.usage import report_usage

pytestmark = pytest.mark.anyio

SECRET = "the-launch-code-is-4711"


async def prune_all(ledger: Ledger, *, older_than_days: float | None = None, keep: int | None = None) -> int:
    prunable = await find_prunable(ledger, older_than_days=older_than_days, keep=keep)
    return 0 if prunable is None else await prune(ledger, prunable)


async def add_history(ledger: Ledger, clock) -> None:
    """Add ten delegations a day apart: verified, repaired, rejected, unverified, and failed ones."""
    for number in range(10):
        name = f"t{number}"
        match number % 5:
            case 0:
                await delegate(ledger, name, ("small", True), cost_usd=0.1, baseline_usd=1.0)
            case 1:
                await delegate(ledger, name, ("small", False), ("large", True), cost_usd=0.2, baseline_usd=1.0)
            case 2:
                await delegate(ledger, name, ("small", True), cost_usd=0.3, reported=("rejected",), task_type="tests")
            case 3:
                await delegate(ledger, name, ("large", True), status="unverified", reported=("accepted",))
            case _:
                await delegate(ledger, name, ("small", False), ("large", False), status="failed", cost_usd=0.4)
        clock.advance(days=1)


async def track_records(ledger: Ledger) -> list[tuple[str, int, int]]:
    records = [
        await ledger.track_record(model, kind)
        for model in ("small", "large")
        for kind in (None, "code_generation", "tests")
    ]
    return [(record.model, record.good, record.bad) for record in records]


async def test_pruning_changes_no_track_record_daily_spend_or_usage_report(ledger, clock):
    await add_history(ledger, clock)
    before = (await track_records(ledger), await report_usage(ledger), await ledger.spent_today_usd())

    first, rest = await prune_all(ledger, keep=7), await prune_all(ledger, keep=0)

    assert (first, rest) == (3, 7)
    assert (await track_records(ledger), await report_usage(ledger), await ledger.spent_today_usd()) == before
    assert await ledger.rows("SELECT COUNT(*) FROM evidence") == [(0,)]
    assert await ledger.rows("SELECT COUNT(*) FROM checks") == [(0,)]
    assert await ledger.rows("PRAGMA foreign_key_check") == []


async def test_the_aggregates_count_by_model_and_task_type(ledger, clock):
    await add_history(ledger, clock)

    await prune_all(ledger, keep=0)

    rows = await ledger.rows(
        "SELECT model, task_type, origin, tasks, successes, failures, ROUND(cost_usd, 6) FROM aggregates ORDER BY 1, 2"
    )
    assert rows == [
        ("large", "code_generation", "use", 6, 4.0, 2.0, 1.2),
        ("small", "code_generation", "use", 6, 2.0, 4.0, 1.4),
        ("small", "tests", "use", 2, 0.0, 2.0, 0.6),
    ]


async def test_pruned_imports_are_aggregated_separately_from_use(ledger, clock, tmp_path):
    await import_file(ledger, lines_file(tmp_path, ROW))
    clock.advance(days=1)

    await prune_all(ledger, keep=0)

    assert await ledger.rows("SELECT model, origin, tasks, successes, failures FROM aggregates ORDER BY 1") == [
        ("large", "import", 1, 1.0, 0.0),
        ("small", "import", 1, 0.25, 0.75),
    ]
    assert (await ledger.track_record("large", None)).good == 0


async def test_a_pruned_task_that_is_imported_again_is_not_counted_twice(ledger, clock, tmp_path):
    files = [export_file(tmp_path, TASK), lines_file(tmp_path, ROW)]
    for file in files:
        await import_file(ledger, file)
    await prune_all(ledger, keep=0)
    before = await ledger.rows("SELECT * FROM aggregates")

    reports = [await import_file(ledger, file) for file in files]

    assert [report.pruned for report in reports] == [1, 1]
    assert await ledger.rows("SELECT * FROM aggregates") == before
    assert await ledger.rows("SELECT COUNT(*) FROM evidence") == [(0,)]


@pytest.mark.parametrize(
    ("older_than_days", "keep", "left"),
    [(5, None, 5), (None, 4, 4), (5, 8, 8), (8, 2, 8), (100, None, 10), (None, 20, 10), (0, None, 0), (None, 0, 0)],
)
async def test_only_tasks_beyond_both_the_age_and_the_count_are_pruned(ledger, clock, older_than_days, keep, left):
    await add_history(ledger, clock)
    prunable = await find_prunable(ledger, older_than_days=older_than_days, keep=keep)
    counted = 0 if prunable is None else await count_prunable(ledger, prunable)

    removed = await prune_all(ledger, older_than_days=older_than_days, keep=keep)

    kept = [name for (name,) in await ledger.rows("SELECT id FROM remembered_tasks ORDER BY begun_at")]
    assert (counted, removed) == (10 - left, 10 - left)
    assert kept == [f"t{number}" for number in range(10 - left, 10)]


async def test_a_running_task_is_pruned_only_after_its_server_must_have_died(ledger, clock):
    await ledger.begin_task(task("running"))
    clock.advance(hours=1)
    fresh = await prune_all(ledger, keep=0)
    clock.advance(days=2)

    assert (fresh, await prune_all(ledger, keep=0)) == (0, 1)


async def test_late_writes_to_a_forgotten_task_keep_only_its_cost(ledger, clock):
    await ledger.begin_task(task("t1"))
    attempt_id = await ledger.reserve(attempt("t1", reserved_usd=1.0), daily_cap_usd=None)
    await forget(ledger, Selection(("t1",)))

    await ledger.settle(attempt_id, settlement(cost_usd=0.25))
    await ledger.record_check(check_of("t1", attempt_id))
    await ledger.record_decision(decision_of("t1"))
    await ledger.finish_task("t1", finish(receipt=SECRET))
    known = await ledger.record_outcome("t1", "accepted", SECRET)
    await ledger.write(
        lambda db: db.execute("INSERT INTO embeddings (task_id, embedder, vector) VALUES ('t1', 'e', x'00')").rowcount
    )

    assert not known
    assert await ledger.task("t1") is None
    assert await ledger.spent_today_usd() == 0.25
    assert await ledger.rows("SELECT receipt, verified_by, text FROM tasks") == [(None, "[]", "")]
    for table in ("checks", "decisions", "outcomes", "embeddings"):
        assert await ledger.rows(f"SELECT COUNT(*) FROM {table}") == [(0,)]


async def test_an_outcome_for_a_pruned_task_is_recorded_without_its_note(ledger, clock):
    await delegate(ledger, "t1", ("m", True), status="unverified", baseline_usd=1.0, reported=("edited",))
    clock.advance(days=1)
    await prune_all(ledger, keep=0)

    for report in ("accepted", "edited"):
        assert await ledger.record_outcome("t1", report, SECRET)

    assert await ledger.rows("SELECT outcome, note FROM outcomes ORDER BY 1") == [("accepted", None), ("edited", None)]
    row = await ledger.task("t1")
    assert row is not None
    assert (row.text, row.text_form) == ("", "pruned")


@pytest.mark.parametrize(
    ("selection", "removed"),
    [
        (Selection(("a",)), {"a"}),
        (Selection(("a", "b", "nobody")), {"a", "b"}),
        (Selection(project="red"), {"a", "b"}),
        (Selection(project="none"), set()),
        (Selection(everything=True), {"a", "b", "c"}),
    ],
)
async def test_forgetting_removes_exactly_the_selected_tasks(ledger, selection, removed):
    for name, project in (("a", "red"), ("b", "red"), ("c", "blue")):
        await ledger.begin_task(task(name, project=project))
    forgettable = await find_forgettable(ledger, selection)

    forgotten = await forget(ledger, selection)

    left = {name for (name,) in await ledger.rows("SELECT id FROM remembered_tasks")}
    assert (set(forgettable), forgotten.tasks, left) == (removed, len(removed), {"a", "b", "c"} - removed)


async def test_backups_stay_when_nothing_is_forgotten(home: Path, clock):
    old_ledger(home, tasks=3)
    ledger = await Ledger.open(home, clock)

    forgotten = await forget(ledger, Selection(("nobody",)))

    assert forgotten.backups == ()
    assert (home / "ledger.sqlite3.v1.bak").exists()
    await ledger.aclose()


async def test_no_text_of_a_forgotten_task_is_left_in_any_file(home: Path, clock):
    old_ledger(home, tasks=3)
    with closing(sqlite3.connect(home / "ledger.sqlite3")) as db:
        db.execute("UPDATE tasks SET text = ?", (f"{SECRET} from before",))
        db.commit()
    ledger = await Ledger.open(home, clock)
    await ledger.begin_task(task("t1", text=f"{SECRET} " * 2_000, project=f"p-{SECRET}", tests=SECRET))
    attempt_id = await ledger.reserve(attempt("t1", reserved_usd=1.0), daily_cap_usd=None)
    await ledger.record_check(check_of("t1", attempt_id, first_failure=f"AssertionError {SECRET}"))
    await ledger.record_decision(decision_of("t1", reason=SECRET))
    await ledger.finish_task("t1", finish(receipt=f'"{SECRET}"' * 3_000))
    await ledger.record_outcome("t1", "rejected", SECRET)
    await ledger.write(
        lambda db: (
            db.execute(
                "INSERT INTO embeddings (task_id, embedder, vector) VALUES ('t1', 'e', ?)", (SECRET.encode(),)
            ).rowcount
        )
    )
    assert SECRET.encode() in all_bytes_in(home)

    forgotten = await forget(ledger, Selection(everything=True))

    assert forgotten == Forgotten(tasks=4, backups=("ledger.sqlite3.v1.bak",), is_scrubbed=True)
    assert SECRET.encode() not in all_bytes_in(home)
    assert await ledger.rows("SELECT DISTINCT task_type, complexity, model FROM tasks") == [("other", 1, None)]
    assert await ledger.spent_today_usd() == 1.0
    assert await ledger.rows("PRAGMA integrity_check") == [("ok",)]
    await ledger.aclose()


async def test_forgetting_reports_when_a_reader_prevents_scrubbing_the_wal(ledger, home, clock):
    await ledger.begin_task(task("t1"))
    with closing(sqlite3.connect(home / "ledger.sqlite3", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM tasks").fetchall()

        forgotten = await forget(ledger, Selection(("t1",)))

    assert not forgotten.is_scrubbed


async def test_forgetting_everything_deletes_the_aggregates_but_not_the_costs(ledger, clock):
    await add_history(ledger, clock)
    spent = (await report_usage(ledger)).cost_usd
    await prune_all(ledger, keep=5)

    await forget(ledger, Selection(everything=True))

    assert await ledger.rows("SELECT COUNT(*) FROM aggregates") == [(0,)]
    assert await track_records(ledger) == [(model, 0, 0) for model in ("small", "large") for _ in range(3)]
    assert (await report_usage(ledger)).cost_usd == spent


async def test_forgotten_tasks_are_imported_again_only_with_restore(ledger, clock, tmp_path):
    file = export_file(tmp_path, TASK)
    await import_file(ledger, file)
    await forget(ledger, Selection(("t1",)))

    refused = await import_file(ledger, file)
    after_forgetting = await ledger.task("t1")
    restored = await import_file(ledger, file, restore=True)
    row = await ledger.task("t1")

    assert (refused.forgotten, after_forgetting, restored.added) == (1, None, 1)
    assert row is not None
    assert row.text == "Sort a list"
    assert await ledger.rows("SELECT COUNT(*), SUM(cost_usd) FROM attempts") == [(1, 0.25)]


async def test_restoring_a_task_of_this_ledger_does_not_change_the_daily_spend(ledger, clock, tmp_path):
    await delegate(ledger, "t1", ("m", True), cost_usd=0.5)
    file = tmp_path / "m.jsonl"
    await export_memory(ledger, file)
    await forget(ledger, Selection(("t1",)))

    await import_file(ledger, file, restore=True)

    assert await ledger.spent_today_usd() == 0.5
    assert (await ledger.track_record("m", None)).good == 1


async def test_removed_embeddings_are_recorded_for_the_indexes(ledger, clock):
    for name in ("t1", "t2"):
        await ledger.begin_task(task(name))
        await ledger.write(
            lambda db, name=name: (
                db.execute(
                    "INSERT INTO embeddings (task_id, embedder, vector) VALUES (?, 'e', x'00')", (name,)
                ).rowcount
            )
        )

    await forget(ledger, Selection(("t2",)))

    assert await ledger.rows("SELECT row, task_id, embedder FROM removed_embeddings") == [(1, "t2", "e")]


async def test_the_ledger_file_shrinks_after_pruning_many_tasks(ledger, home, clock):
    for number in range(200):
        await delegate(ledger, f"t{number}", ("m", True))
        await ledger.finish_task(f"t{number}", finish(receipt="x" * 5_000))
    clock.advance(days=1)
    assert await ledger.empty_log()
    before = size_of(home)

    pruned = await prune_all(ledger, keep=0)

    assert await shrink(ledger, went=pruned)
    assert size_of(home) < before / 3
    assert not await shrink(ledger, went=3)
    assert (await ledger.track_record("qwen3-14b", None)).good == 200


def size_of(home: Path) -> int:
    return (home / "ledger.sqlite3").stat().st_size


def all_bytes_in(home: Path) -> bytes:
    return b"".join(path.read_bytes() for path in home.iterdir())
