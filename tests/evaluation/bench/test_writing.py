"""A part of `chargehand bench apply`: every file has the promised content, even after crashes."""

from pathlib import Path

import pytest

from chargehand.evaluation.bench.writing import writing_trial

pytestmark = pytest.mark.anyio

SOURCES = Path(__file__).parents[2] / "tools" / "checking"


async def test_delegations_write_the_promised_files_and_undo_restores_them(capsys: pytest.CaptureFixture[str]):
    code = await writing_trial(SOURCES, every_nth=12)

    assert code == 0, capsys.readouterr().out
