"""Export and import of histories; importing the same history repeatedly adds it once."""

import base64
import gzip
import io
import json
import shutil
import sqlite3
import stat
import struct
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from ledger_rows import attempt, decision_of, delegate, settlement, task
from portable_rows import ATTEMPT, CHECK, ROW, RULES, TASK, all_rows, export_file, import_file, lines_file

from chargehand.memory_store.care.exporting import export_memory
from chargehand.memory_store.care.importing import import_memory
from chargehand.memory_store.errors import ImportRefused
from chargehand.memory_store.ledger import Ledger
from chargehand.memory_store.ownership import Owner
from chargehand.memory_store.text_form import fingerprint
from chargehand.memory_store.under_way import close_abandoned

pytestmark = pytest.mark.anyio

VECTOR = struct.pack("<4f", 0.5, 0.5, 0.5, 0.5)
ENCODED = base64.b64encode(VECTOR).decode()


@pytest.fixture
async def other(tmp_path: Path, clock) -> AsyncIterator[Ledger]:
    other_ledger = await Ledger.open(tmp_path / "other home, größer", clock)
    yield other_ledger
    await other_ledger.aclose()


async def export_text(ledger: Ledger, **options) -> str:
    out = io.StringIO()
    await export_memory(ledger, out, **options)
    return out.getvalue()


async def add_history(ledger: Ledger, clock, prefix: str = "t") -> None:
    """A running task, a task repaired by a second model, a rejected task, and an embedding."""
    await ledger.begin_task(task(f"{prefix}0", text="Zeile\u2028mit 'Allem' 🙂\n"))
    await ledger.record_decision(decision_of(f"{prefix}0"))
    clock.advance(seconds=5)
    await delegate(ledger, f"{prefix}1", ("small", False), ("large", True), cost_usd=0.25, baseline_usd=1.0)
    clock.advance(seconds=5)
    await delegate(ledger, f"{prefix}2", ("small", True), reported=("rejected",))
    await ledger.record_outcome(f"{prefix}2", "rejected", "it was wrong")
    await ledger.write(
        lambda db: db.execute("INSERT INTO embeddings (task_id, embedder, vector) VALUES (?, 'e', ?)",
                              (f"{prefix}1", VECTOR)).rowcount
    )  # fmt: skip


async def test_an_imported_export_exports_identically(ledger, other, clock, tmp_path):
    await add_history(ledger, clock)
    file = tmp_path / "m.jsonl"
    await export_memory(ledger, file, with_vectors=True)

    report = await import_file(other, file)

    assert (report.added, report.tasks) == (3, 3)
    assert await export_text(other, with_vectors=True) == file.read_text()
    assert await other.rows("SELECT * FROM evidence ORDER BY 1, 2, 4") == await ledger.rows(
        "SELECT * FROM evidence ORDER BY 1, 2, 4"
    )
    assert await other.rows("PRAGMA foreign_key_check") == []


async def test_exports_are_ordered_and_deterministic(ledger, clock):
    await add_history(ledger, clock)

    first_export, second_export = await export_text(ledger), await export_text(ledger)

    header, *tasks = map(json.loads, first_export.splitlines()[:1] + first_export.split("\n")[1:-1])
    assert first_export == second_export
    assert header == {"format": "chargehand-memory", "version": 1, "tasks": 3}
    assert [line["id"] for line in tasks] == ["t0", "t1", "t2"]
    assert [line["embeddings"] for line in tasks] == [[], [], []]


async def test_an_export_file_is_private_and_leaves_no_temporary_file(ledger, clock, tmp_path):
    file = tmp_path / "with space" / "m.jsonl"
    file.parent.mkdir()
    file.write_text("older")
    file.chmod(0o644)
    await ledger.begin_task(task("t1"))

    await export_memory(ledger, file)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["m.jsonl"]


async def test_a_hashed_export_omits_texts_tests_receipts_notes_and_failures(ledger, clock):
    await delegate(ledger, "t1", ("m", False), reported=("accepted",))
    await ledger.record_outcome("t1", "accepted", "a note")
    await ledger.rows("UPDATE tasks SET tests = 'assert f()'")
    await ledger.rows("UPDATE checks SET first_failure = 'left: 1'")

    text = await export_text(ledger, text_form="hash")

    row = json.loads(text.splitlines()[1])
    assert (row["text"], row["text_form"]) == (fingerprint("Write a function"), "hash")
    assert (row["receipt"], row["tests"], row["outcomes"][0]["note"]) == (None, None, None)
    assert [check["first_failure"] for check in row["checks"]] == [None]


