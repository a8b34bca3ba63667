"""Policies that plan: who begins, with a check and without one, and what the decision says of it."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest
from routing_scene import CATALOGUE, EVERYTHING, LOCAL, choice, circumstances, followers, question

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
    """What a thousand similar tasks say of each model; nothing else is known."""
    beliefs = {model: Belief(1_000 * rate, 1_000 * (1 - rate)) for model, rate in rates.items()}
    return circumstances(reachable, recollection=Recollection(beliefs=beliefs))


RISING = scene(dict(zip(MODELS, (0.5, 0.6, 0.6, 0.8, 0.95), strict=True)))


def decide(policy: Policy, where: Circumstances, *, check: Check | None = None, score=3.0, **asked) -> Decision:
    asked_for = dataclasses.replace(question(score, "code_generation", **asked), policy=policy, check=check)
    return select_model(asked_for, where)


@pytest.mark.parametrize("policy", PLANNED)
def test_with_a_check_it_begins_on_the_machine_and_names_who_follows(policy: Policy):
    decision = decide(policy, RISING, check=Check())

    assert (choice(decision), decision.source) == ("qwen3-30b-a3b", "rules")
    assert "if it fails, " in decision.reason
    assert policy in decision.reason


def test_without_a_check_the_one_answer_is_from_whom_the_policy_pays_for():
    starts = {policy: choice(decide(policy, RISING)) for policy in PLANNED}

    assert starts["quality"] == "claude-opus-5-5"
    assert starts["frugal"] != "claude-opus-5-5"
    assert all("nothing will be executed" in decide(policy, RISING).reason for policy in PLANNED)


def test_a_start_that_must_fail_is_skipped_even_where_it_costs_nothing():
    hopeless = scene(dict(zip(MODELS, (0.01, 0.6, 0.6, 0.8, 0.95), strict=True)))

    decision = decide("balanced", hopeless, check=Check())

    assert choice(decision) != "qwen3-30b-a3b"
    assert decision.source == "rules"


def test_each_candidate_says_why_it_does_not_begin():
    decision = decide("balanced", RISING, check=Check())

    why = {c.profile.id: decision.why_not(c) for c in decision.candidates if c is not decision.chosen}
    assert why["claude-haiku-5-5"].startswith("asked if ")
    assert why["qwen3-14b"] == "not installed: ollama pull it"
    assert all(why.values())


@pytest.mark.parametrize("policy", PLANNED)
def test_memory_that_is_sure_pins_and_checkpoints_come_before_any_plan(policy: Policy):
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
def test_constraints_hold_in_every_plan(policy: Policy, score: float):
    private = decide(policy, circumstances(), score=score, local_only=True, check=Check())
    free = decide(policy, circumstances(), score=score, max_cost_usd=0.0, check=Check())

    assert {choice(private), *followers(private)} <= LOCAL
    assert choice(free) in LOCAL
    assert free.chosen.is_usable


def test_whom_a_local_task_may_not_be_shown_to_is_not_missed():
    decision = decide("quality", RISING, local_only=True)

    assert (choice(decision), decision.source, decision.warnings) == ("qwen3-30b-a3b", "rules", ())


@pytest.mark.parametrize("policy", PLANNED)
def test_who_would_begin_and_cannot_is_named_with_what_is_missing(policy: Policy):
    cloud = scene(dict(zip(MODELS, (0.5, 0.6, 0.6, 0.8, 0.95), strict=True)), reachable=MODELS[1:])

    decision = decide(policy, cloud, check=Check())

    assert decision.source == "constraint"
    assert "ollama pull it" in decision.warnings[0]


def test_who_would_begin_with_more_left_of_the_days_budget_is_named():
    decision = decide("quality", RISING, left_today_usd=0.0)

    assert (choice(decision), decision.source) == ("qwen3-30b-a3b", "constraint")
    assert any("left of CHARGEHAND_DAILY_BUDGET_USD" in warning for warning in decision.warnings)


@pytest.mark.parametrize("policy", PLANNED)
def test_with_nobody_there_the_decision_says_what_is_missing(policy: Policy):
    decision = decide(policy, circumstances(()))

    assert decision.source == "constraint"
    assert decision.chosen.why_not
    assert decision.warnings[0].startswith("no model can be asked now. ")


def test_a_task_that_seems_a_little_harder_or_easier_begins_with_the_same_model():
    for policy in PLANNED:
        for check in (None, Check()):
            starts = {choice(decide(policy, RISING, check=check, score=score)) for score in (2.6, 2.8, 3.0, 3.2, 3.4)}

            assert len(starts) == 1


def test_where_nothing_is_worth_its_cost_the_cheapest_answers():
    poor = scene(dict.fromkeys(MODELS, 0.005), reachable=MODELS[1:])

    assert choice(decide("frugal", poor, check=Check())) == "claude-haiku-5-5"


def test_no_retired_model_begins():
    for policy in PLANNED:
        for score in range(1, 11):
            model = choice(decide(policy, circumstances(EVERYTHING), score=score))
            assert CATALOGUE.profiles[model].lifecycle.status == "active"


@pytest.mark.parametrize(("policy", "first"), [("reference", "glm-4.7"), ("balanced", "gpt-oss-120b")])
def test_only_the_reference_prefers_its_own_models(policy: Policy, first: str, tmp_path: Path):
    (tmp_path / "glm.yaml").write_text("id: glm-4.7\nlifecycle: {status: active}\n")

    decision = decide(policy, circumstances(catalogue=load_catalogue(tmp_path)))

    assert next(c.profile.id for c in decision.candidates if c.role == "fast_coder") == first


def tried_out(
    policy: Policy, *, tasks_known: float = 0.0, has_user_feedback: bool = True, tasks=60, **asked
) -> list[Decision]:
    """What is decided of that many tasks, for which the models are about as good as each other."""
    rates = dict(zip(MODELS, (0.6, 0.62, 0.62, 0.66, 0.68), strict=True))
    known = dict.fromkeys(MODELS, tasks_known)
    recollection = dataclasses.replace(scene(rates).recollection, tasks_known=known)
    where = dataclasses.replace(scene(rates), recollection=recollection, has_user_feedback=has_user_feedback)
    of = dataclasses.replace(question(3.0, "code_generation", **asked.pop("of", {})), policy=policy, **asked)
    return [select_model(dataclasses.replace(of, task=f"task {number}"), where) for number in range(tasks)]


@pytest.mark.parametrize("policy", PLANNED)
def test_what_little_is_known_of_is_tried_out_now_and_then_and_it_is_said(policy: Policy):
    decisions = tried_out(policy)

    tried = [decision for decision in decisions if "is tried instead of" in decision.reason]
    assert 0 < len(tried) < len(decisions)
    assert all(decision.chosen.is_usable and decision.plan is None for decision in tried)


def test_the_same_task_is_tried_out_the_same_way_until_something_is_learnt():
    first, again = tried_out("balanced"), tried_out("balanced")

    assert [choice(d) for d in first] == [choice(d) for d in again]


def test_what_much_is_known_of_is_not_tried_out():
    assert len({choice(decision) for decision in tried_out("balanced", tasks_known=100_000)}) == 1


def test_nothing_is_tried_out_where_nothing_would_be_learnt_or_the_choice_is_not_ours():
    usual = {choice(decision) for decision in tried_out("balanced", has_user_feedback=False)}
    checked = {choice(decision) for decision in tried_out("balanced", check=Check(false_pass=0.3))}
    pinned = {choice(decision) for decision in tried_out("balanced", of={"model": "opus"})}
    reference = {choice(decision) for decision in tried_out("reference")}

    assert len(usual) == len(checked) == len(reference) == 1
    assert pinned == {"claude-opus-5-5"}


def test_what_is_tried_out_keeps_to_the_callers_constraints():
    decisions = tried_out("quality", of={"local_only": True})

    assert {choice(decision) for decision in decisions} == {"qwen3-30b-a3b"}
