"""Confidence, expected outcome and thinking of a model before it is called."""

import pytest
from routing_scene import CATALOGUE

from chargehand.memory_store.confidence import Belief
from chargehand.profiles.model import ThinkingRules
from chargehand.tools.provider import Thinking
from chargehand.tools.routing.expectation import expect, expected_output_tokens
from chargehand.tools.routing.thinking import LEAST, decide_thinking

PRIOR = CATALOGUE.rules.prior
GATE = CATALOGUE.rules.memory_confidence_above


def test_six_executed_successes_open_the_gate_and_three_do_not():
    assert Belief(successes=3).confidence(PRIOR) <= GATE < Belief(successes=6).confidence(PRIOR)


def test_a_failure_among_six_closes_the_gate():
    assert Belief(successes=6, failures=1).confidence(PRIOR) <= GATE


def test_evidence_of_low_weight_does_not_open_the_gate():
    assert Belief(successes=6 * 0.2).confidence(PRIOR) < GATE


@pytest.mark.parametrize(
    ("successes", "failures", "expected"),
    # The 0.2 quantile of Beta(1.2 + successes, 0.8 + failures) where it has a closed form:
    # p ** (1 / a) for Beta(a, 1), 1 - (1 - p) ** (1 / b) for Beta(1, b).
    [(0.8, 0.2, 0.4472135955), (1.8, 0.2, 0.5848035476), (8.8, 0.2, 0.8513399225), (-0.2, 8.2, 0.0245)],
)
def test_confidence_is_the_20_percent_quantile_of_a_beta_distribution(
    successes: float, failures: float, expected: float
):
    assert Belief(successes, failures).confidence(PRIOR) == pytest.approx(expected, abs=1e-4)


def test_confidence_rises_with_successes_falls_with_failures_and_stays_a_probability():
    rising = [Belief(successes=n).confidence(PRIOR) for n in (0, 1, 2, 5, 50, 5_000, 500_000)]
    falling = [Belief(failures=n).confidence(PRIOR) for n in (0, 1, 2, 5, 50, 5_000, 500_000)]

    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)
    assert all(0 <= value <= 1 for value in (*rising, *falling))


def test_confidence_approaches_the_success_rate_with_many_outcomes():
    assert Belief(700_000, 300_000).confidence(PRIOR) == pytest.approx(0.7, abs=0.001)


def test_expected_success_without_evidence_is_the_prior():
    assert Belief().expected_success(PRIOR) == pytest.approx(0.6)
    assert Belief().evidence == 0


def test_a_harder_task_is_expected_to_take_longer_and_cost_more():
    profile = CATALOGUE.profiles["gpt-oss-120b"]
    easy, hard = (
        expect(profile, complexity=score, prompt_tokens=1_000, belief=Belief(), prior=PRIOR) for score in (2, 9)
    )

    assert easy.cost_usd < hard.cost_usd
    assert easy.seconds is not None
    assert hard.seconds is not None
    assert easy.seconds < hard.seconds
    assert easy.output_tokens < hard.output_tokens


def test_thinking_is_part_of_the_expected_output():
    assert expected_output_tokens(5, thinking=True) > 2 * expected_output_tokens(5, thinking=False)


def test_a_local_model_is_free_and_a_model_of_unknown_speed_has_no_expected_time():
    local = expect(CATALOGUE.profiles["qwen3-14b"], complexity=5, prompt_tokens=9_999, belief=Belief(), prior=PRIOR)
    sonnet = expect(
        CATALOGUE.profiles["claude-sonnet-5-5"], complexity=5, prompt_tokens=9_999, belief=Belief(), prior=PRIOR
    )

    assert local.cost_usd == 0
    assert sonnet.seconds is None


@pytest.mark.parametrize(("complexity", "is_on"), [(LEAST, False), (1, False), (4.9, False), (5.0, True), (10, True)])
def test_the_primary_local_model_thinks_from_complexity_5(complexity: float, is_on: bool):
    assert decide_thinking(CATALOGUE.profiles["qwen3-30b-a3b"], complexity).on is is_on


def test_repairs_think_at_any_complexity():
    assert decide_thinking(CATALOGUE.profiles["qwen3-30b-a3b"], 1, is_repair=True).on


def test_a_model_without_a_thinking_mode_never_thinks():
    assert not decide_thinking(CATALOGUE.profiles["qwen2.5-coder-32b"], 10, is_repair=True).on


def test_the_effort_of_a_model_that_always_thinks_rises_with_complexity():
    opus = CATALOGUE.profiles["claude-opus-5-5"]

    efforts = [decide_thinking(opus, score).effort for score in (LEAST, 3.9, 4.0, 7.4, 7.5, 10)]

    assert decide_thinking(opus, LEAST).on
    assert efforts == ["low", "low", "medium", "medium", "high", "high"]


def test_a_repair_thinks_one_effort_higher_but_at_most_high():
    sonnet = CATALOGUE.profiles["claude-sonnet-5-5"]

    assert [decide_thinking(sonnet, s, is_repair=True).effort for s in (1, 5, 9)] == ["medium", "high", "high"]


@pytest.mark.parametrize("provider", ["openai_compatible", "cerebras"])
def test_a_model_with_efforts_but_no_value_for_off_always_thinks(provider: str):
    rules = ThinkingRules(efforts=("low", "high"))
    profile = CATALOGUE.profiles["gpt-oss-120b"].model_copy(update={"provider": provider, "thinking": rules})
    can_turn_off = profile.model_copy(update={"thinking": rules.model_copy(update={"turned_off_by": "none"})})

    assert decide_thinking(profile, LEAST) == Thinking(on=True, effort="low")
    assert not decide_thinking(can_turn_off, LEAST).on
