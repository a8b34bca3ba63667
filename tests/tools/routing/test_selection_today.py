"""Today's catalogue: who plays which role, and who takes a place that nobody can fill."""

import dataclasses
import datetime as dt
from pathlib import Path

import pytest
from routing_scene import CATALOGUE, EVERYTHING, LOCAL, choice, chosen, circumstances, followers, question

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
def test_each_role_has_a_model_of_today(score: float, task_type, expected: str):
    assert chosen(score, task_type) == expected


def test_a_role_goes_to_its_first_model_that_can_be_asked():
    without_reference = EVERYTHING - {"qwen3-30b-a3b"}

    assert chosen(1.5, reachable=without_reference) == "qwen3.6-35b-a3b"
    assert chosen(3, "code_generation", EVERYTHING - {"gpt-oss-120b"}) == "qwen-3.8-27b"


def test_no_retired_model_is_ever_chosen():
    for checkpoint in (None, "validation", "strategic"):
        for task_type in ("code_generation", "other"):
            for tenths in range(10, 101, 5):
                decision = select_model(question(tenths / 10, task_type, checkpoint), circumstances())

                for model in (choice(decision), *followers(decision)):
                    assert CATALOGUE.profiles[model].lifecycle.status == "active"


def test_a_retired_model_is_listed_with_its_day_and_its_successor():
    decision = select_model(question(3), circumstances())

    why = {c.profile.id: c.why_not for c in decision.candidates}
    assert why["claude-3-haiku"] == "retired since 2026-04-20; its successor is claude-haiku-5-5"


def test_a_retired_model_that_the_user_reactivates_plays_its_role_again(tmp_path: Path):
    (tmp_path / "glm.yaml").write_text("id: glm-4.7\nlifecycle: {status: active}\n")
    catalogue = load_catalogue(tmp_path)

    decision = select_model(question(3, "code_generation"), circumstances(catalogue=catalogue))

    assert choice(decision) == "glm-4.7"


def test_a_role_nobody_can_play_goes_up_the_ladder_with_the_missing_key_named():
    decision = select_model(question(3, "code_generation"), circumstances(ANTHROPIC))

    assert (choice(decision), decision.chosen.role, decision.source) == ("claude-sonnet-5-5", "validator", "constraint")
    assert "CEREBRAS_API_KEY is not set" in decision.warnings[0]
    why = {c.profile.id: c.why_not for c in decision.candidates}
    assert why["gpt-oss-120b"] == "CEREBRAS_API_KEY is not set"


def test_with_nothing_above_the_next_below_takes_the_place():
    decision = select_model(question(9), circumstances(CEREBRAS | LOCAL))

    assert (choice(decision), decision.source) == ("gpt-oss-120b", "constraint")
    assert "ANTHROPIC_API_KEY is not set" in decision.warnings[0]


def test_a_simple_task_without_its_local_model_stays_on_the_machine_when_a_coder_is_installed():
    assert chosen(1.5, reachable=ANTHROPIC | {"qwen3-coder-30b"}) == "qwen3-coder-30b"


def test_with_one_small_local_model_everything_goes_to_it():
    for score in (1, 3, 6, 10):
        assert chosen(score, reachable={"qwen3-14b"}) == "qwen3-14b"


@pytest.mark.parametrize("checkpoint", [None, "validation", "strategic"])
@pytest.mark.parametrize("local_only", [False, True])
@pytest.mark.parametrize("score", [1, 3, 6, 10])
def test_with_nothing_reachable_there_is_still_a_decision_that_says_what_is_missing(score, local_only, checkpoint):
    decision = select_model(question(score, checkpoint=checkpoint, local_only=local_only), circumstances(()))

    assert decision.source == "constraint"
    assert decision.chosen.why_not
    assert not decision.chosen.why_not.startswith("retired")
    assert decision.chosen.why_not in decision.warnings[0]
    assert decision.warnings[0].startswith("no model can be asked now. ")


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_a_model_that_is_not_retired(role: Role):
    assert CATALOGUE.models_in_role(role, dt.date(2026, 11, 24))


def test_memory_that_prefers_a_model_that_cannot_be_asked_leaves_the_choice_to_the_rules_and_says_so():
    similar = Recollection(best_model="qwen3-14b", best_model_confidence=0.95)

    decision = select_model(question(6), circumstances(ANTHROPIC, recollection=similar))

    assert (choice(decision), decision.source) == ("claude-sonnet-5-5", "rules")
    assert any("memory prefers qwen3-14b" in warning for warning in decision.warnings)


def test_memory_that_prefers_a_model_nobody_knows_any_more_leaves_the_choice_to_the_rules():
    similar = Recollection(best_model="gone", best_model_confidence=0.95)

    decision = select_model(question(6), circumstances(recollection=similar))

    assert decision.source == "rules"
    assert any("memory prefers gone" in warning for warning in decision.warnings)


def test_memory_that_prefers_a_model_on_probation_leaves_the_choice_to_the_rules(tmp_path: Path):
    (tmp_path / "own.yaml").write_text("id: claude-opus-5-5\nlifecycle: {on_probation: true}\n")
    similar = Recollection(best_model="claude-opus-5-5", best_model_confidence=0.95)

    decision = select_model(question(6), circumstances(catalogue=load_catalogue(tmp_path), recollection=similar))

    assert (choice(decision), decision.source) == ("claude-sonnet-5-5", "rules")
    assert any("memory prefers claude-opus-5-5, which is on probation" in warning for warning in decision.warnings)


