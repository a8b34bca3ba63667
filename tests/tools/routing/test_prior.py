"""Expected success of models before any outcome or measurement."""

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


def expected_success(score: float, task_type: TaskType = "other") -> dict[str, float]:
    return {model: ability.expected_success(score, task_type) for model, ability in abilities(CATALOGUE).items()}


def with_benchmark(model: str, percent: float) -> Catalogue:
    """The catalogue with a LiveCodeBench result for one model."""
    profile = CATALOGUE.profiles[model]
    benchmark = Benchmark(name="livecodebench", percent=percent, source="a test", seen=SEEN)
    measured = profile.model_copy(update={"benchmarks": (benchmark,)})
    return dataclasses.replace(CATALOGUE, profiles={**CATALOGUE.profiles, model: measured})


def test_expected_success_falls_with_complexity_for_every_model():
    by_complexity = [expected_success(score) for score in (1.0, 3.0, 5.0, 7.0, 9.0)]

    for profile in CATALOGUE:
        chances = [expected[profile.id] for expected in by_complexity]
        assert chances == sorted(chances, reverse=True)
        assert all(0 < chance < 1 for chance in chances)


def test_models_are_equal_on_a_rename_and_ranked_by_strength_on_a_design():
    rename, design = (expected_success(score) for score in (1.5, 8.0))

    assert abs(rename["qwen3-30b-a3b"] - rename["claude-opus-5-5"]) < 0.02
    assert design["claude-opus-5-5"] > design["claude-sonnet-5-5"] > design["claude-haiku-5-5"]
    assert design["claude-haiku-5-5"] > design["qwen3-30b-a3b"]


def test_the_ability_of_a_model_with_benchmarks_follows_from_them():
    with_50_percent, with_90_percent = (
        ability_of(c.profiles["gpt-oss-120b"], c)
        for c in (with_benchmark("gpt-oss-120b", percent) for percent in (50, 90))
    )

    assert with_50_percent.complexity_at_half == pytest.approx(5.9)
    assert with_90_percent.complexity_at_half > 7
    assert not with_50_percent.is_estimated


def test_a_model_without_benchmarks_inherits_the_ability_of_its_measured_ancestor():
    without_results = ability_of(CATALOGUE.profiles["claude-opus-5-5"], CATALOGUE)
    better = with_benchmark("claude-3-opus", 97)
    inherited = ability_of(better.profiles["claude-opus-5-5"], better)

    assert inherited.complexity_at_half > without_results.complexity_at_half
    assert (without_results.is_estimated, without_results.ancestor) == (True, None)
    assert (inherited.is_estimated, inherited.ancestor) == (True, "claude-3-opus")


def test_expected_success_is_higher_for_task_types_that_suit_the_model():
    profile = CATALOGUE.profiles["claude-sonnet-5-5"]
    suited, neutral = (expected_success(7.0, task_type)[profile.id] for task_type in SUITED_AND_NOT)

    assert "debugging" in profile.suits
    assert suited > neutral
