"""Pass rates of models in their latest measurements."""

import dataclasses
from typing import Any

import pytest
from measurement_rows import insert_evaluation

from chargehand.memory_store.evaluations import Measurement, record_measurement
from chargehand.memory_store.ledger import Ledger
from chargehand.memory_store.pass_rates import MeasuredTask, ModelPassRate, PassRateReader

pytestmark = pytest.mark.anyio

BUILDS = {"m": "sha256:new"}
MEASUREMENT = Measurement(
    evaluation_id="e1",
    item="sort@1",
    model="m",
    repetition=0,
    build="sha256:new",
    kind="simple_generation",
    task_type="code_generation",
    language="python",
    complexity=3.0,
    passed=True,
    outcome="passed",
    task_id=None,
    at=0.0,
    seconds=1.0,
    first_token_seconds=0.1,
    output_tokens=50,
    thinking_tokens=0,
    cost_usd=0.0,
)
NEW = MeasuredTask("code_generation", 3.0, passed=1.0, weight=1.0)


async def write(ledger: Ledger, clock, *rows: dict[str, Any]) -> None:
    """Write measurements. rows: the fields that differ from a pass in the evaluation `e1`, now."""
    for row in rows:
        measurement = dataclasses.replace(MEASUREMENT, **{"at": clock().timestamp(), **row})
        known = await ledger.rows("SELECT 1 FROM evaluations WHERE id = ?", (measurement.evaluation_id,))
        if not known:
            await insert_evaluation(ledger, measurement.evaluation_id, measurement.at)
        await record_measurement(ledger, measurement)


async def read(ledger: Ledger, clock) -> ModelPassRate | None:
    return (await PassRateReader(ledger).read(BUILDS, clock().timestamp())).models.get("m")


async def test_a_model_that_was_never_measured_has_no_pass_rate(ledger, clock):
    await write(ledger, clock, {"model": "another"})

    assert await read(ledger, clock) is None


async def test_a_task_with_another_seed_is_the_same_task_and_only_its_newest_verdict_counts(ledger, clock):
    await write(ledger, clock, {}, {"evaluation_id": "e2", "item": "sort@2"})
    clock.advance(days=7)
    await write(ledger, clock, {"evaluation_id": "e3", "item": "sort@3", "passed": False})

    assert await read(ledger, clock) == ModelPassRate((dataclasses.replace(NEW, passed=0.0),), 1)


async def test_repetitions_are_averaged_to_one_verdict(ledger, clock):
    await write(ledger, clock, {}, {"repetition": 1, "passed": False})

    assert await read(ledger, clock) == ModelPassRate((dataclasses.replace(NEW, passed=0.5),), 1)


async def test_measurements_without_a_verdict_do_not_count(ledger, clock):
    await write(ledger, clock, {}, {"item": "parse@1", "passed": None, "outcome": "unreachable"})

    assert await read(ledger, clock) == ModelPassRate((NEW,), 1)


async def test_a_verdict_counts_half_after_ninety_days(ledger, clock):
    await write(ledger, clock, {})
    clock.advance(days=90)

    assert await read(ledger, clock) == ModelPassRate((dataclasses.replace(NEW, weight=0.5),), 1)


async def test_all_measurements_of_other_builds_together_count_as_one_task(ledger, clock):
    rows = [{"item": f"old-{number}@1", "build": "sha256:old"} for number in range(4)]
    await write(ledger, clock, *rows, {"item": "unknown@1", "build": None})

    found = await read(ledger, clock)

    assert found is not None
    assert found.tasks == 1
    assert [verdict.weight for verdict in found.verdicts] == [1.0, 0.25, 0.25, 0.25, 0.25]


async def test_a_reader_sees_new_measurements_and_otherwise_returns_its_cached_result(ledger, clock):
    reader = PassRateReader(ledger)
    empty = await reader.read(BUILDS, clock().timestamp())
    await write(ledger, clock, {})
    first = await reader.read(BUILDS, clock().timestamp())
    second = await reader.read(BUILDS, clock().timestamp())
    await ledger.write(lambda db: db.execute("UPDATE measurements SET passed = 0").rowcount)
    third = await reader.read(BUILDS, clock().timestamp())

    assert empty.models == {}
    assert second is first
    assert (first.models["m"].verdicts[0].passed, third.models["m"].verdicts[0].passed) == (1.0, 0.0)
