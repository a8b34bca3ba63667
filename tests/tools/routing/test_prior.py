"""What is expected of models on the first day."""

import dataclasses
import datetime as dt

import pytest
from routing_scene import CATALOGUE

from chargehand.profiles.catalogue import Catalogue
from chargehand.profiles.model import Benchmark
from chargehand.profiles.vocabulary import TaskType
from chargehand.tools.routing.prior import abilities, ability_of

SUITED_AND_NOT: tuple[TaskType, ...] = ("debugging", "formatting")
SEEN = dt.date(2026, 11, 24)


def expected_before(score: float, task_type: TaskType = "other") -> dict[str, float]:
    return {model: able.expected_success(score, task_type) for model, able in abilities(CATALOGUE).items()}


def with_benchmark(model: str, percent: float) -> Catalogue:
    """The catalogue, with one model measured on LiveCodeBench."""
    profile = CATALOGUE.profiles[model]
    benchmark = Benchmark(name="livecodebench", percent=percent, source="a test", seen=SEEN)
    measured = profile.model_copy(update={"benchmarks": (benchmark,)})
    return dataclasses.replace(CATALOGUE, profiles={**CATALOGUE.profiles, model: measured})


def test_harder_tasks_are_expected_to_fail_more_for_every_model():
    by_complexity = [expected_before(score) for score in (1.0, 3.0, 5.0, 7.0, 9.0)]

    for profile in CATALOGUE:
        chances = [expected[profile.id] for expected in by_complexity]
        assert chances == sorted(chances, reverse=True)
        assert all(0 < chance < 1 for chance in chances)


def test_on_a_rename_all_are_as_good_and_on_a_design_the_director_is_best():
    rename, design = (expected_before(score) for score in (1.5, 8.0))

    assert abs(rename["qwen3-30b-a3b"] - rename["claude-opus-5-5"]) < 0.02
    assert design["claude-opus-5-5"] > design["claude-sonnet-5-5"] > design["claude-haiku-5-5"]
    assert design["claude-haiku-5-5"] > design["qwen3-30b-a3b"]


def test_a_measured_model_is_told_by_its_own_results():
    half, most = (
        ability_of(c.profiles["gpt-oss-120b"], c)
        for c in (with_benchmark("gpt-oss-120b", percent) for percent in (50, 90))
    )

    assert half.complexity_at_half == pytest.approx(5.9)
    assert most.complexity_at_half > 7
    assert not half.is_estimated


def test_a_model_without_results_is_at_least_as_good_as_its_measured_ancestor():
    usual = ability_of(CATALOGUE.profiles["claude-opus-5-5"], CATALOGUE)
    better = with_benchmark("claude-3-opus", 97)
    inherited = ability_of(better.profiles["claude-opus-5-5"], better)

    assert inherited.complexity_at_half > usual.complexity_at_half
    assert (usual.is_estimated, usual.ancestor) == (True, None)
    assert (inherited.is_estimated, inherited.ancestor) == (True, "claude-3-opus")


def test_what_a_model_is_best_for_counts():
    profile = CATALOGUE.profiles["claude-sonnet-5-5"]
    suited, neutral = (expected_before(7.0, task_type)[profile.id] for task_type in SUITED_AND_NOT)

    assert "debugging" in profile.suits
    assert suited > neutral
