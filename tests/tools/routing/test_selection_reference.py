"""Policy `reference`, compared with a transcription of the reference's algorithm.

The catalogue is today's with the seven models of the reference active.
"""

import dataclasses
import itertools

import pytest
from routing_scene import ALL_MODELS, CATALOGUE, choice, circumstances, question

from chargehand.memory_store.recollection import Recollection
from chargehand.profiles.catalogue import Catalogue
from chargehand.profiles.vocabulary import TASK_TYPES, Checkpoint, TaskType
from chargehand.tools.routing.selection import select_model

# Model ids by the reference's names, from docs/reference/model-profiles.md.
REFERENCE_NAMES = {
    "local/qwen3-30b-a3b": "qwen3-30b-a3b",
    "cerebras/glm-4.7": "glm-4.7",
    "haiku": "claude-3-haiku",
    "sonnet": "claude-3.5-sonnet",
    "opus": "claude-3-opus",
}
REFERENCE_MODELS = tuple(sorted(p.id for p in CATALOGUE if p.in_reference))


def _with_reference_models_active() -> Catalogue:
    def active(profile):
        if not profile.in_reference:
            return profile
        return profile.model_copy(update={"lifecycle": profile.lifecycle.model_copy(update={"status": "active"})})

    return dataclasses.replace(CATALOGUE, profiles={p.id: active(p) for p in CATALOGUE})


REFERENCE_CATALOGUE = _with_reference_models_active()


def reference_select_model(
    complexity: float, task_type: TaskType, checkpoint: Checkpoint | None, recollection: Recollection
) -> str:
    """docs/reference/model-profiles.md, "Model Selection Algorithm", line by line."""
    context = {"checkpoint": checkpoint, "task_type": task_type}
    if recollection.best_model and recollection.best_model_confidence > 0.8:
        return recollection.best_model
    if context.get("checkpoint") == "validation":
        return "sonnet"
    if complexity <= 2:
        return "local/qwen3-30b-a3b"
    if complexity <= 4:
        if context.get("task_type") == "code_generation":
            return "cerebras/glm-4.7"
        return "haiku"
    if complexity <= 7:
        return "sonnet"
    return "opus"


CONFIDENCES = (0.0, 0.5, 0.79, 0.8, 0.81, 1.0)
EDGES = (1.0, 1.9, 2.0, 2.1, 3.0, 3.9, 4.0, 4.1, 5.0, 6.9, 7.0, 7.1, 8.0, 9.9, 10.0)
EVERY_SCORE = tuple(tenths / 10 for tenths in range(10, 101))


@pytest.mark.parametrize("task_type", TASK_TYPES)
@pytest.mark.parametrize("checkpoint", [None, "validation"])
def test_choices_match_the_reference_at_every_threshold_confidence_and_task_type(
    task_type: TaskType, checkpoint: Checkpoint | None
):
    for confidence, best_model in itertools.product(CONFIDENCES, (None, "qwen3-14b", "claude-3-opus")):
        recollection = Recollection(best_model=best_model, best_model_confidence=confidence, similar_tasks=9)
        scene = circumstances(ALL_MODELS, catalogue=REFERENCE_CATALOGUE, recollection=recollection)
        for score in EDGES:
            expected = reference_select_model(score, task_type, checkpoint, recollection)

            decision = select_model(question(score, task_type, checkpoint), scene)

            assert choice(decision) == REFERENCE_NAMES.get(expected, expected), (score, confidence, best_model)


def test_choices_match_the_reference_at_every_tenth_of_complexity():
    scene = circumstances(ALL_MODELS, catalogue=REFERENCE_CATALOGUE)
    for score in EVERY_SCORE:
        for task_type in ("code_generation", "other"):
            expected = reference_select_model(score, task_type, None, Recollection())

            assert choice(select_model(question(score, task_type), scene)) == REFERENCE_NAMES[expected]


@pytest.mark.parametrize("model", REFERENCE_MODELS)
def test_memory_above_the_gate_can_choose_any_reference_model(model: str):
    recollection = Recollection(best_model=model, best_model_confidence=0.81)

    decision = select_model(question(5), circumstances(catalogue=REFERENCE_CATALOGUE, recollection=recollection))

    assert (choice(decision), decision.source) == (model, "memory")


@pytest.mark.parametrize(
    ("score", "task_type", "expected"),
    [
        (1.0, "code_generation", "qwen3-30b-a3b"),
        (2.0, "other", "qwen3-30b-a3b"),
        (2.1, "other", "claude-3-haiku"),
        (2.1, "code_generation", "glm-4.7"),
        (4.0, "documentation", "claude-3-haiku"),
        (4.0, "code_generation", "glm-4.7"),
        (4.1, "code_generation", "claude-3.5-sonnet"),
        (7.0, "debugging", "claude-3.5-sonnet"),
        (7.1, "debugging", "claude-3-opus"),
        (10.0, "architecture", "claude-3-opus"),
    ],
)
def test_a_score_on_a_threshold_goes_to_the_weaker_model(score: float, task_type: TaskType, expected: str):
    assert choice(select_model(question(score, task_type), circumstances(catalogue=REFERENCE_CATALOGUE))) == expected


def test_the_source_is_memory_checkpoint_or_rules():
    sure = Recollection(best_model="qwen3-14b", best_model_confidence=0.81)
    unsure = Recollection(best_model="qwen3-14b", best_model_confidence=0.8)

    sources = [
        select_model(
            question(5, checkpoint=checkpoint), circumstances(catalogue=REFERENCE_CATALOGUE, recollection=recollection)
        ).source
        for recollection, checkpoint in itertools.product((sure, unsure), ("validation", None))
    ]

    assert sources == ["memory", "memory", "checkpoint", "rules"]


@pytest.mark.parametrize("score", [1.0, 5.0, 9.9])
def test_a_strategic_checkpoint_goes_to_the_director(score: float):
    decision = select_model(question(score, checkpoint="strategic"), circumstances(catalogue=REFERENCE_CATALOGUE))

    assert (choice(decision), decision.source) == ("claude-3-opus", "checkpoint")
