"""`chargehand memory …` as a person types it."""

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
from chargehand.server.settings import load_settings
from chargehand.server.wiring import INDEX_FOLDER, open_services, utc_now
from chargehand.tools.editing.journal import Journals, WritePlan
from chargehand.tools.guarding.roots import project_key
from chargehand.tools.services import Services

ROW = {"task_id": "set/1", "prompt": "Reverse a string", "outcomes": {"big": {"correct": 1, "cost_usd": 0.5}}}


Type = Callable[..., CommandResult]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "data ü"


@pytest.fixture
def typed(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Type:
    """Types a command in this process: no start-up, the same code."""
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
            code = chosen.run(chosen)
        except SystemExit as left:
            code = left.code
        seen = capsys.readouterr()
        return CommandResult(code, seen.out, seen.err)

    return run


def begun(home: Path, typed: Type) -> None:
    """Three tasks, made by an import: these tests are not async, for the commands run their own loop."""
    rows = home.parent / "begin.jsonl"
    rows.write_text(
        "".join(json.dumps({**ROW, "task_id": f"set-{n}", "prompt": f"Reverse {n}"}) + "\n" for n in range(3))
    )
    assert typed("import", rows).code == 0


def test_stats_of_nothing_and_of_something(typed, home):
    empty = typed("stats")
    begun(home, typed)
    table, facts = typed("stats"), typed("stats", "--json").json

    assert (empty.code, table.code) == (0, 0)
    assert "0 of" not in empty.out
    assert (facts["tasks"], facts["by_origin"], facts["without_vector"]) == (3, {"import": 3}, 0)
    assert list(facts["vectors"].values()) == [3]
    assert "big" in table.out


def test_stats_say_that_tasks_are_searched_exactly_until_a_rebuild_is_asked_for(typed, home):
    begun(home, typed)
    choice = ExactChoice("lexical-256-1", "chromadb 1", vectors=400, misses=9, looked_for=50)
    anyio.run(ChoiceFile(home / INDEX_FOLDER, choice.embedder).write, choice)

    table, facts = typed("stats"), typed("stats", "--json").json
    typed("rebuild")
    after = typed("stats", "--json").json

    said = "tasks are searched exactly, since a new Chroma index of 400 did not find 9 of 50 that it was asked for"
    assert said in " ".join(table.out.split())
    assert facts["searched_exactly"] == [asdict(choice)]
    assert after["searched_exactly"] == []


def test_an_export_comes_back(typed, home, tmp_path):
    begun(home, typed)
    file = tmp_path / "out file.jsonl"

    written, printed = typed("export", file), typed("export", "-")
    known = typed("import", file, "--json").json

    assert (written.code, printed.code) == (0, 0)
    assert printed.out == file.read_text()
    assert known["files"][str(file)]["unchanged"] == 3


def test_an_export_to_a_link_is_written_where_the_link_leads(typed, home, tmp_path):
    begun(home, typed)
    file, link = tmp_path / "real.jsonl", tmp_path / "link.jsonl"
    file.write_text("old")
    link.symlink_to(file)

    written = typed("export", link)

    assert (written.code, link.is_symlink()) == (0, True)
    assert file.read_text() == typed("export", "-").out


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_an_export_goes_through_a_pipe_and_an_import_comes_out_of_one(typed, home, tmp_path):
    begun(home, typed)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as beside:
        read = beside.submit(pipe.read_text)
        written = typed("export", pipe)
        exported = read.result(timeout=10)
        beside.submit(pipe.write_text, exported)
        known = typed("import", pipe, "--json")

    assert (written.code, written.out, pipe.is_fifo()) == (0, "", True)
    assert exported == typed("export", "-").out
    assert known.json["files"][str(pipe)]["unchanged"] == 3


def test_an_import_reads_standard_input(typed, home, monkeypatch):
    begun(home, typed)
    exported = typed("export", "-").out
    seen: list[CommandResult] = []
    for content in (gzip.compress(exported.encode()), b"no JSON"):
        out, into = os.pipe()
        os.write(into, content)
        os.close(into)
        with os.fdopen(out, encoding="utf-8") as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            seen.append(typed("import", "-", "--json"))

    assert seen[0].json["files"]["-"]["unchanged"] == 3
    assert "standard input was not imported" in seen[1].error


def test_a_data_set_is_mapped_to_profiles_and_can_be_compressed(typed, home, tmp_path):
    file = tmp_path / "rows.jsonl.gz"
    file.write_bytes(gzip.compress(json.dumps(ROW).encode()))

    done = typed("import", file, "--map", "big=claude-opus-5-5")
    models = [row["model"] for row in typed("stats", "--json").json["models"]]

    assert (done.code, models) == (0, ["claude-opus-5-5"])


@pytest.mark.parametrize(
    ("arguments", "said"),
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
def test_a_mistake_is_named_with_its_remedy_and_exit_code_1(typed, home, tmp_path, arguments, said):
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(ROW) + "\n")
    typed("import", file)

    seen = typed(*(argument.format(file=file, folder=tmp_path) for argument in arguments))

    assert seen.code == 1
    assert said in seen.error.replace("\n", " ")
    assert "Traceback" not in seen.error
    assert typed("stats", "--json").json["tasks"] == 1


@pytest.mark.parametrize(
    "arguments",
    [("prune", "--keep", "-1"), ("prune", "--older-than", "nan"), ("forget",), ("forget", "a", "--all"), ()],
)
def test_what_makes_no_sense_is_refused_by_the_command_line(typed, arguments):
    assert typed(*arguments).code == 2


def test_a_bad_line_names_file_line_and_field(typed, tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(ROW) + "\n" + json.dumps({**ROW, "prompt": 1}) + "\n")

    seen = typed("import", file)

    assert seen.code == 1
    assert "line 2: prompt" in seen.error


def test_a_rate_of_success_out_of_range_is_refused_with_the_range(typed, tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({**ROW, "outcomes": {"big": {"correct": -1}}}) + "\n")

    seen = typed("import", file)

    assert seen.code == 1
    assert "outcomes.big.correct: Input should be greater than or equal to 0" in " ".join(seen.error.split())


def test_prune_says_what_went(typed, home):
    begun(home, typed)

    pruned = typed("prune", "--keep", "1", "--yes", "--json").json
    again = typed("prune", "--keep", "1", "--yes")

    assert pruned["pruned"] == 2
    assert "0 tasks pruned" in again.out
    models = typed("stats", "--json").json["models"]
    assert [(row["tasks"], row["pruned_tasks"]) for row in models] == [(1, 2)]


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 3), ("\n", 3), ("", 3), ("\x03y\n", 3)])
def test_on_a_terminal_it_asks_first(typed, home, monkeypatch, answer, left):
    begun(home, typed)
    monkeypatch.setattr("sys.stdin", Terminal(answer))

    seen = typed("forget", "--all")

    assert (seen.code, "Forget everything: 3 tasks, permanently?" in seen.error) == (0, True)
    assert typed("stats", "--json").json["tasks"] == left


