"""Several servers on one data folder: acknowledged tasks are in the ledger, and the other servers find them at once."""

import pytest

from chargehand.evaluation.bench.crowd import crowd

pytestmark = pytest.mark.anyio


async def test_three_servers_on_one_data_folder_lose_no_acknowledged_task(capsys: pytest.CaptureFixture[str]):
    code = await crowd(servers=3, seconds=0.5)

    assert code == 0, capsys.readouterr().out
