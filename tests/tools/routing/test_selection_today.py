"""Selection from today's catalogue: which model has which role, and which one replaces an unavailable model."""

import dataclasses
import datetime as dt
from pathlib import Path

import pytest
from routing_scene import ALL_MODELS, CATALOGUE, LOCAL, choice, chosen, circumstances, followers, question

from chargehand.memory_store.confidence import Belief
from chargehand.memory_store.recollection import Recollection
from chargehand.profiles.loading import load_catalogue
from chargehand.profiles.vocabulary import ROLES, Role
from chargehand.tools.routing.selection import select_model

ANTHROPIC = frozenset(p.id for p in CATALOGUE if p.provider == "anthropic")
CEREBRAS = frozenset(p.id for p in CATALOGUE if p.provider == "cerebras")


@pytest.mark.parametrize(
    ("score", "task_type", "expected"),
    [
        (1.5, "other", "qwen3-30b-a3b"),
        (3, "documentation", "claude-haiku-5-5"),
        (3, "code_generation", "gpt-oss-120b"),
        (6, "debugging", "claude-sonnet-5-5"),
        (9, "architecture", "claude-opus-5-5"),
    ],
)
def test_each_role_has_a_current_model(score: float, task_type, expected: str):
    assert chosen(score, task_type) == expected


def test_a_role_goes_to_its_first_reachable_model():
    without_reference = ALL_MODELS - {"qwen3-30b-a3b"}

    assert chosen(1.5, reachable=without_reference) == "qwen3.6-35b-a3b"
    assert chosen(3, "code_generation", ALL_MODELS - {"gpt-oss-120b"}) == "qwen-3.8-27b"


def test_no_retired_model_is_ever_chosen():
    for checkpoint in (None, "validation", "strategic"):
        for task_type in ("code_generation", "other"):
            for tenths in range(10, 101, 5):
                decision = select_model(question(tenths / 10, task_type, checkpoint), circumstances())

                for model in (choice(decision), *followers(decision)):
                    assert CATALOGUE.profiles[model].lifecycle.status == "active"


def test_a_retired_candidate_states_its_date_and_successor():
    decision = select_model(question(3), circumstances())

    why = {c.profile.id: c.why_not for c in decision.candidates}
    assert why["claude-3-haiku"] == "retired since 2026-04-20; its successor is claude-haiku-5-5"


def test_a_retired_model_that_the_user_reactivates_gets_its_role_back(tmp_path: Path):
    (tmp_path / "glm.yaml").write_text("id: glm-4.7\nlifecycle: {status: active}\n")
    catalogue = load_catalogue(tmp_path)

    decision = select_model(question(3, "code_generation"), circumstances(catalogue=catalogue))

    assert choice(decision) == "glm-4.7"


def test_an_unavailable_role_moves_up_the_ladder_and_the_missing_key_is_reported():
    decision = select_model(question(3, "code_generation"), circumstances(ANTHROPIC))

    assert (choice(decision), decision.chosen.role, decision.source) == ("claude-sonnet-5-5", "validator", "constraint")
    assert "CEREBRAS_API_KEY is not set" in decision.warnings[0]
    why = {c.profile.id: c.why_not for c in decision.candidates}
    assert why["gpt-oss-120b"] == "CEREBRAS_API_KEY is not set"


def test_an_unavailable_role_moves_down_the_ladder_when_nothing_above_is_reachable():
    decision = select_model(question(9), circumstances(CEREBRAS | LOCAL))

    assert (choice(decision), decision.source) == ("gpt-oss-120b", "constraint")
    assert "ANTHROPIC_API_KEY is not set" in decision.warnings[0]


def test_a_simple_task_without_its_local_model_stays_on_the_machine_when_a_coder_is_installed():
    assert chosen(1.5, reachable=ANTHROPIC | {"qwen3-coder-30b"}) == "qwen3-coder-30b"


def test_a_single_small_local_model_gets_all_tasks():
    for score in (1, 3, 6, 10):
        assert chosen(score, reachable={"qwen3-14b"}) == "qwen3-14b"


@pytest.mark.parametrize("checkpoint", [None, "validation", "strategic"])
@pytest.mark.parametrize("local_only", [False, True])
@pytest.mark.parametrize("score", [1, 3, 6, 10])
def test_without_any_reachable_model_the_decision_states_what_is_missing(score, local_only, checkpoint):
    decision = select_model(question(score, checkpoint=checkpoint, local_only=local_only), circumstances(()))

    assert decision.source == "constraint"
    assert decision.chosen.why_not
    assert not decision.chosen.why_not.startswith("retired")
    assert decision.chosen.why_not in decision.warnings[0]
    assert decision.warnings[0].startswith("no model can be asked now. ")


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_an_offered_model(role: Role):
    assert CATALOGUE.models_in_role(role, dt.date(2026, 11, 24))


def test_when_memory_prefers_an_unreachable_model_the_rules_decide_and_a_warning_says_so():
    remembered = Recollection(best_model="qwen3-14b", best_model_confidence=0.95)

    decision = select_model(question(6), circumstances(ANTHROPIC, recollection=remembered))

    assert (choice(decision), decision.source) == ("claude-sonnet-5-5", "rules")
    assert any("memory prefers qwen3-14b" in warning for warning in decision.warnings)


def test_when_memory_prefers_an_unknown_model_the_rules_decide():
    remembered = Recollection(best_model="gone", best_model_confidence=0.95)

    decision = select_model(question(6), circumstances(recollection=remembered))

    assert decision.source == "rules"
    assert any("memory prefers gone" in warning for warning in decision.warnings)