def test_forget_takes_one_or_all(typed, home):
    begun(home, typed)
    file = home.parent / "m.jsonl"
    typed("export", file)
    name = json.loads(file.read_text().splitlines()[1])["id"]

    one = typed("forget", name, "--yes")
    rest = typed("forget", "--all", "--yes", "--json").json
    none = typed("forget", "--project", "red", "--yes")

    assert "1 task forgotten" in one.out
    assert (rest["tasks"], rest["is_scrubbed"]) == (2, True)
    assert "Nothing was forgotten" in none.out


def test_forgetting_nothing_is_said_in_json_too(typed, home):
    begun(home, typed)

    seen = typed("forget", "--project", "/nonexistent", "--yes", "--json")

    assert (seen.code, seen.json) == (0, {"tasks": 0, "backups": [], "is_scrubbed": True})


def test_forget_takes_the_tasks_of_a_folder(typed, home, tmp_path):
    projects = [tmp_path / name for name in ("red", "blue")]

    async def begin() -> None:
        ledger = await Ledger.open(home, utc_now)
        for number, project in enumerate(projects):
            project.mkdir()
            task = NewTask(f"t{number}", "delegation", "Sort a list", "code_generation", 2.0, local_only=False)
            await ledger.begin_task(replace(task, project=project_key(project)))
            await ledger.finish_task(task.id, Finish("unverified", None, (), None))
        await ledger.aclose()

    anyio.run(begin)

    forgotten = typed("forget", "--project", projects[0], "--yes")

    assert "1 task forgotten" in forgotten.out


@pytest.mark.parametrize("which", ["busy", "--all"])
def test_a_task_that_is_still_running_is_not_forgotten(typed, home, which):
    begun(home, typed)
    before = typed("stats", "--json").json["tasks"]

    async def forget_while_it_runs() -> CommandResult:
        ledger, owner = await Ledger.open(home, utc_now), await Owner.enter(home)
        task = NewTask("busy", "delegation", "Sort a list", "code_generation", 2.0, local_only=False, owner=owner.id)
        await ledger.begin_task(task)
        seen = await anyio.to_thread.run_sync(typed, "forget", which, "--yes")
        await owner.leave()
        await ledger.aclose()
        return seen

    refused = anyio.run(forget_while_it_runs)

    assert (refused.code, "forget: still running: busy." in refused.error) == (1, True)
    assert typed("stats", "--json").json["tasks"] == before + 1
    assert "1 task forgotten" in typed("forget", "busy", "--yes").out


def test_the_files_that_a_forgotten_task_wrote_can_no_longer_be_restored_from_what_is_kept(typed, home):
    begun(home, typed)
    task_id, journals = "a" * 32, Journals(home / "undo")

    async def delegate() -> None:
        ledger = await Ledger.open(home, utc_now)
        await ledger.begin_task(NewTask(task_id, "delegation", "Sort a list", "code_generation", 2.0, local_only=False))
        await ledger.finish_task(task_id, Finish("unverified", None, (), None))
        await ledger.aclose()

    anyio.run(delegate)
    with journals.locked():
        journals.begin(WritePlan(task_id=task_id, at=1.0, files=()), [])

    seen = typed("forget", task_id, "--yes")

    assert "1 task forgotten" in seen.out
    assert journals.find(task_id) is None


def test_what_was_forgotten_is_restored_when_asked_for(typed, home):
    begun(home, typed)
    file = home.parent / "m.jsonl"
    typed("export", file)
    typed("forget", "--all", "--yes")

    refused = typed("import", file, "--json").json
    restored = typed("import", file, "--restore-forgotten", "--json").json

    assert refused["files"][str(file)]["forgotten"] == 3
    assert restored["files"][str(file)]["added"] == 3


def test_rebuild_embeds_what_has_no_vector(typed, home, tmp_path):
    begun(home, typed)
    file = tmp_path / "m.jsonl"
    typed("export", file)

    seen, facts = typed("rebuild"), typed("rebuild", "--json").json

    assert seen.code == 0
    assert (facts["done"], facts["left"]) == (0, 0)


def test_a_damaged_ledger_is_a_sentence(typed, home):
    begun(home, typed)
    (home / "ledger.sqlite3").write_bytes(b"not a ledger" * 1_000)

    seen = typed("stats")

    assert seen.code == 1
    assert "is damaged" in seen.error.replace("\n", " ")