async def test_importing_the_same_file_again_changes_nothing(ledger, clock, tmp_path):
    file = export_file(tmp_path, TASK, {**TASK, "id": "t2"})
    await import_file(ledger, file)
    before = await all_rows(ledger)
    clock.advance(days=1)

    report = await import_file(ledger, file)

    assert (report.unchanged, report.added) == (2, 0)
    assert await all_rows(ledger) == before


async def test_histories_of_two_machines_merge_to_the_same_ledger_in_either_order(ledger, other, clock, tmp_path):
    shared = {**TASK, "id": "shared", "finished_at": None, "status": "running", "attempts": [], "checks": []}
    first_file = export_file(tmp_path, shared, {**TASK, "id": "here"}, name="here.jsonl")
    finished = {
        **TASK,
        "id": "shared",
        "attempts": [ATTEMPT, {**ATTEMPT, "model": "large", "begun_at": 12.0}],
        "outcomes": [{"outcome": "rejected", "note": "no", "recorded_at": 30.0}],
        "embeddings": [{"embedder": "e", "vector": ENCODED}],
    }
    second_file = export_file(tmp_path, {**TASK, "id": "there"}, finished, name="there.jsonl")

    for file in (first_file, second_file):
        await import_file(ledger, file)
    for file in (second_file, first_file, second_file):
        await import_file(other, file)

    assert await all_rows(ledger) == await all_rows(other)
    row = await ledger.task("shared")
    assert row is not None
    assert (row.status, row.outcomes) == ("succeeded", ("rejected",))
    assert await ledger.rows("SELECT COUNT(*) FROM attempts WHERE task_id = 'shared'") == [(2,)]


async def test_a_task_imported_while_running_takes_its_end_from_a_later_export(ledger, home, tmp_path, clock):
    running = {**TASK, "finished_at": None, "status": "running", "attempts": [{**ATTEMPT, "cost_usd": None}]}
    owner = await Owner.enter(home)

    await import_file(ledger, export_file(tmp_path, running))
    await close_abandoned(ledger, owner, clock().timestamp())
    await import_file(ledger, export_file(tmp_path, TASK))

    assert await ledger.rows("SELECT status, finished_at, interrupted FROM tasks") == [("succeeded", 20.0, 0)]
    assert await ledger.rows("SELECT outcome, cost_usd FROM attempts") == [("passed", 0.25)]
    await owner.leave()


async def test_merging_keeps_settled_costs_notes_and_the_local_only_flag(ledger, other, tmp_path):
    report = {"outcome": "accepted", "note": None, "recorded_at": 30.0}
    open_attempt = {**ATTEMPT, "cost_usd": None, "outcome": None}
    partial = {**TASK, "attempts": [open_attempt], "outcomes": [report], "local_only": True}
    complete = {**TASK, "outcomes": [{**report, "note": "fine", "recorded_at": 25.0}], "receipt": "{}"}

    for row in (partial, complete, partial):
        await import_file(ledger, export_file(tmp_path, row))

    assert await ledger.rows("SELECT cost_usd FROM attempts") == [(0.25,)]
    assert await ledger.rows("SELECT note FROM outcomes") == [("fine",)]
    assert await ledger.rows("SELECT receipt, local_only FROM tasks") == [("{}", 1)]

    await import_file(other, export_file(tmp_path, complete))
    await import_file(other, export_file(tmp_path, partial))

    assert await other.rows("SELECT local_only FROM tasks") == [(1,)]


async def test_imported_costs_and_reviews_do_not_count_towards_todays_limits(ledger, clock, tmp_path):
    now = clock().timestamp()
    await ledger.begin_task(task("mine"))
    await ledger.reserve(attempt("mine", reserved_usd=1.0), daily_cap_usd=None)

    await import_file(
        ledger, export_file(tmp_path, {**TASK, "begun_at": now, "attempts": [{**ATTEMPT, "begun_at": now}]})
    )
    await import_file(ledger, export_file(tmp_path, {**TASK, "id": "r", "kind": "review", "begun_at": now}))

    assert await ledger.spent_today_usd() == 1.0
    assert await ledger.begun_today("review") == 0


async def test_imported_texts_are_redacted_after_the_full_text_is_embedded(home, clock, tmp_path):
    embedded: list[tuple[list[str], bool]] = []

    async def embed(texts, *, local_only):
        embedded.append((texts, local_only))
        return "e", [VECTOR] * len(texts)

    ledger = await Ledger.open(home, clock, text_form="redacted")
    local = {**TASK, "id": "t2", "text": "Fix `rates`", "local_only": True}
    await import_file(ledger, export_file(tmp_path, {**TASK, "text": "Fix `total`"}, local), embed=embed)
    row = await ledger.task("t1")
    vectors = await ledger.rows("SELECT embedder, vector FROM embeddings")
    await ledger.aclose()

    assert row is not None
    assert (row.text, row.text_form) == ("Fix [code]", "redacted")
    assert embedded == [(["Fix `total`"], False), (["Fix `rates`"], True)]
    assert vectors == [("e", VECTOR)] * 2


