"""The simulation of declines: what it prints, and that it holds the product to its word."""

import pytest

from chargehand.evaluation.bench import drift as drift_bench
from chargehand.evaluation.bench.drift import SCENARIOS, measure_drift
from chargehand.evaluation.bench.drift_latency import measure_drift_latency
from chargehand.evaluation.bench.like_tasks import CASES, measure_like_tasks
from chargehand.evaluation.profiling import drift


def test_each_case_is_told_beside_the_plain_test(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")

    code = measure_drift(12, seed=1)

    printed = capsys.readouterr().out
    assert code == 0
    assert all(scenario.name in printed for scenario in SCENARIOS)


def test_it_fails_when_more_is_told_than_promised(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(drift_bench, "SCENARIOS", SCENARIOS[:1])
    monkeypatch.setattr(drift, "holm", frozenset)

    assert measure_drift(12, seed=1) == 1


def test_pairs_of_models_are_told_apart_beside_the_plain_way(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "200")

    code = measure_like_tasks(12, seed=1)

    printed = capsys.readouterr().out
    assert code == 0
    assert all(case.name in printed for case in CASES)


@pytest.mark.anyio
async def test_the_cost_of_looking_is_told_by_size(capsys: pytest.CaptureFixture[str]):
    assert await measure_drift_latency([50, 200]) == 0

    printed = capsys.readouterr().out
    assert "50" in printed
    assert "200" in printed