def test_when_memory_prefers_a_model_on_probation_the_rules_decide(tmp_path: Path):
    (tmp_path / "own.yaml").write_text("id: claude-opus-5-5\nlifecycle: {on_probation: true}\n")
    remembered = Recollection(best_model="claude-opus-5-5", best_model_confidence=0.95)

    decision = select_model(question(6), circumstances(catalogue=load_catalogue(tmp_path), recollection=remembered))

    assert (choice(decision), decision.source) == ("claude-sonnet-5-5", "rules")
    assert any("memory prefers claude-opus-5-5, which is on probation" in warning for warning in decision.warnings)


@pytest.mark.parametrize(
    ("roles", "role"), [("{economy: 1, director: 9}", "economy"), ("{economy: 9, director: 1}", "director")]
)
def test_a_pinned_model_with_several_roles_is_chosen_in_the_role_with_its_best_rank(
    tmp_path: Path, roles: str, role: Role
):
    (tmp_path / "own.yaml").write_text(f"id: claude-opus-5-5\nroles: {roles}\n")

    catalogue = load_catalogue(tmp_path)

    decision = select_model(
        question(6, model="claude-opus-5-5", catalogue=catalogue), circumstances(catalogue=catalogue)
    )

    assert decision.chosen.role == role


def test_a_pinned_model_without_a_role_counts_as_the_director(tmp_path: Path):
    (tmp_path / "own.yaml").write_text(
        "id: own\nname: Own\nprovider: ollama\napi_model: own\n"
        "lifecycle: {status: active, source: a test, seen: 2026-11-25}\n"
    )
    catalogue = load_catalogue(tmp_path)

    decision = select_model(question(6, model="own", catalogue=catalogue), circumstances(catalogue=catalogue))

    assert (choice(decision), decision.chosen.role) == ("own", "director")


def test_memory_does_not_override_local_only():
    remembered = Recollection(best_model="claude-opus-5-5", best_model_confidence=0.95)

    decision = select_model(question(6, local_only=True), circumstances(recollection=remembered))

    assert choice(decision) in LOCAL


def test_the_confidence_of_a_decision_is_that_of_the_chosen_model():
    beliefs = {"claude-sonnet-5-5": Belief(successes=10), "qwen3-14b": Belief(failures=5)}
    scene = circumstances(recollection=Recollection(beliefs=beliefs))

    decision = select_model(question(6), scene)

    assert decision.confidence == Belief(successes=10).confidence(CATALOGUE.rules.prior)
    assert decision.chosen.expected.success == pytest.approx(11.2 / 12)


def test_each_candidate_that_was_not_chosen_has_a_reason():
    decision = select_model(question(3), circumstances(ALL_MODELS - {"qwen3-14b"}))

    others = [c for c in decision.candidates if c is not decision.chosen]
    assert all(decision.why_not(c) for c in others)
    why = {c.profile.id: decision.why_not(c) for c in others}
    assert why["claude-opus-5-5"].startswith("plays the director role; complexity 3 (other) belongs to the economy")
    assert why["qwen3-14b"] == "not installed: ollama pull it"


def test_a_deprecated_model_is_usable_until_its_last_day_with_a_warning_near_it(tmp_path: Path):
    (tmp_path / "old.yaml").write_text("id: claude-sonnet-4-5\nlifecycle: {status: deprecated}\n")
    catalogue = load_catalogue(tmp_path)

    def decision(today: dt.date):
        pinned = question(6, model="claude-sonnet-4-5", catalogue=catalogue)
        return select_model(pinned, circumstances(catalogue=catalogue, today=today))

    assert decision(dt.date(2026, 11, 24)).chosen.is_usable
    assert any("stops answering on 2026-11-30, in 6 days" in w for w in decision(dt.date(2026, 11, 24)).warnings)
    assert decision(dt.date(2026, 11, 29)).chosen.is_usable
    assert not any("stops answering" in w for w in decision(dt.date(2026, 10, 1)).warnings)
    assert (
        decision(dt.date(2026, 11, 30)).chosen.why_not == "retired since 2026-11-30; its successor is claude-sonnet-5-5"
    )


def test_a_model_without_an_adapter_is_not_usable_and_the_reason_says_so():
    scene = circumstances()
    without_adapters = type(scene)(scene.catalogue, {}, scene.recollection, scene.today)

    decision = select_model(question(6), without_adapters)

    assert decision.chosen.why_not == "no adapter for provider anthropic in this version"


def test_after_a_failure_one_usable_model_of_each_other_role_may_follow():
    decision = select_model(question(1.5), circumstances())

    assert choice(decision) == "qwen3-30b-a3b"
    assert followers(decision) == {"claude-haiku-5-5", "gpt-oss-120b", "claude-sonnet-5-5", "claude-opus-5-5"}


def test_with_every_model_all_models_of_each_role_may_follow():
    pinned = dataclasses.replace(question(1.5), every_model=True)

    assert followers(select_model(pinned, circumstances())) >= {"qwen3-14b", "qwen2.5-coder-32b", "qwen-3.8-27b"}


def test_under_local_only_the_other_local_models_may_follow():
    decision = select_model(question(3, local_only=True), circumstances())

    assert choice(decision) == "qwen3-30b-a3b"
    assert followers(decision) == {"qwen3-14b", "qwen2.5-coder-32b"}


def test_escalation_never_asks_the_same_model_twice(tmp_path: Path):
    (tmp_path / "qwen3-14b.yaml").write_text("id: qwen3-14b\nroles: {local: 1, local_coder: 1}\n")
    catalogue = load_catalogue(tmp_path)
    decision = select_model(question(1, local_only=True), circumstances({"qwen3-14b"}, catalogue=catalogue))

    assert choice(decision) == "qwen3-14b"
    assert followers(decision) == set()