async def test_new_tasks_are_stored_in_the_configured_text_form(home, clock):
    ledger = await Ledger.open(home, clock, text_form="hash")
    await ledger.begin_task(task("t1", text="a secret plan", project="p", origin="evaluation"))
    row = await ledger.task("t1")
    await ledger.aclose()

    assert row is not None
    assert (row.text, row.text_form) == (fingerprint("a secret plan"), "hash")
    assert (row.project, row.origin) == ("p", "evaluation")
    assert b"secret plan" not in b"".join(path.read_bytes() for path in home.iterdir())


async def test_an_export_of_hashed_texts_includes_their_embeddings(home, clock):
    ledger = await Ledger.open(home, clock, text_form="hash")
    await add_history(ledger, clock)
    rows = [json.loads(line) for line in (await export_text(ledger)).split("\n")[1:-1]]
    await ledger.aclose()

    assert [row["embeddings"] for row in rows] == [[], [{"embedder": "e", "vector": ENCODED}], []]


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ({**TASK, "complexity": "high"}, "complexity: Input should be a valid number"),
        ({**TASK, "kind": "holiday"}, "kind: Input should be 'delegation', 'validation' or 'review'"),
        ({**TASK, "checks": [{**CHECK, "attempt": 3}]}, "attempt should be below 1"),
        ({**TASK, "attempts": [{**ATTEMPT, "cost_usd": -1}]}, "attempts.0.cost_usd: Input should be greater"),
        ({**TASK, "surprise": 1}, "surprise: Extra inputs are not permitted"),
        ({k: v for k, v in TASK.items() if k != "text"}, "text: Field required"),
        ({**TASK, "embeddings": [{"embedder": "e", "vector": "AAA"}]}, "embeddings.0.vector"),
        ({**TASK, "embeddings": [{"embedder": "e", "vector": "AACAPwAAgD8="}]}, "unit length"),
        ({**TASK, "begun_at": float("nan")}, "begun_at"),
        ({**TASK, "attempts": [{**ATTEMPT, "input_tokens": 2**70}]}, "attempts.0.input_tokens"),
        ({**TASK, "text": "\ud800"}, "line 3"),
    ],
)
async def test_a_bad_line_is_reported_with_its_field_and_nothing_is_imported(ledger, tmp_path, line, named):
    file = export_file(tmp_path, {**TASK, "id": "good"}, line)

    with pytest.raises(ImportRefused) as caught:
        await import_file(ledger, file)

    assert "line 3" in str(caught.value)
    assert named in str(caught.value)
    assert "not even in part" in str(caught.value)
    assert await ledger.rows("SELECT COUNT(*) FROM tasks") == [(0,)]


async def test_an_embedding_with_other_dimensions_than_its_embedders_is_refused(ledger, clock, tmp_path):
    await add_history(ledger, clock)
    file = export_file(tmp_path, {**TASK, "embeddings": [{"embedder": "e", "vector": "AACAPw=="}]})

    with pytest.raises(ImportRefused, match="1 dimensions, and e has 4"):
        await import_file(ledger, file)


PACKED = gzip.compress(b'{"format": "chargehand-memory", "version": 1, "tasks": 0}\n' * 9, mtime=0)


@pytest.mark.parametrize(
    ("content", "expected_message"),
    [
        (b"", "is empty"),
        (b"hello\n", "line 1: it is not JSON"),
        (b'{"a": 1}\n', "line 1: it should be"),
        (b"[1]\n", "line 1: it should be"),
        (b'{"format": "chargehand-memory", "version": 2, "tasks": 0}\n', "version is 2, and this Chargehand reads 1"),
        (b'{"format": "chargehand-memory", "version": 1, "tasks": 3}\n', "promises 3 tasks and 0 follow"),
        (b"\xff\xfe{\n", "line 1"),
        (PACKED[:-9], "cut off or damaged"),
        (PACKED[:10] + b"\xff" * 20, "cut off or damaged"),
        (PACKED[:-8] + b"\0" * 4 + PACKED[-4:], "cut off or damaged"),
    ],
)
async def test_a_file_in_an_unknown_or_damaged_format_is_refused_with_its_path_and_reason(
    ledger, tmp_path: Path, content, expected_message
):
    file = tmp_path / "f"
    file.write_bytes(content)

    with pytest.raises(ImportRefused) as caught:
        await import_file(ledger, file)

    assert expected_message in str(caught.value)
    assert str(file) in str(caught.value)


