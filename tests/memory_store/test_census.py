"""The census: what the memory holds, and how well its predictions were calibrated."""

import pytest
from ledger_rows import decision_of, delegate
from portable_rows import ROW, import_file, lines_file

from chargehand.memory_store.care.census import Bucket, Calibration, Census, ModelEvidence, take_census
from chargehand.memory_store.care.pruning import find_prunable, prune
from chargehand.memory_store.missed import Missed

pytestmark = pytest.mark.anyio


async def test_the_census_of_an_empty_memory_is_empty(ledger):
    census = await take_census(ledger)

    assert census == Census(0, {}, {}, 0, (), {}, None, None, census.bytes, Calibration(), Calibration(), Missed())
    assert census.bytes > 0


async def test_the_census_counts_remembered_tasks_and_lists_pruned_ones_by_form(ledger, clock, tmp_path):
    began = clock().timestamp()
    await delegate(ledger, "t0", ("small", True))
    clock.advance(days=1)
    prunable = await find_prunable(ledger, older_than_days=0.5, keep=None)
    assert prunable is not None
    await prune(ledger, prunable)
    await delegate(ledger, "t1", ("small", False), ("large", True), reported=("accepted",))
    await import_file(ledger, lines_file(tmp_path, ROW))
    await ledger.write(
        lambda db: db.execute("INSERT INTO embeddings (task_id, embedder, vector) VALUES ('t1', 'e', x'00')").rowcount
    )

    census = await take_census(ledger)

    assert (census.tasks, census.by_origin) == (2, {"import": 1, "use": 1})
    assert census.by_form == {"full": 2, "pruned": 1}
    assert (census.outcomes, census.vectors) == (3, {"e": 1})
    assert (census.oldest, census.newest) == (began + 86_400, began + 86_400)
    assert census.models == (ModelEvidence("large", 2, 2, 0, 0, 0, 0), ModelEvidence("small", 2, 0.25, 1.75, 1, 1, 0))


async def test_the_confidence_of_decisions_is_calibrated_against_their_outcomes(ledger):
    for name, model, confidence, passed, reported in (
        ("t1", "m", 0.95, True, ()),
        ("t2", "m", 0.95, True, ("rejected",)),
        ("t3", "m", 0.4, False, ()),
        ("t4", "m", 1.0, True, ()),
    ):
        await delegate(ledger, name, (model, passed), reported=reported)
        await ledger.record_decision(decision_of(name, model=model, confidence=confidence))
    await ledger.record_decision(decision_of(None, confidence=0.1))

    census = await take_census(ledger)

    assert census.confidence.buckets == (
        Bucket(0.4, 0.5, 1, pytest.approx(0.4), 0.0),
        Bucket(0.9, 1.0, 3, pytest.approx(2.9 / 3), pytest.approx(2 / 3)),
    )
    assert census.confidence.brier_score == pytest.approx((0.05**2 + 0.95**2 + 0.4**2) / 4)
    assert census.confidence.expected_error == pytest.approx((0.4 + 3 * 0.3) / 4)


async def test_expected_success_is_calibrated_for_decisions_that_recorded_it(ledger):
    for name, expected, passed in (("t1", 0.85, True), ("t2", 0.85, False), ("t3", None, False)):
        await delegate(ledger, name, ("m", passed))
        await ledger.record_decision(decision_of(name, model="m", expected_success=expected))

    census = await take_census(ledger)

    assert census.expected_success.buckets == (Bucket(0.8, 0.9, 2, pytest.approx(0.85), 0.5),)
    assert census.expected_success.expected_error == pytest.approx(0.35)
