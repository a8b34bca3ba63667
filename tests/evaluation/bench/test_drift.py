"""The simulations of declines and of model comparisons: their output, and their exit code on false alarms."""

import pytest

from chargehand.evaluation.bench import drift as drift_bench
from chargehand.evaluation.bench.drift import SCENARIOS, measure_drift
from chargehand.evaluation.bench.drift_latency import measure_drift_latency
from chargehand.evaluation.bench.like_tasks import CASES, measure_like_tasks
from chargehand.evaluation.profiling import drift


def test_every_drift_scenario_is_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")

    code = measure_drift(12, seed=1)

    printed = capsys.readouterr().out
    assert code == 0
    assert all(scenario.name in printed for scenario in SCENARIOS)


def test_more_false_alarms_than_promised_give_exit_code_1(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(drift_bench, "SCENARIOS", SCENARIOS[:1])
    monkeypatch.setattr(drift, "holm", frozenset)

    assert measure_drift(12, seed=1) == 1


def test_every_case_of_like_tasks_is_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")

    code = measure_like_tasks(12, seed=1)

    printed = capsys.readouterr().out
    assert code == 0
    assert all(case.name in printed for case in CASES)


@pytest.mark.anyio
async def test_the_latency_of_the_drift_search_is_printed_for_each_ledger_size(capsys: pytest.CaptureFixture[str]):
    assert await measure_drift_latency([50, 200]) == 0

    printed = capsys.readouterr().out
    assert "50" in printed
    assert "200" in printed
