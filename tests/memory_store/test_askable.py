"""Tests are kept with a task where its text is, and go with it."""

from dataclasses import replace
from pathlib import Path

import pytest
from ledger_rows import CHECK, finish, task

from chargehand.memory_store.askable import read_askable
from chargehand.memory_store.care.exporting import export_memory
from chargehand.memory_store.care.importing import ImportRules, import_memory
from chargehand.memory_store.care.pruning import Prunable, Selection, forget, prune
from chargehand.memory_store.ledger import Ledger

pytestmark = pytest.mark.anyio

TESTS = "assert double(2) == 4"
RULES = ImportRules(assess=lambda _: ("other", 1.0))


async def done(ledger: Ledger, task_id: str, **fields) -> None:
    await ledger.begin_task(task(task_id, **{"text": f"Task {task_id}", "tests": TESTS, **fields}))
    await ledger.record_check(replace(CHECK, task_id=task_id))
    await ledger.finish_task(task_id, finish())


async def kept(ledger: Ledger) -> dict[str, str]:
    return {row.id: row.tests for row in await read_askable(ledger, at_most=100)}


async def test_a_task_with_its_tests_can_be_asked_again_and_the_newest_comes_first(ledger: Ledger):
    await done(ledger, "t1")
    await done(ledger, "t2", local_only=True)
    await done(ledger, "t3", tests=None)
    await done(ledger, "t4", origin="evaluation")

    found = await read_askable(ledger, at_most=100)

    assert sorted((row.id, row.text, row.local_only) for row in found) == [
        ("t1", "Task t1", False),
        ("t2", "Task t2", True),
    ]
    assert len(await read_askable(ledger, at_most=1)) == 1


async def test_the_same_task_is_asked_once_and_stays_here_if_it_ever_had_to(ledger: Ledger):
    await done(ledger, "t1", text="The same", local_only=True)
    await done(ledger, "t2", text="The same")

    (only,) = await read_askable(ledger, at_most=100)

    assert only.local_only


async def test_a_callers_task_is_not_the_users_to_ask_again(ledger: Ledger):
    await done(ledger, "t1")
    await ledger.write(lambda db: db.execute("INSERT INTO task_callers (task_id, caller) VALUES ('t1', 'somebody')"))

    assert await kept(ledger) == {}


@pytest.mark.parametrize("form", ["redacted", "hash"])
async def test_tests_are_not_kept_where_the_text_is_not_kept_whole(home: Path, clock, form):
    ledger = await Ledger.open(home, clock, text_form=form)
    await done(ledger, "t1")
    rows = await ledger.rows("SELECT tests FROM tasks")
    await ledger.aclose()

    assert rows == [(None,)]


async def test_forgetting_and_pruning_let_the_tests_go(ledger: Ledger):
    await done(ledger, "t1")
    await prune(ledger, Prunable(float("inf"), "", not_running_since=0.0))
    await done(ledger, "t2")
    before = await kept(ledger)
    await forget(ledger, Selection(task_ids=["t2"]))

    assert before == {"t2": TESTS}
    assert await ledger.rows("SELECT id, tests FROM tasks ORDER BY id") == [("t1", None), ("t2", None)]
    assert not [path for path in ledger.path.parent.iterdir() if TESTS.encode() in path.read_bytes()]


async def test_tests_that_come_in_late_do_not_return(ledger: Ledger):
    await done(ledger, "t1")
    await forget(ledger, Selection(task_ids=["t1"]))

    await ledger.write(lambda db: db.execute("UPDATE tasks SET tests = 'late'"))

    assert await ledger.rows("SELECT tests FROM tasks") == [(None,)]


async def test_tests_travel_with_the_text_and_not_without_it(ledger: Ledger, tmp_path: Path, clock):
    await done(ledger, "t1")
    whole, less = tmp_path / "whole.jsonl", tmp_path / "less.jsonl"
    await export_memory(ledger, whole)
    await export_memory(ledger, less, text_form="redacted")
    found: dict[str, dict[str, str]] = {}
    for name, files, form in (
        ("whole", (whole,), "full"),
        ("less", (less,), "full"),
        ("both", (less, whole, less), "full"),
        ("kept less", (whole,), "hash"),
    ):
        other = await Ledger.open(tmp_path / name, clock, text_form=form)
        for file in files:
            await import_memory(other, file, RULES)
        found[name] = await kept(other)
        await other.aclose()

    assert TESTS not in less.read_text()
    assert found == {"whole": {"t1": TESTS}, "less": {}, "both": {"t1": TESTS}, "kept less": {}}
