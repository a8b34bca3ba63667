"""`chargehand memory …`, run as a user runs it."""

import argparse
import contextlib
import gzip
import json
import os
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import anyio
import pytest
from command_line import CommandResult, Terminal

from chargehand.memory_store.index.exact_choice import ChoiceFile, ExactChoice
from chargehand.memory_store.ledger import Ledger
from chargehand.memory_store.ownership import Owner
from chargehand.memory_store.records import Finish, NewTask
from chargehand.server.command.memory_arguments import add_memory_commands
from chargehand.server.command.user_errors import exit_code_of
from chargehand.server.settings import load_settings
from chargehand.server.wiring import INDEX_FOLDER, open_services, utc_now
from chargehand.tools.editing.journal import Journals, WritePlan
from chargehand.tools.guarding.roots import project_key
from chargehand.tools.services import Services

ROW = {"task_id": "set/1", "prompt": "Reverse a string", "outcomes": {"big": {"correct": 1, "cost_usd": 0.5}}}


RunMemory = Callable[..., CommandResult]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "data ü"


@pytest.fixture
def run_memory(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> RunMemory:
    """Runs a command in this process: the same code, without the start of a process."""
    monkeypatch.setenv("COLUMNS", "200")

    @contextlib.asynccontextmanager
    async def own_services() -> AsyncGenerator[Services]:
        settings = load_settings({"CHARGEHAND_HOME": str(home), "OLLAMA_HOST": "http://127.0.0.1:9"})
        async with open_services(settings, tmp_path) as services:
            yield services

    def run(*arguments: object) -> CommandResult:
        parser = argparse.ArgumentParser()
        add_memory_commands(parser.add_subparsers(), own_services)
        capsys.readouterr()
        try:
            chosen = parser.parse_args(["memory", *map(str, arguments)])
            code = exit_code_of(lambda: chosen.run(chosen))
        except SystemExit as exited:
            code = exited.code
        printed = capsys.readouterr()
        return CommandResult(code, printed.out, printed.err)

    return run


def import_three_tasks(home: Path, run_memory: RunMemory) -> None:
    """Imports three tasks. These tests are not async, because the commands run their own event loop."""
    rows = home.parent / "begin.jsonl"
    rows.write_text(
        "".join(json.dumps({**ROW, "task_id": f"set-{n}", "prompt": f"Reverse {n}"}) + "\n" for n in range(3))
    )
    assert run_memory("import", rows).code == 0


def test_stats_of_an_empty_and_a_filled_memory(run_memory, home):
    empty = run_memory("stats")
    import_three_tasks(home, run_memory)
    table, facts = run_memory("stats"), run_memory("stats", "--json").json

    assert (empty.code, table.code) == (0, 0)
    assert "0 of" not in empty.out
    assert (facts["tasks"], facts["by_origin"], facts["without_vector"]) == (3, {"import": 3}, 0)
    assert list(facts["vectors"].values()) == [3]
    assert "big" in table.out


def test_stats_report_exact_search_until_a_rebuild(run_memory, home):
    import_three_tasks(home, run_memory)
    choice = ExactChoice("lexical-256-1", "chromadb 1", vectors=400, misses=9, looked_for=50)
    anyio.run(ChoiceFile(home / INDEX_FOLDER, choice.embedder).write, choice)

    table, facts = run_memory("stats"), run_memory("stats", "--json").json
    run_memory("rebuild")
    after = run_memory("stats", "--json").json

    sentence = "tasks are searched exactly, since a new Chroma index of 400 did not find 9 of 50 that it was asked for"
    assert sentence in " ".join(table.out.split())
    assert facts["searched_exactly"] == [asdict(choice)]
    assert after["searched_exactly"] == []


def test_importing_an_export_changes_nothing(run_memory, home, tmp_path):
    import_three_tasks(home, run_memory)
    file = tmp_path / "out file.jsonl"

    written, printed = run_memory("export", file), run_memory("export", "-")
    reimported = run_memory("import", file, "--json").json

    assert (written.code, printed.code) == (0, 0)
    assert printed.out == file.read_text()
    assert reimported["files"][str(file)]["unchanged"] == 3


def test_an_export_to_a_symlink_writes_the_links_target(run_memory, home, tmp_path):
    import_three_tasks(home, run_memory)
    file, link = tmp_path / "real.jsonl", tmp_path / "link.jsonl"
    file.write_text("old")
    link.symlink_to(file)

    written = run_memory("export", link)

    assert (written.code, link.is_symlink()) == (0, True)
    assert file.read_text() == run_memory("export", "-").out


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_export_and_import_work_with_a_named_pipe(run_memory, home, tmp_path):
    import_three_tasks(home, run_memory)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as executor:
        read = executor.submit(pipe.read_text)
        written = run_memory("export", pipe)
        exported = read.result(timeout=60)
        executor.submit(pipe.write_text, exported)
        reimported = run_memory("import", pipe, "--json")

    assert (written.code, written.out, pipe.is_fifo()) == (0, "", True)
    assert exported == run_memory("export", "-").out
    assert reimported.json["files"][str(pipe)]["unchanged"] == 3


def test_an_import_reads_standard_input(run_memory, home, monkeypatch):
    import_three_tasks(home, run_memory)
    exported = run_memory("export", "-").out
    results: list[CommandResult] = []
    for content in (gzip.compress(exported.encode()), b"no JSON"):
        out, into = os.pipe()
        os.write(into, content)
        os.close(into)
        with os.fdopen(out, encoding="utf-8") as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            results.append(run_memory("import", "-", "--json"))

    assert results[0].json["files"]["-"]["unchanged"] == 3
    assert "standard input was not imported" in results[1].error


def test_an_import_reads_gzip_and_maps_model_names_to_profiles(run_memory, home, tmp_path):
    file = tmp_path / "rows.jsonl.gz"
    file.write_bytes(gzip.compress(json.dumps(ROW).encode()))

    imported = run_memory("import", file, "--map", "big=claude-opus-5-5")
    models = [row["model"] for row in run_memory("stats", "--json").json["models"]]

    assert (imported.code, models) == (0, ["claude-opus-5-5"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("import", "nowhere.jsonl"),
            "nowhere.jsonl cannot be read (No such file or directory). Name an existing file",
        ),
        (("import", "{folder}"), "cannot be read (Is a directory). Name an existing file"),
        (("import", "{file}", "--map", "big"), "NAME=PROFILE_ID"),
        (("import", "{file}", "--map", "big=claude-opsu-5-5"), "claude-opus-5-5"),
        (("export", "/nowhere/all.jsonl"), "export: /nowhere/all.jsonl cannot be written (No such file or directory)."),
        (("export", "{folder}"), "is a folder. Name a file in it"),
        (("prune",), "--older-than DAYS, --keep N"),
        (("prune", "--keep", "0"), "--yes"),
        (("forget", "--all"), "--yes"),
        (("forget", "t9", "--yes"), "there is no task t9"),
    ],
)
def test_a_user_error_exits_with_1_and_names_the_remedy(run_memory, home, tmp_path, arguments, message):
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(ROW) + "\n")
    run_memory("import", file)

    result = run_memory(*(argument.format(file=file, folder=tmp_path) for argument in arguments))

    assert result.code == 1
    assert message in result.error.replace("\n", " ")
    assert "Traceback" not in result.error
    assert run_memory("stats", "--json").json["tasks"] == 1


