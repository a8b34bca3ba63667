"""A part of what `chargehand bench apply` shows on whole projects: every file is as promised, after crashes too."""

from pathlib import Path

import pytest

from chargehand.evaluation.bench.writing import writing_trial

pytestmark = pytest.mark.anyio

SOURCES = Path(__file__).parents[2] / "tools" / "checking"


async def test_delegations_leave_the_files_as_promised_and_undo_brings_them_back(capsys: pytest.CaptureFixture[str]):
    code = await writing_trial(SOURCES, every_nth=12)

    assert code == 0, capsys.readouterr().out
