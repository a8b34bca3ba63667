"""Tests are stored with a task while its full text is, and are deleted with it."""

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


async def add_task(ledger: Ledger, task_id: str, **fields) -> None:
    await ledger.begin_task(task(task_id, **{"text": f"Task {task_id}", "tests": TESTS, **fields}))
    await ledger.record_check(replace(CHECK, task_id=task_id))
    await ledger.finish_task(task_id, finish())


async def stored_tests(ledger: Ledger) -> dict[str, str]:
    return {row.id: row.tests for row in await read_askable(ledger, at_most=100)}


async def test_finished_tasks_of_use_with_tests_can_be_asked_again_up_to_a_limit(ledger: Ledger):
    await add_task(ledger, "t1")
    await add_task(ledger, "t2", local_only=True)
    await add_task(ledger, "t3", tests=None)
    await add_task(ledger, "t4", origin="evaluation")

    found = await read_askable(ledger, at_most=100)

    assert sorted((row.id, row.text, row.local_only) for row in found) == [
        ("t1", "Task t1", False),
        ("t2", "Task t2", True),
    ]
    assert len(await read_askable(ledger, at_most=1)) == 1


async def test_duplicate_tasks_are_asked_once_and_stay_local_only_if_any_of_them_was(ledger: Ledger):
    await add_task(ledger, "t1", text="The same", local_only=True)
    await add_task(ledger, "t2", text="The same")

    (only,) = await read_askable(ledger, at_most=100)

    assert only.local_only


async def test_tasks_of_http_callers_are_not_asked_again(ledger: Ledger):
    await add_task(ledger, "t1")
    await ledger.write(lambda db: db.execute("INSERT INTO task_callers (task_id, caller) VALUES ('t1', 'somebody')"))

    assert await stored_tests(ledger) == {}


@pytest.mark.parametrize("form", ["redacted", "hash"])
async def test_tests_are_not_stored_when_texts_are_redacted_or_hashed(home: Path, clock, form):
    ledger = await Ledger.open(home, clock, text_form=form)
    await add_task(ledger, "t1")
    rows = await ledger.rows("SELECT tests FROM tasks")
    await ledger.aclose()

    assert rows == [(None,)]


async def test_forgetting_and_pruning_delete_the_tests_from_the_ledger(ledger: Ledger):
    await add_task(ledger, "t1")
    await prune(ledger, Prunable(float("inf"), "", not_running_since=0.0))
    await add_task(ledger, "t2")
    before = await stored_tests(ledger)
    await forget(ledger, Selection(task_ids=["t2"]))

    assert before == {"t2": TESTS}
    assert await ledger.rows("SELECT id, tests FROM tasks ORDER BY id") == [("t1", None), ("t2", None)]
    assert not [path for path in ledger.path.parent.iterdir() if TESTS.encode() in path.read_bytes()]


async def test_tests_written_to_a_forgotten_task_are_not_stored(ledger: Ledger):
    await add_task(ledger, "t1")
    await forget(ledger, Selection(task_ids=["t1"]))

    await ledger.write(lambda db: db.execute("UPDATE tasks SET tests = 'late'"))

    assert await ledger.rows("SELECT tests FROM tasks") == [(None,)]


async def test_tests_are_exported_and_imported_only_with_full_texts(ledger: Ledger, tmp_path: Path, clock):
    await add_task(ledger, "t1")
    whole, redacted = tmp_path / "whole.jsonl", tmp_path / "less.jsonl"
    await export_memory(ledger, whole)
    await export_memory(ledger, redacted, text_form="redacted")
    found: dict[str, dict[str, str]] = {}
    for name, files, form in (
        ("whole", (whole,), "full"),
        ("less", (redacted,), "full"),
        ("both", (redacted, whole, redacted), "full"),
        ("kept less", (whole,), "hash"),
    ):
        other = await Ledger.open(tmp_path / name, clock, text_form=form)
        for file in files:
            await import_memory(other, file, RULES)
        found[name] = await stored_tests(other)
        await other.aclose()

    assert TESTS not in redacted.read_text()
    assert found == {"whole": {"t1": TESTS}, "less": {}, "both": {"t1": TESTS}, "kept less": {}}
