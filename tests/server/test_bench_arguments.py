"""The arguments and the help of `chargehand bench …`."""

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