async def test_a_data_set_becomes_outcomes_of_origin_import(ledger, clock, tmp_path):
    report = await import_file(ledger, lines_file(tmp_path, ROW), names={"small": "qwen3-14b"})

    (found,) = await ledger.rows("SELECT id, origin, text, task_type, complexity, status, local_only FROM tasks")
    assert report.format == "outcomes"
    assert found[0].startswith("import:set/1#")
    assert found[1:] == ("import", ROW["prompt"], "code_generation", 3.0, "imported", 0)
    now = clock().timestamp()
    assert await ledger.rows("SELECT model, build, kind, success, at FROM evidence ORDER BY 1") == [
        ("large", None, "executed", 1.0, now),
        ("qwen3-14b", None, "executed", 0.25, now),
    ]


async def test_a_reimported_data_set_updates_only_changed_outcomes(ledger, clock, tmp_path):
    began = clock().timestamp()
    await import_file(ledger, lines_file(tmp_path, ROW))
    clock.advance(days=1)
    second_import = await import_file(ledger, lines_file(tmp_path, ROW))
    changed = {**ROW, "outcomes": {**ROW["outcomes"], "large": {"correct": False}}}

    corrected = await import_file(ledger, lines_file(tmp_path, changed))

    assert (second_import.unchanged, corrected.merged) == (1, 1)
    assert await ledger.rows("SELECT model, success, at FROM imported_outcomes ORDER BY 1") == [
        ("large", 0.0, began + 86_400),
        ("small", 0.25, began),
    ]


async def test_two_names_of_the_same_model_are_averaged_on_import(ledger, tmp_path):
    costs = {"small": {"correct": 0.25, "cost_usd": 0.25}, "large": {"correct": True, "cost_usd": 0.75}}
    await import_file(ledger, lines_file(tmp_path, {**ROW, "outcomes": costs}), names={"small": "m", "large": "m"})

    assert await ledger.rows("SELECT model, success, cost_usd FROM imported_outcomes") == [("m", 0.625, 0.5)]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"outcomes": {}}, "outcomes"),
        ({"outcomes": {"m": {"correct": 2}}}, "outcomes.m.correct"),
        ({"outcomes": {"m": {}}}, "outcomes.m.correct"),
        ({"prompt": None}, "prompt"),
        ({"task_id": 7}, "task_id"),
    ],
)
async def test_a_bad_row_of_a_data_set_is_reported_with_its_line_and_field(ledger, tmp_path, change, named):
    with pytest.raises(ImportRefused, match="line 2") as caught:
        await import_file(ledger, lines_file(tmp_path, ROW, {**ROW, **change}))

    assert named in str(caught.value)
    assert await ledger.rows("SELECT COUNT(*) FROM tasks") == [(0,)]


async def test_a_gzip_file_is_imported_like_the_plain_file(ledger, tmp_path: Path):
    plain = lines_file(tmp_path, ROW)
    compressed = tmp_path / "rows.jsonl.gz"
    with gzip.open(compressed, "wb") as out, plain.open("rb") as source:
        shutil.copyfileobj(source, out)

    assert (await import_file(ledger, compressed)).added == 1
    assert (await import_file(ledger, plain)).unchanged == 1


async def test_other_processes_can_write_between_the_batches_of_an_import(ledger, home: Path, tmp_path: Path):
    file = export_file(tmp_path, *({**TASK, "id": f"t{n:05}", "begun_at": float(n)} for n in range(1_000)))
    written_at: list[int] = []

    def write(done: int, total: int) -> None:
        with closing(sqlite3.connect(home / "ledger.sqlite3", timeout=0)) as neighbour:
            neighbour.execute("BEGIN IMMEDIATE")
            neighbour.rollback()
        written_at.append(done)

    report = await import_memory(ledger, file, RULES, write)

    assert report.added == 1_000
    assert written_at == [250, 500, 750, 1_000]


async def test_an_attempt_reserved_before_an_import_can_still_be_settled(ledger, tmp_path):
    await ledger.begin_task(task("mine"))
    attempt_id = await ledger.reserve(attempt("mine", reserved_usd=1.0), daily_cap_usd=None)
    await import_file(ledger, export_file(tmp_path, TASK))

    await ledger.settle(attempt_id, settlement(cost_usd=0.5))

    assert await ledger.rows("SELECT cost_usd FROM attempts WHERE task_id = 'mine'") == [(0.5,)]
