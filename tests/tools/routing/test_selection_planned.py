"""Planning policies: which model starts, with and without a check, and how the decision explains it."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest
from routing_scene import ALL_MODELS, CATALOGUE, LOCAL, choice, circumstances, followers, question

from chargehand.memory_store.confidence import Belief
from chargehand.memory_store.recollection import Recollection
from chargehand.profiles.loading import load_catalogue
from chargehand.tools.routing.candidates import Circumstances
from chargehand.tools.routing.decision import Decision
from chargehand.tools.routing.plan import Check
from chargehand.tools.routing.policy import Policy
from chargehand.tools.routing.selection import select_model

PLANNED: tuple[Policy, ...] = ("frugal", "balanced", "quality")
MODELS = ("qwen3-30b-a3b", "claude-haiku-5-5", "gpt-oss-120b", "claude-sonnet-5-5", "claude-opus-5-5")


def scene(rates: Mapping[str, float], reachable=MODELS) -> Circumstances:
    """Circumstances with a thousand similar tasks for each model, passed at these rates."""
    beliefs = {model: Belief(1_000 * rate, 1_000 * (1 - rate)) for model, rate in rates.items()}
    return circumstances(reachable, recollection=Recollection(beliefs=beliefs))


RISING = scene(dict(zip(MODELS, (0.5, 0.6, 0.6, 0.8, 0.95), strict=True)))


def decide(policy: Policy, given: Circumstances, *, check: Check | None = None, score=3.0, **arguments) -> Decision:
    planned_question = dataclasses.replace(question(score, "code_generation", **arguments), policy=policy, check=check)
    return select_model(planned_question, given)


@pytest.mark.parametrize("policy", PLANNED)
def test_with_a_check_the_local_model_starts_and_the_reason_names_what_follows(policy: Policy):
    decision = decide(policy, RISING, check=Check())

    assert (choice(decision), decision.source) == ("qwen3-30b-a3b", "rules")
    assert "if it fails, " in decision.reason
    assert policy in decision.reason


def test_without_a_check_quality_starts_with_the_best_model_and_frugal_does_not():
    starts = {policy: choice(decide(policy, RISING)) for policy in PLANNED}

    assert starts["quality"] == "claude-opus-5-5"
    assert starts["frugal"] != "claude-opus-5-5"
    assert all("nothing will be executed" in decide(policy, RISING).reason for policy in PLANNED)


def test_a_free_model_that_almost_always_fails_does_not_start():
    hopeless = scene(dict(zip(MODELS, (0.01, 0.6, 0.6, 0.8, 0.95), strict=True)))

    decision = decide("balanced", hopeless, check=Check())

    assert choice(decision) != "qwen3-30b-a3b"
    assert decision.source == "rules"


def test_each_candidate_states_why_it_does_not_start():
    decision = decide("balanced", RISING, check=Check())

    why = {c.profile.id: decision.why_not(c) for c in decision.candidates if c is not decision.chosen}
    assert why["claude-haiku-5-5"].startswith("asked if ")
    assert why["qwen3-14b"] == "not installed: ollama pull it"
    assert all(why.values())


@pytest.mark.parametrize("policy", PLANNED)
def test_confident_memory_pins_and_checkpoints_take_precedence_over_plans(policy: Policy):
    sure = circumstances(recollection=Recollection(best_model="qwen3-14b", best_model_confidence=0.9))

    remembered = decide(policy, sure, check=Check())
    pinned = decide(policy, sure, model="opus")
    checkpoint = decide(policy, circumstances(), checkpoint="validation")

    assert (choice(remembered), remembered.source) == ("qwen3-14b", "memory")
    assert [candidate.profile.id for candidate in remembered.candidates].count("qwen3-14b") == 1
    assert (choice(pinned), pinned.source, followers(pinned)) == ("claude-opus-5-5", "override", set())
    assert (choice(checkpoint), checkpoint.source) == ("claude-sonnet-5-5", "checkpoint")


@pytest.mark.parametrize("policy", PLANNED)
@pytest.mark.parametrize("score", [1, 3, 6, 10])
def test_plans_respect_local_only_and_the_cost_limit(policy: Policy, score: float):
    private = decide(policy, circumstances(), score=score, local_only=True, check=Check())
    free = decide(policy, circumstances(), score=score, max_cost_usd=0.0, check=Check())

    assert {choice(private), *followers(private)} <= LOCAL
    assert choice(free) in LOCAL
    assert free.chosen.is_usable


def test_under_local_only_remote_models_are_not_reported_as_missing():
    decision = decide("quality", RISING, local_only=True)

    assert (choice(decision), decision.source, decision.warnings) == ("qwen3-30b-a3b", "rules", ())


@pytest.mark.parametrize("policy", PLANNED)
def test_a_warning_says_what_the_preferred_first_model_lacks(policy: Policy):
    cloud = scene(dict(zip(MODELS, (0.5, 0.6, 0.6, 0.8, 0.95), strict=True)), reachable=MODELS[1:])

    decision = decide(policy, cloud, check=Check())

    assert decision.source == "constraint"
    assert "ollama pull it" in decision.warnings[0]


def test_a_warning_says_when_the_daily_budget_rules_out_the_preferred_model():
    decision = decide("quality", RISING, left_today_usd=0.0)

    assert (choice(decision), decision.source) == ("qwen3-30b-a3b", "constraint")
    assert any("left of CHARGEHAND_DAILY_BUDGET_USD" in warning for warning in decision.warnings)


@pytest.mark.parametrize("policy", PLANNED)
def test_without_any_reachable_model_the_decision_says_what_is_missing(policy: Policy):
    decision = decide(policy, circumstances(()))

    assert decision.source == "constraint"
    assert decision.chosen.why_not
    assert decision.warnings[0].startswith("no model can be asked now. ")


def test_small_changes_of_complexity_do_not_change_the_first_model():
    for policy in PLANNED:
        for check in (None, Check()):
            starts = {choice(decide(policy, RISING, check=check, score=score)) for score in (2.6, 2.8, 3.0, 3.2, 3.4)}

            assert len(starts) == 1


def test_the_cheapest_model_answers_when_none_is_worth_its_cost():
    poor = scene(dict.fromkeys(MODELS, 0.005), reachable=MODELS[1:])

    assert choice(decide("frugal", poor, check=Check())) == "claude-haiku-5-5"


def test_no_retired_model_starts():
    for policy in PLANNED:
        for score in range(1, 11):
            model = choice(decide(policy, circumstances(ALL_MODELS), score=score))
            assert CATALOGUE.profiles[model].lifecycle.status == "active"


@pytest.mark.parametrize(("policy", "first"), [("reference", "glm-4.7"), ("balanced", "gpt-oss-120b")])
def test_only_the_reference_policy_prefers_the_references_models(policy: Policy, first: str, tmp_path: Path):
    (tmp_path / "glm.yaml").write_text("id: glm-4.7\nlifecycle: {status: active}\n")

    decision = decide(policy, circumstances(catalogue=load_catalogue(tmp_path)))

    assert next(c.profile.id for c in decision.candidates if c.role == "fast_coder") == first


def decisions_for_equal_models(
    policy: Policy, *, tasks_known: float = 0.0, has_user_feedback: bool = True, tasks=60, **arguments
) -> list[Decision]:
    """Decisions for `tasks` tasks for which all models are about equally good."""
    rates = dict(zip(MODELS, (0.6, 0.62, 0.62, 0.66, 0.68), strict=True))
    known = dict.fromkeys(MODELS, tasks_known)
    recollection = dataclasses.replace(scene(rates).recollection, tasks_known=known)
    given = dataclasses.replace(scene(rates), recollection=recollection, has_user_feedback=has_user_feedback)
    constraints = arguments.pop("constraints", {})
    asked = dataclasses.replace(question(3.0, "code_generation", **constraints), policy=policy, **arguments)
    return [select_model(dataclasses.replace(asked, task=f"task {number}"), given) for number in range(tasks)]


@pytest.mark.parametrize("policy", PLANNED)
def test_little_known_models_are_sometimes_tried_and_the_reason_says_so(policy: Policy):
    decisions = decisions_for_equal_models(policy)

    explored = [decision for decision in decisions if "is tried instead of" in decision.reason]
    assert 0 < len(explored) < len(decisions)
    assert all(decision.chosen.is_usable and decision.plan is None for decision in explored)


def test_which_tasks_try_another_model_is_deterministic():
    first, second = decisions_for_equal_models("balanced"), decisions_for_equal_models("balanced")

    assert [choice(d) for d in first] == [choice(d) for d in second]


def test_well_known_models_are_not_tried_out():
    assert len({choice(decision) for decision in decisions_for_equal_models("balanced", tasks_known=100_000)}) == 1


def test_no_model_is_tried_out_without_feedback_with_a_check_when_pinned_or_under_reference():
    without_feedback = {
        choice(decision) for decision in decisions_for_equal_models("balanced", has_user_feedback=False)
    }
    checked = {choice(decision) for decision in decisions_for_equal_models("balanced", check=Check(false_pass=0.3))}
    pinned = {choice(decision) for decision in decisions_for_equal_models("balanced", constraints={"model": "opus"})}
    reference = {choice(decision) for decision in decisions_for_equal_models("reference")}

    assert len(without_feedback) == len(checked) == len(reference) == 1
    assert pinned == {"claude-opus-5-5"}


def test_models_are_tried_out_only_within_the_callers_constraints():
    decisions = decisions_for_equal_models("quality", constraints={"local_only": True})

    assert {choice(decision) for decision in decisions} == {"qwen3-30b-a3b"}


def test_a_plan_without_a_model_of_the_role_that_would_begin_warns_what_would_make_one_usable():
    rates = dict(zip(MODELS, (0.9, 0.6, 0.6, 0.8, 0.95), strict=True))

    decision = decide("balanced", scene(rates, reachable=("claude-sonnet-5-5", "claude-opus-5-5")), check=Check())

    assert (choice(decision), decision.source) == ("claude-sonnet-5-5", "constraint")
    assert decision.warnings[0] == (
        "no model of the local role can be asked, so claude-sonnet-5-5 (validator) comes first. not installed: ollama"
        " pull it (for qwen3.6-35b-a3b, qwen3-30b-a3b)."
    )


def test_if_only_a_model_on_probation_can_be_asked_the_warning_says_how_to_name_it(tmp_path: Path):
    (tmp_path / "own.yaml").write_text("id: claude-opus-5-5\nlifecycle: {on_probation: true}\n")
    given = circumstances(("claude-opus-5-5",), catalogue=load_catalogue(tmp_path))

    decision = decide("balanced", given, check=Check())

    assert not decision.chosen.is_usable
    assert decision.reason.endswith("; no model can be asked")
    assert decision.warnings[0] == (
        "no model can be asked without being named: claude-opus-5-5 is on probation until"
        ' `chargehand evaluate --models claude-opus-5-5` has measured it. model="claude-opus-5-5" asks it now.'
    )
