"""Filters before ranking: privacy, context window, cost, latency; and models pinned by the caller."""

import dataclasses
from pathlib import Path

import pytest
from routing_scene import ALL_MODELS, CATALOGUE, LOCAL, TODAY, choice, chosen, circumstances, followers, question

from chargehand.profiles.errors import UnknownModel
from chargehand.profiles.loading import load_catalogue
from chargehand.profiles.vocabulary import TASK_TYPES
from chargehand.tools.routing.selection import select_model

LOCAL_LADDER = frozenset({"qwen3-14b", "qwen3-30b-a3b", "qwen2.5-coder-32b"})


@pytest.mark.parametrize(
    ("score", "task_type", "expected"),
    [
        (1, "other", "qwen3-14b"),
        (2.0, "code_generation", "qwen3-14b"),
        (2.1, "code_generation", "qwen3-30b-a3b"),
        (5.0, "documentation", "qwen3-30b-a3b"),
        (5.1, "documentation", "qwen2.5-coder-32b"),
        (10, "architecture", "qwen2.5-coder-32b"),
        (2.0, "code_repair", "qwen3-14b"),
        (2.1, "code_repair", "qwen2.5-coder-32b"),
        (3, "debugging", "qwen2.5-coder-32b"),
    ],
)
def test_local_models_are_chosen_by_complexity_and_task_type(score: float, task_type, expected: str):
    assert chosen(score, task_type, ALL_MODELS, local_only=True) == expected


def test_each_local_model_of_the_reference_can_be_chosen():
    found = {
        chosen(score, task_type, ALL_MODELS, local_only=True)
        for score in (1, 3, 6, 9)
        for task_type in TASK_TYPES
    }  # fmt: skip

    assert found == LOCAL_LADDER


@pytest.mark.parametrize("checkpoint", [None, "validation", "strategic"])
@pytest.mark.parametrize("score", [1, 3, 6, 10])
def test_local_only_never_leaves_the_machine(score: float, checkpoint):
    decision = select_model(question(score, checkpoint=checkpoint, local_only=True), circumstances())

    assert choice(decision) in LOCAL
    assert followers(decision) <= LOCAL
    why = {c.profile.id: c.why_not for c in decision.candidates}
    assert why["claude-opus-5-5"] == "not local: what it is sent would leave the machine"


def test_a_checkpoint_under_local_only_goes_to_the_strongest_local_model():
    for checkpoint in ("validation", "strategic"):
        decision = select_model(question(1, checkpoint=checkpoint, local_only=True), circumstances())

        assert (choice(decision), decision.source) == ("qwen2.5-coder-32b", "checkpoint")


def test_a_missing_local_model_is_reported_with_its_install_command():
    decision = select_model(question(6, local_only=True), circumstances({"qwen3-14b", "claude-opus-5-5"}))

    assert (choice(decision), decision.source) == ("qwen3-14b", "constraint")
    assert "not installed: ollama pull it (for qwen2.5-coder-32b, " in decision.warnings[0]


def test_local_only_accepts_a_cloud_role_played_by_a_model_on_this_machine(tmp_path: Path):
    (tmp_path / "own.yaml").write_text(
        "id: own-vllm\nname: Own\nprovider: openai_compatible\napi_model: org/own\n"
        "base_url: http://127.0.0.1:1/v1\nroles: {validator: 1}\n"
        "lifecycle: {status: active, source: me, seen: 2026-11-24}\n"
    )
    catalogue = load_catalogue(tmp_path)
    scene = circumstances({"own-vllm"}, catalogue=catalogue, local={"own-vllm"})

    assert choice(select_model(question(6, local_only=True), scene)) == "own-vllm"


def test_local_only_prefers_local_roles_over_a_cloud_role_played_on_this_machine(tmp_path: Path):
    (tmp_path / "own.yaml").write_text(
        "id: own-vllm\nname: Own\nprovider: openai_compatible\napi_model: org/own\n"
        "base_url: http://127.0.0.1:1/v1\nroles: {validator: 1}\n"
        "lifecycle: {status: active, source: me, seen: 2026-11-24}\n"
    )
    scene = circumstances({"own-vllm", "qwen3-14b"}, catalogue=load_catalogue(tmp_path), local={"own-vllm"})

    assert choice(select_model(question(6, local_only=True), scene)) == "qwen3-14b"