@pytest.mark.parametrize(
    "arguments",
    [("prune", "--keep", "-1"), ("prune", "--older-than", "nan"), ("forget",), ("forget", "a", "--all"), ()],
)
def test_invalid_arguments_exit_with_code_2(run_memory, arguments):
    assert run_memory(*arguments).code == 2


def test_an_invalid_line_is_reported_with_its_number_and_field(run_memory, tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(ROW) + "\n" + json.dumps({**ROW, "prompt": 1}) + "\n")

    result = run_memory("import", file)

    assert result.code == 1
    assert "line 2: prompt" in result.error


def test_a_negative_success_rate_is_refused_with_the_allowed_range(run_memory, tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({**ROW, "outcomes": {"big": {"correct": -1}}}) + "\n")

    result = run_memory("import", file)

    assert result.code == 1
    assert "outcomes.big.correct: Input should be greater than or equal to 0" in " ".join(result.error.split())


def test_prune_reports_the_pruned_tasks_and_stats_still_count_them(run_memory, home):
    import_three_tasks(home, run_memory)
    before = run_memory("stats").out

    pruned = run_memory("prune", "--keep", "1", "--yes", "--json").json
    second = run_memory("prune", "--keep", "1", "--yes")

    assert pruned["pruned"] == 2
    assert "0 tasks pruned" in second.out
    models = run_memory("stats", "--json").json["models"]
    assert [(row["tasks"], row["pruned_tasks"]) for row in models] == [(1, 2)]
    assert ("pruned" in before, "pruned" in run_memory("stats").out) == (False, True)


@pytest.mark.parametrize(("answer", "remaining"), [("y\n", 0), ("n\n", 3), ("\n", 3), ("", 3), ("\x03y\n", 3)])
def test_forget_all_asks_for_confirmation_on_a_terminal(run_memory, home, monkeypatch, answer, remaining):
    import_three_tasks(home, run_memory)
    monkeypatch.setattr("sys.stdin", Terminal(answer))

    result = run_memory("forget", "--all")

    assert (result.code, "Forget everything: 3 tasks, permanently?" in result.error) == (0, True)
    assert run_memory("stats", "--json").json["tasks"] == remaining


