"""`chargehand bench …` where what it is to measure is not there."""

from pathlib import Path

import pytest

from chargehand.server.cli import main


@pytest.mark.parametrize(
    "arguments",
    [("secrets", "--data"), ("secrets", "--sources"), ("checking", "--data"), ("apply", "--project")],
)
def test_what_is_not_there_is_named_and_nothing_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
):
    missing = tmp_path / "nowhere"

    code = main(["bench", *arguments, str(missing)])

    (said,) = capsys.readouterr().out.splitlines()
    assert code == 2
    assert str(missing) in said


def test_a_project_that_is_no_archive_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "notes.txt"
    file.write_text("no archive")

    code = main(["bench", "apply", "--project", str(file)])

    assert code == 2
    assert f"{file} cannot be copied" in capsys.readouterr().out


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
def test_a_file_that_cannot_be_used_is_named_as_it_was_typed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
):
    missing = tmp_path / "nowhere"

    code = main(["bench", *arguments, str(missing)])

    said = "".join(capsys.readouterr())
    assert code in (1, 2)
    assert said.startswith(f"{missing} ")
    assert "Name " in said
