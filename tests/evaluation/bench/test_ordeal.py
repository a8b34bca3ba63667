"""A short ordeal: what two hundred rounds of it show is printed by `python -m chargehand.evaluation.bench.ordeal`."""

import sys

import pytest

from chargehand.evaluation.bench.ordeal import ordeal

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform != "linux", reason="it looks for processes in /proc")]


async def test_after_cancellations_kills_and_faults_every_task_and_every_cent_is_accounted_for():
    assert await ordeal(4, seed=4) == 0