@pytest.mark.parametrize(
    ("roles", "role"), [("{economy: 1, director: 9}", "economy"), ("{economy: 9, director: 1}", "director")]
)
def test_a_model_of_several_roles_is_taken_for_the_one_that_it_plays_best(tmp_path: Path, roles: str, role: Role):
    (tmp_path / "own.yaml").write_text(f"id: claude-opus-5-5\nroles: {roles}\n")

    catalogue = load_catalogue(tmp_path)

    decision = select_model(
        question(6, model="claude-opus-5-5", catalogue=catalogue), circumstances(catalogue=catalogue)
    )

    assert decision.chosen.role == role


def test_a_model_of_no_role_stands_above_all(tmp_path: Path):
    (tmp_path / "own.yaml").write_text(
        "id: own\nname: Own\nprovider: ollama\napi_model: own\n"
        "lifecycle: {status: active, source: a test, seen: 2026-11-25}\n"
    )
    catalogue = load_catalogue(tmp_path)

    decision = select_model(question(6, model="own", catalogue=catalogue), circumstances(catalogue=catalogue))

    assert (choice(decision), decision.chosen.role) == ("own", "director")


def test_memory_does_not_send_private_text_away():
    similar = Recollection(best_model="claude-opus-5-5", best_model_confidence=0.95)

    decision = select_model(question(6, local_only=True), circumstances(recollection=similar))

    assert choice(decision) in LOCAL


def test_the_confidence_is_that_of_the_chosen_model():
    beliefs = {"claude-sonnet-5-5": Belief(successes=10), "qwen3-14b": Belief(failures=5)}
    scene = circumstances(recollection=Recollection(beliefs=beliefs))

    decision = select_model(question(6), scene)

    assert decision.confidence == Belief(successes=10).confidence(CATALOGUE.rules.prior)
    assert decision.chosen.expected.success == pytest.approx(11.2 / 12)


def test_each_candidate_that_was_not_chosen_says_why():
    decision = select_model(question(3), circumstances(EVERYTHING - {"qwen3-14b"}))

    others = [c for c in decision.candidates if c is not decision.chosen]
    assert all(decision.why_not(c) for c in others)
    why = {c.profile.id: decision.why_not(c) for c in others}
    assert why["claude-opus-5-5"].startswith("plays the director role; complexity 3 (other) belongs to the economy")
    assert why["qwen3-14b"] == "not installed: ollama pull it"


def test_a_deprecated_model_is_offered_until_its_day_with_a_warning(tmp_path: Path):
    (tmp_path / "old.yaml").write_text("id: claude-sonnet-4-5\nlifecycle: {status: deprecated}\n")
    catalogue = load_catalogue(tmp_path)

    def decision(today: dt.date):
        asked = question(6, model="claude-sonnet-4-5", catalogue=catalogue)
        return select_model(asked, circumstances(catalogue=catalogue, today=today))

    assert decision(dt.date(2026, 11, 24)).chosen.is_usable
    assert any("stops answering on 2026-11-30, in 6 days" in w for w in decision(dt.date(2026, 11, 24)).warnings)
    assert decision(dt.date(2026, 11, 29)).chosen.is_usable
    assert not any("stops answering" in w for w in decision(dt.date(2026, 10, 1)).warnings)
    assert (
        decision(dt.date(2026, 11, 30)).chosen.why_not == "retired since 2026-11-30; its successor is claude-sonnet-5-5"
    )


def test_a_model_without_an_adapter_says_so():
    scene = circumstances()
    without = type(scene)(scene.catalogue, {}, scene.recollection, scene.today)

    decision = select_model(question(6), without)

    assert decision.chosen.why_not == "no adapter for provider anthropic in this version"


def test_after_a_failure_one_usable_model_of_each_other_role_may_be_asked():
    decision = select_model(question(1.5), circumstances())

    assert choice(decision) == "qwen3-30b-a3b"
    assert followers(decision) == {"claude-haiku-5-5", "gpt-oss-120b", "claude-sonnet-5-5", "claude-opus-5-5"}


def test_a_contract_that_says_so_has_every_model_asked():
    asked = dataclasses.replace(question(1.5), every_model=True)

    assert followers(select_model(asked, circumstances())) >= {"qwen3-14b", "qwen2.5-coder-32b", "qwen-3.8-27b"}


def test_under_local_only_every_role_of_the_machine_may_follow():
    decision = select_model(question(3, local_only=True), circumstances())

    assert choice(decision) == "qwen3-30b-a3b"
    assert followers(decision) == {"qwen3-14b", "qwen2.5-coder-32b"}


def test_escalation_never_asks_the_same_model_twice(tmp_path: Path):
    (tmp_path / "qwen3-14b.yaml").write_text("id: qwen3-14b\nroles: {local: 1, local_coder: 1}\n")
    catalogue = load_catalogue(tmp_path)
    decision = select_model(question(1, local_only=True), circumstances({"qwen3-14b"}, catalogue=catalogue))

    assert choice(decision) == "qwen3-14b"
    assert followers(decision) == set()