def test_forget_removes_one_task_or_all(run_memory, home):
    import_three_tasks(home, run_memory)
    file = home.parent / "m.jsonl"
    run_memory("export", file)
    name = json.loads(file.read_text().splitlines()[1])["id"]

    forgotten = run_memory("forget", name, "--yes")
    all_others = run_memory("forget", "--all", "--yes", "--json").json
    unknown_project = run_memory("forget", "--project", "red", "--yes")

    assert "1 task forgotten" in forgotten.out
    assert (all_others["tasks"], all_others["is_scrubbed"]) == (2, True)
    assert "Nothing was forgotten" in unknown_project.out


def test_forgetting_no_task_is_reported_as_json(run_memory, home):
    import_three_tasks(home, run_memory)

    result = run_memory("forget", "--project", "/nonexistent", "--yes", "--json")

    assert (result.code, result.json) == (0, {"tasks": 0, "backups": [], "is_scrubbed": True})


def test_forget_project_removes_the_tasks_of_that_folder(run_memory, home, tmp_path):
    projects = [tmp_path / name for name in ("red", "blue")]

    async def record_tasks() -> None:
        ledger = await Ledger.open(home, utc_now)
        for number, project in enumerate(projects):
            project.mkdir()
            task = NewTask(f"t{number}", "delegation", "Sort a list", "code_generation", 2.0, local_only=False)
            await ledger.begin_task(replace(task, project=project_key(project)))
            await ledger.finish_task(task.id, Finish("unverified", None, (), None))
        await ledger.aclose()

    anyio.run(record_tasks)

    forgotten = run_memory("forget", "--project", projects[0], "--yes")

    assert "1 task forgotten" in forgotten.out


@pytest.mark.parametrize("argument", ["busy", "--all"])
def test_a_running_task_is_not_forgotten(run_memory, home, argument):
    import_three_tasks(home, run_memory)
    before = run_memory("stats", "--json").json["tasks"]

    async def forget_while_it_runs() -> CommandResult:
        ledger, owner = await Ledger.open(home, utc_now), await Owner.enter(home)
        task = NewTask("busy", "delegation", "Sort a list", "code_generation", 2.0, local_only=False, owner=owner.id)
        await ledger.begin_task(task)
        result = await anyio.to_thread.run_sync(run_memory, "forget", argument, "--yes")
        await owner.leave()
        await ledger.aclose()
        return result

    refused = anyio.run(forget_while_it_runs)

    assert (refused.code, "forget: still running: busy." in refused.error) == (1, True)
    assert run_memory("stats", "--json").json["tasks"] == before + 1
    assert "1 task forgotten" in run_memory("forget", "busy", "--yes").out


def test_forgetting_a_task_deletes_its_undo_journal(run_memory, home):
    import_three_tasks(home, run_memory)
    task_id, journals = "a" * 32, Journals(home / "undo")

    async def record_task() -> None:
        ledger = await Ledger.open(home, utc_now)
        await ledger.begin_task(NewTask(task_id, "delegation", "Sort a list", "code_generation", 2.0, local_only=False))
        await ledger.finish_task(task_id, Finish("unverified", None, (), None))
        await ledger.aclose()

    anyio.run(record_task)
    with journals.locked():
        journals.begin(WritePlan(task_id=task_id, at=1.0, files=()), [])

    result = run_memory("forget", task_id, "--yes")

    assert "1 task forgotten" in result.out
    assert journals.find(task_id) is None


def test_forgotten_tasks_are_imported_only_with_restore_forgotten(run_memory, home):
    import_three_tasks(home, run_memory)
    file = home.parent / "m.jsonl"
    run_memory("export", file)
    run_memory("forget", "--all", "--yes")

    refused = run_memory("import", file, "--json").json
    restored = run_memory("import", file, "--restore-forgotten", "--json").json

    assert refused["files"][str(file)]["forgotten"] == 3
    assert restored["files"][str(file)]["added"] == 3


def test_a_second_rebuild_finds_nothing_left_to_embed(run_memory, home, tmp_path):
    import_three_tasks(home, run_memory)
    file = tmp_path / "m.jsonl"
    run_memory("export", file)

    result, facts = run_memory("rebuild"), run_memory("rebuild", "--json").json

    assert result.code == 0
    assert (facts["done"], facts["left"]) == (0, 0)


def test_a_damaged_ledger_is_reported(run_memory, home):
    import_three_tasks(home, run_memory)
    (home / "ledger.sqlite3").write_bytes(b"not a ledger" * 1_000)

    result = run_memory("stats")

    assert result.code == 1
    assert "is damaged" in result.error.replace("\n", " ")