def test_within_a_role_profiles_that_suit_the_task_type_go_first_and_those_that_avoid_it_last(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("id: gpt-oss-120b\navoids: [tests]\nsuits: [code_generation]\n")
    (tmp_path / "b.yaml").write_text(
        "id: claude-sonnet-4-5\nroles: {validator: 9}\nsuits: [formatting]\nlifecycle: {status: deprecated}\n"
    )
    scene = circumstances(catalogue=load_catalogue(tmp_path))

    assert choice(select_model(question(6, "formatting"), scene)) == "claude-sonnet-4-5"
    assert choice(select_model(question(6, "debugging"), scene)) == "claude-sonnet-5-5"
    models = scene.catalogue.models_in_role("fast_coder", TODAY, task_type="tests")
    assert [p.id for p in models] == ["qwen-3.8-27b", "gpt-oss-120b"]


def test_a_prompt_too_long_for_a_model_goes_to_one_with_a_larger_context_window():
    decision = select_model(question(3, "code_generation", prompt_tokens=80_000), circumstances())

    assert choice(decision) == "claude-sonnet-5-5"
    why = {c.profile.id: c.why_not for c in decision.candidates}
    assert why["gpt-oss-120b"] is not None
    assert "its window holds 65,536" in why["gpt-oss-120b"]


def test_prompt_and_answer_together_must_fit_the_context_window():
    fits = select_model(question(3, "code_generation", prompt_tokens=60_000), circumstances())
    assert choice(fits) == "gpt-oss-120b"

    room = 65_536 - fits.chosen.expected.output_tokens
    assert chosen(3, "code_generation", prompt_tokens=room) == "gpt-oss-120b"
    assert chosen(3, "code_generation", prompt_tokens=room + 1) != "gpt-oss-120b"
    assert chosen(3, "code_generation", prompt_tokens=65_500) == "claude-sonnet-5-5"


def test_an_unknown_context_window_does_not_filter_but_warns():
    decision = select_model(question(1, local_only=True, prompt_tokens=500_000), circumstances({"qwen3-14b"}))

    assert choice(decision) == "qwen3-14b"
    assert decision.chosen.is_usable
    assert any("context window is not known" in warning for warning in decision.warnings)


def test_the_context_window_stated_by_the_server_overrides_the_profiles():
    scene = circumstances()
    small_window = dataclasses.replace(scene.availability["claude-sonnet-5-5"], context_tokens=1_000)
    scene = dataclasses.replace(scene, availability={**scene.availability, "claude-sonnet-5-5": small_window})

    decision = select_model(question(6, prompt_tokens=5_000), scene)

    assert choice(decision) == "claude-opus-5-5"
    assert next(c.window_tokens for c in decision.candidates if c.profile.id == "claude-sonnet-5-5") == 1_000


def test_a_model_over_max_cost_usd_is_not_chosen():
    decision = select_model(question(9, max_cost_usd=0.05, prompt_tokens=10_000), circumstances())

    assert decision.chosen.expected.cost_usd <= 0.05
    assert decision.source == "constraint"
    why = {c.profile.id: c.why_not for c in decision.candidates}
    assert why["claude-opus-5-5"] is not None
    assert "more than max_cost_usd 0.05" in why["claude-opus-5-5"]


@pytest.mark.parametrize(
    ("max_cost_usd", "left_today_usd", "expected"),
    [
        (0.05, 1.0, "more than max_cost_usd 0.05"),
        (1.0, 0.05, "more than the $0.0500 left of CHARGEHAND_DAILY_BUDGET_USD"),
    ],
)
def test_the_tighter_of_two_cost_limits_applies(max_cost_usd: float, left_today_usd: float, expected: str):
    limited_question = question(9, max_cost_usd=max_cost_usd, left_today_usd=left_today_usd, prompt_tokens=10_000)

    decision = select_model(limited_question, circumstances())

    why = {c.profile.id: c.why_not for c in decision.candidates}
    assert expected in (why["claude-opus-5-5"] or "")


def test_with_max_cost_usd_0_only_free_models_are_chosen():
    for score in (1, 3, 6, 10):
        decision = select_model(question(score, max_cost_usd=0.0), circumstances())

        assert choice(decision) in LOCAL
        assert decision.chosen.is_usable


def test_a_model_over_max_latency_s_is_not_chosen():
    decision = select_model(question(1.5, max_latency_s=3), circumstances())

    assert choice(decision) not in LOCAL_LADDER
    why = {c.profile.id: c.why_not for c in decision.candidates}
    assert why["qwen3-30b-a3b"] is not None
    assert "more than max_latency_s 3" in why["qwen3-30b-a3b"]


def test_an_unknown_speed_does_not_filter_but_warns():
    decision = select_model(question(6, max_latency_s=0.01), circumstances())

    assert choice(decision) == "claude-sonnet-5-5"
    assert any("its speed is not known" in warning for warning in decision.warnings)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("claude-sonnet-5-5", "claude-sonnet-5-5"),
        ("sonnet", "claude-sonnet-5-5"),
        ("Haiku", "claude-haiku-5-5"),
        ("opus", "claude-opus-5-5"),
        (" OPUS ", "claude-opus-5-5"),
        ("fable", "claude-fable-5-2"),
        ("validator", "claude-sonnet-5-5"),
        ("local", "qwen3-30b-a3b"),
        ("local_coder", "qwen2.5-coder-32b"),
        ("local/qwen3-30b-a3b", "qwen3-30b-a3b"),
        ("ollama/qwen3:30b-a3b", "qwen3-30b-a3b"),
        ("qwen2.5-coder:32b", "qwen2.5-coder-32b"),
        ("cerebras/gpt-oss-120b", "gpt-oss-120b"),
        ("anthropic/claude-haiku-5-5", "claude-haiku-5-5"),
        ("cerebras/glm-4.7", "glm-4.7"),
        ("zai-glm-4.7", "glm-4.7"),
        ("claude-3-opus-20240229", "claude-3-opus"),
    ],
)
def test_every_form_of_a_model_name_pins_the_model(name: str, expected: str):
    decision = select_model(question(3, model=name), circumstances())

    assert (choice(decision), decision.source) == (expected, "override")
    assert followers(decision) == set()


