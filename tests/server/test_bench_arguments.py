"""The arguments and the help of `chargehand bench …`."""

import json
from pathlib import Path

import pytest

from chargehand.server.cli import main


@pytest.mark.parametrize(
    "arguments",
    [
        "latency --runs 0",
        "memory --sizes 0",
        "crowd --servers 0",
        "crowd --seconds nan",
        "ordeal --rounds 0",
        "http --clients 0",
        "http --rounds -1",
        "context --tasks 0",
        "drift --models 0",
        "drift --rows 0",
        "mine . --commits 0",
        "replay x.jsonl.gz --limit 0",
        "replay x.jsonl.gz --online -1",
        "replay x.jsonl.gz --seed -1",
        "verdicts --data x.jsonl.gz --limit many",
    ],
)
def test_a_number_out_of_range_is_refused_with_its_bounds(capsys: pytest.CaptureFixture[str], arguments: str):
    with pytest.raises(SystemExit) as refused:
        main(["bench", *arguments.split()])

    *_, option, value = arguments.split()
    error = capsys.readouterr().err
    assert refused.value.code == 2
    assert f"argument {option}: '{value}' is not a " in error
    assert " between " in error


@pytest.mark.parametrize("measure", ["latency", "crowd", "replay", "retrieval"])
def test_the_help_of_a_measure_repeats_its_description_in_the_overview(
    capsys: pytest.CaptureFixture[str], measure: str
):
    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    listed = " ".join(capsys.readouterr().out.split())
    with pytest.raises(SystemExit):
        main(["bench", measure, "--help"])

    _, described, *_ = capsys.readouterr().out.split("\n\n")
    described = " ".join(described.split())
    assert described[1:].rstrip(".") in listed


def test_a_measure_prints_its_tables_and_sentences_as_one_json_object(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    body = "\n".join(f"    a{n} = {n}" for n in range(9))
    (tmp_path / "one.py").write_text(f"def long_function():\n{body}\n")

    code = main(["bench", "context", "--folder", str(tmp_path), "--json"])

    printed = json.loads(capsys.readouterr().out)
    (table,) = printed["tables"]
    assert code == 0
    assert table["title"] == "packed / cut off where the window ends"
    assert [row["window"] for row in table["rows"]] == [4_096, 8_192, 32_768]
    assert table["rows"][0]["fits"] == "1 of 1"
    assert printed["notes"][0].startswith("1 files of about ")


def test_a_prediction_names_its_file_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    memory, tasks, out = tmp_path / "memory.jsonl", tmp_path / "tasks.jsonl", tmp_path / "out.jsonl"
    memory.write_text(json.dumps({"task_id": "1", "prompt": "Sort", "outcomes": {"haiku": {"correct": 1}}}) + "\n")
    tasks.write_text(json.dumps({"task_id": "2", "prompt": "Sort dates"}) + "\n")

    code = main(["bench", "predict", "--memory", str(memory), "--tasks", str(tasks), "--out", str(out), "--json"])

    assert (code, json.loads(capsys.readouterr().out)) == (0, {"tables": [], "notes": [f"{out}: 1 tasks"]})


def test_what_cannot_be_measured_is_an_error_and_no_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code = main(["bench", "replay", str(tmp_path / "missing.jsonl.gz"), "--json"])

    printed = capsys.readouterr()
    assert (code, printed.out) == (2, "")
    assert "missing.jsonl.gz" in printed.err
