"""`chargehand bench …` with missing or unreadable input files and folders."""

import gzip
from pathlib import Path

import pytest

from chargehand.server.cli import main


@pytest.mark.parametrize(
    "arguments",
    [
        ("secrets", "--data"),
        ("secrets", "--sources"),
        ("checking", "--data"),
        ("apply", "--project"),
        ("plan", "--data"),
        ("retrieval", "--data"),
    ],
)
def test_a_missing_input_path_is_named_and_nothing_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
):
    missing = tmp_path / "nowhere [" / "bold]"

    code = main(["bench", *arguments, str(missing)])

    (message,) = capsys.readouterr().err.splitlines()
    assert code == 2
    assert str(missing) in message


def test_a_project_with_too_few_files_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "one.py").write_text("x = 1\n")

    code = main(["bench", "apply", "--project", str(tmp_path)])

    assert code == 2
    assert capsys.readouterr().err.startswith(f"{tmp_path}: only 0 of its Python files suit the trial")


def test_a_project_file_that_is_no_archive_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "notes.txt"
    file.write_text("no archive")

    code = main(["bench", "apply", "--project", str(file)])

    assert code == 2
    assert f"{file} cannot be copied" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay",),
        ("delegate",),
        ("mine",),
        ("verdicts", "--data"),
        ("predict", "--memory", "m.jsonl", "--out", "p.jsonl", "--tasks"),
    ],
)
def test_a_missing_input_file_is_named_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
):
    missing = tmp_path / "nowhere"

    code = main(["bench", *arguments, str(missing)])

    message = "".join(capsys.readouterr())
    assert code in (1, 2)
    assert message.startswith(f"{missing} ")
    assert "Name " in message


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"no JSON", ", line 1: it is not JSON"), (gzip.compress(b"{}")[:-9], " cannot be unpacked (it is cut off")],
    ids=["no JSON", "cut off"],
)
def test_an_unreadable_data_set_is_named_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, problem: str
):
    file = tmp_path / "code_syntax.jsonl.gz"
    file.write_bytes(content)

    code = main(["bench", "checking", "--data", str(tmp_path)])

    assert code == 2
    assert capsys.readouterr().err.startswith(f"{file}{problem}")
