"""The predicted time and cost of a model's next answer."""

import dataclasses

import pytest
from routing_scene import circumstances, question

from chargehand.memory_store.overruns import Overrun
from chargehand.memory_store.pace import Pace, Reply
from chargehand.tools.routing.candidates import Candidate
from chargehand.tools.routing.prediction import predict_outlay
from chargehand.tools.routing.selection import select_model

LOCAL, ECONOMY, WITHOUT_THINKING = "qwen3-30b-a3b", "claude-haiku-5-5", "claude-3-haiku"
LOAD_S = 100.0
PACE = Pace((Reply(3.0, False, 500, 200, LOAD_S, 1.0, 5.0, 1.0),) * 3)


def candidate_of(
    model: str, *, is_loaded: bool | None = None, pace: Pace | None = None, overrun_s: float = 0
) -> Candidate:
    """The model as a candidate for a task of complexity 3."""
    scene = circumstances()
    availability = dataclasses.replace(scene.availability[model], is_loaded=is_loaded)
    scene = dataclasses.replace(
        scene,
        availability={**scene.availability, model: availability},
        pace={model: pace} if pace else {},
        overruns={model: (Overrun(1.0, False, 0, overrun_s),)} if overrun_s else {},
    )
    candidates = select_model(question(3), scene).candidates
    return next(candidate for candidate in candidates if candidate.profile.id == model)


def seconds(candidate: Candidate, *, is_repair: bool = False) -> float:
    return predict_outlay(candidate, 3.0, is_repair=is_repair).seconds or 0.0


def test_load_time_is_predicted_only_for_drafts_of_a_model_known_to_be_unloaded():
    cold, loaded, unknown = (candidate_of(LOCAL, is_loaded=is_loaded, pace=PACE) for is_loaded in (False, True, None))

    assert seconds(cold) == pytest.approx(seconds(loaded) + LOAD_S)
    assert (cold.expected.seconds or 0) > (unknown.expected.seconds or 0)
    assert seconds(unknown) == seconds(loaded)
    assert seconds(cold, is_repair=True) == seconds(loaded, is_repair=True)


def test_a_repair_costs_more_than_its_draft():
    candidate = candidate_of(WITHOUT_THINKING)

    draft, repair = (predict_outlay(candidate, 3.0, is_repair=is_repair) for is_repair in (False, True))

    assert repair.cost_usd > draft.cost_usd


def test_the_time_of_a_local_model_without_a_pace_is_a_guess():
    assert predict_outlay(candidate_of(LOCAL), 3.0, is_repair=False).is_guess
    assert not predict_outlay(candidate_of(LOCAL, pace=PACE), 3.0, is_repair=False).is_guess
    assert not predict_outlay(candidate_of(ECONOMY), 3.0, is_repair=False).is_guess


def test_an_overrun_counts_only_for_local_models_without_a_known_pace():
    assert seconds(candidate_of(LOCAL, overrun_s=1_000)) == 1_250
    assert seconds(candidate_of(LOCAL, pace=PACE, overrun_s=1_000)) < 1_000
    assert seconds(candidate_of(ECONOMY, overrun_s=1_000)) < 1_000
