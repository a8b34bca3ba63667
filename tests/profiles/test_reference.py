"""The profiles match the reference document, in each key of each of its YAML blocks."""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from chargehand.profiles.loading import load_catalogue
from chargehand.profiles.model import ModelProfile

DOCUMENT = (Path(__file__).parents[2] / "docs/reference/model-profiles.md").read_text(encoding="utf-8")
CATALOGUE = load_catalogue()
HARDWARE = "64 GB Mac M4 Mini Pro"
SOURCE = "docs/reference/model-profiles.md"

# `primary_use: WORD` followed by a list is prose, not YAML: the word and the list get a key each.
_PRIMARY_USE = re.compile(r"^primary_use: (.*)\n((?:  - .*\n?)+)", re.MULTILINE)
_SECTION = re.compile(r"^### (?P<heading>[^\n]+)\n\n```yaml\n(?P<block>.*?)```", re.MULTILINE | re.DOTALL)


def _blocks() -> Mapping[str, tuple[str, dict[str, Any]]]:
    """Heading and facts of each model, by model id."""
    sections = [
        (m["heading"], yaml.safe_load(_PRIMARY_USE.sub(r"primary_use: \1\nprimary_use_how:\n\2", m["block"])))
        for m in _SECTION.finditer(DOCUMENT)
    ]
    return {facts["model_id"]: (heading, facts) for heading, facts in sections}


BLOCKS = _blocks()


def _number(text: str) -> float:
    found = re.search(r"[\d.]+", text)
    assert found is not None
    return float(found[0])


def _speed(profile: ModelProfile, stated: str) -> bool:
    numbers = [float(n) for n in re.findall(r"\d+", stated)]
    speed = profile.speed
    assert speed is not None
    measured_on = HARDWARE if profile.provider == "ollama" else speed.measured_on
    ends = (speed.slowest_tokens_per_second, speed.fastest_tokens_per_second)
    expected = (numbers[0], None if "+" in stated else numbers[1])
    return ends == expected and speed.measured_on == measured_on and speed.source == SOURCE


def _cost(profile: ModelProfile, stated: dict[str, str]) -> bool:
    figures = profile.reference or profile.price
    assert figures is not None
    stated_by_profile = (figures.input_usd_per_million_tokens, figures.output_usd_per_million_tokens)
    return all("$" in price and "/1M" in price for price in stated.values()) and stated_by_profile == (
        _number(stated["input"]),
        _number(stated["output"]),
    )


def _memory_usage(profile: ModelProfile, stated: str) -> bool:
    assert profile.memory is not None
    return stated == f"~{profile.memory.weights_gb:g}GB ({profile.memory.quantization})"


def _setup(profile: ModelProfile, stated: dict[str, str]) -> bool:
    assert profile.memory is not None
    overhead = profile.memory.with_overhead_gb
    return stated == {"command": profile.setup_command, "memory": f"~{overhead:g}GB with overhead"}


def _type(profile: ModelProfile, stated: str) -> bool:
    return {"MoE (Mixture of Experts)": "moe", "Dense": "dense"}[stated] == profile.architecture


def _parameters(profile: ModelProfile, stated: str) -> bool:
    return profile.parameters is not None and profile.parameters.total_billion == _number(stated)


def _active_parameters(profile: ModelProfile, stated: str) -> bool:
    return profile.parameters is not None and profile.parameters.active_billion == _number(stated)


def _benchmarks(profile: ModelProfile, stated: dict[str, str]) -> bool:
    stated_by_profile = {b.name: b.percent for b in profile.benchmarks if b.source == SOURCE}
    return stated_by_profile == {name: _number(score) for name, score in stated.items()}


def _special_features(profile: ModelProfile, stated: list[dict[str, str]]) -> bool:
    return profile.special_features == {
        name: description for feature in stated for name, description in feature.items()
    }


def _threshold(profile: ModelProfile, stated: str) -> bool:
    return stated == f"complexity <= {profile.complexity_at_most:g}"


def _primary_use(profile: ModelProfile, stated: str) -> bool:
    return profile.primary_use is not None and stated.lower().startswith(profile.primary_use.name)


