"""A short run of the fault injection; `python -m chargehand.evaluation.bench.ordeal` runs two hundred rounds."""

import sys

import pytest

from chargehand.evaluation.bench.ordeal import ordeal

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform != "linux", reason="it looks for processes in /proc")]


async def test_every_task_and_every_cent_is_accounted_for_after_cancellations_kills_and_faults():
    assert await ordeal(4, seed=4) == 0
