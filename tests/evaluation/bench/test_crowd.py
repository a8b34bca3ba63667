"""Several servers on one data folder: what one acknowledged is in the ledger, and the others find it at once."""

import pytest

from chargehand.evaluation.bench.crowd import crowd

pytestmark = pytest.mark.anyio


async def test_nothing_is_lost_among_three_servers(capsys: pytest.CaptureFixture[str]):
    code = await crowd(servers=3, seconds=0.5)

    assert code == 0, capsys.readouterr().out