def test_a_named_model_that_is_meant_for_simpler_tasks_is_used_with_a_warning():
    within, beyond = (select_model(question(score, model="claude-haiku-5-5"), circumstances()) for score in (4.0, 4.1))

    assert within.warnings == ()
    assert choice(beyond) == "claude-haiku-5-5"
    assert beyond.warnings == ("claude-haiku-5-5 is meant for complexity up to 4; this task has 4.1",)


def test_a_named_model_on_probation_is_used_with_a_warning(tmp_path: Path):
    (tmp_path / "own.yaml").write_text("id: claude-opus-5-5\nlifecycle: {on_probation: true}\n")
    catalogue = load_catalogue(tmp_path)

    decision = select_model(
        question(9, model="claude-opus-5-5", catalogue=catalogue), circumstances(catalogue=catalogue)
    )

    assert decision.chosen.is_usable
    assert decision.warnings == (
        "claude-opus-5-5 is on probation: nothing was measured of it here, so it is asked only when it is named",
    )


def test_a_name_of_several_models_selects_the_first_reachable_one():
    decision = select_model(question(3, model="local_coder"), circumstances({"qwen3-coder-30b"}))

    assert choice(decision) == "qwen3-coder-30b"


@pytest.mark.parametrize(
    ("name", "constraints", "reachable", "why"),
    [
        ("claude-3-opus", {}, ALL_MODELS, "retired since 2026-01-05; its successor is claude-opus-5-5"),
        ("glm", {}, ALL_MODELS, "retired since 2026-08-17; its successor is gpt-oss-120b"),
        ("opus", {"local_only": True}, ALL_MODELS, "not local: what it is sent would leave the machine"),
        ("haiku", {}, LOCAL, "ANTHROPIC_API_KEY is not set"),
        ("gpt-oss-120b", {"prompt_tokens": 100_000}, ALL_MODELS, "its window holds 65,536"),
        ("opus", {"max_cost_usd": 0.0001}, ALL_MODELS, "more than max_cost_usd 0.0001"),
        ("haiku", {"max_cost_usd": 0.00001}, ALL_MODELS, "more than max_cost_usd 0.00001"),
    ],
)
def test_an_unusable_pin_is_not_replaced_and_the_reason_is_stated(name, constraints, reachable, why):
    decision = select_model(question(3, model=name, **constraints), circumstances(reachable))

    assert decision.source == "override"
    assert decision.chosen.why_not is not None
    assert why in decision.chosen.why_not
    assert why in decision.reason


@pytest.mark.parametrize("name", ["anthropic/gpt-oss-120b", "local/claude-opus-5-5", "sonet", "", "/", "x" * 500])
def test_an_unknown_model_name_is_answered_with_the_three_nearest(name: str):
    with pytest.raises(UnknownModel) as caught:
        CATALOGUE.named(name, TODAY)

    assert len(caught.value.nearest) == 3
    assert all(near in str(caught.value) for near in caught.value.nearest)
    assert len(str(caught.value)) < 400


def test_the_intended_model_is_among_the_nearest_to_a_misspelt_name():
    with pytest.raises(UnknownModel) as caught:
        CATALOGUE.named("claude-sonet-5.5", TODAY)

    assert "claude-sonnet-5-5" in caught.value.nearest