def _primary_use_how(profile: ModelProfile, stated: list[str | dict[str, str]]) -> bool:
    use = profile.primary_use
    assert use is not None
    *how, target = stated
    assert isinstance(target, dict)
    return tuple(how) == use.how and target["Target"].startswith(
        f"max {use.visible_output_tokens_at_most} tokens output"
    )


READERS: Mapping[str, Callable[[ModelProfile, Any], bool]] = {
    "model_id": lambda profile, stated: profile.id == stated,
    "provider": lambda profile, stated: profile.provider == stated.lower(),
    "type": _type,
    "total_params": _parameters,
    "params": _parameters,
    "active_params": _active_parameters,
    "memory_usage": _memory_usage,
    "speed": _speed,
    "context": lambda profile, stated: stated == f"{profile.context_tokens // 1024}K tokens",
    "cost": _cost,
    "strengths": lambda profile, stated: profile.strengths == tuple(stated),
    "weaknesses": lambda profile, stated: profile.weaknesses == tuple(stated),
    "best_for": lambda profile, stated: profile.best_for == tuple(stated),
    "setup": _setup,
    "benchmarks": _benchmarks,
    "special_features": _special_features,
    "routing_threshold": _threshold,
    "primary_use": _primary_use,
    "primary_use_how": _primary_use_how,
}


def test_the_reference_describes_seven_models_and_each_has_a_profile():
    assert len(BLOCKS) == 7
    assert set(BLOCKS) == {p.id for p in CATALOGUE if p.in_reference}


@pytest.mark.parametrize(
    ("model_id", "key"), [(model_id, key) for model_id, (_, facts) in BLOCKS.items() for key in facts]
)
def test_each_fact_of_the_reference_is_in_the_profile(model_id: str, key: str):
    _, facts = BLOCKS[model_id]

    assert READERS[key](CATALOGUE.profiles[model_id], facts[key]), facts[key]


@pytest.mark.parametrize("model_id", BLOCKS)
def test_profile_names_and_labels_match_the_references_headings(model_id: str):
    heading, _ = BLOCKS[model_id]
    profile = CATALOGUE.profiles[model_id]

    assert heading == (f"{profile.name} ({profile.label})" if profile.label else profile.name)


@pytest.mark.parametrize("model_id", BLOCKS)
def test_reference_profiles_have_no_facts_that_the_reference_does_not_state(model_id: str):
    _, facts = BLOCKS[model_id]
    profile = CATALOGUE.profiles[model_id]

    assert bool(profile.strengths) == ("strengths" in facts)
    assert bool(profile.weaknesses) == ("weaknesses" in facts)
    assert bool(profile.benchmarks) == ("benchmarks" in facts)
    assert bool(profile.special_features) == ("special_features" in facts)
    assert (profile.speed is not None) == ("speed" in facts)
    assert (profile.complexity_at_most is not None) == ("routing_threshold" in facts)
    assert (profile.primary_use is not None) == ("primary_use" in facts)


@pytest.mark.parametrize(
    ("model_id", "status", "successor"),
    [
        ("qwen3-30b-a3b", "active", None),
        ("qwen2.5-coder-32b", "active", None),
        ("qwen3-14b", "active", None),
        ("claude-3-haiku", "retired", "claude-haiku-5-5"),
        ("claude-3.5-sonnet", "retired", "claude-sonnet-5-5"),
        ("claude-3-opus", "retired", "claude-opus-5-5"),
        ("glm-4.7", "retired", "gpt-oss-120b"),
    ],
)
def test_reference_profiles_state_the_models_status_and_successor(model_id: str, status: str, successor: str | None):
    lifecycle = CATALOGUE.profiles[model_id].lifecycle

    assert (lifecycle.status, lifecycle.successor) == (status, successor)
    assert lifecycle.note
    if status == "retired":
        assert lifecycle.retires_on is not None
        assert lifecycle.retires_on < dt.date(2026, 11, 24)


def test_the_references_price_of_glm_is_kept_beside_the_actual_one():
    glm = CATALOGUE.profiles["glm-4.7"]

    assert glm.price is not None
    assert glm.reference is not None
    assert (glm.price.input_usd_per_million_tokens, glm.price.output_usd_per_million_tokens) == (2.25, 2.75)
    assert glm.reference.input_usd_per_million_tokens == glm.reference.output_usd_per_million_tokens == 0.60
