"""What the next answer of a model will take."""

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


def judged(model: str, *, is_loaded: bool | None = None, pace: Pace | None = None, overrun_s: float = 0) -> Candidate:
    """The model as a candidate for a task of complexity 3."""
    scene = circumstances()
    there = dataclasses.replace(scene.availability[model], is_loaded=is_loaded)
    scene = dataclasses.replace(
        scene,
        availability={**scene.availability, model: there},
        pace={model: pace} if pace else {},
        overruns={model: (Overrun(1.0, False, 0, overrun_s),)} if overrun_s else {},
    )
    candidates = select_model(question(3), scene).candidates
    return next(candidate for candidate in candidates if candidate.profile.id == model)


def seconds(candidate: Candidate, *, is_repair: bool = False) -> float:
    return predict_outlay(candidate, 3.0, is_repair=is_repair).seconds or 0.0


def test_only_a_model_that_is_said_not_to_be_loaded_is_waited_for_and_its_repair_is_not():
    cold, loaded, unknown = (judged(LOCAL, is_loaded=is_loaded, pace=PACE) for is_loaded in (False, True, None))

    assert seconds(cold) == pytest.approx(seconds(loaded) + LOAD_S)
    assert (cold.expected.seconds or 0) > (unknown.expected.seconds or 0)
    assert seconds(unknown) == seconds(loaded)
    assert seconds(cold, is_repair=True) == seconds(loaded, is_repair=True)


def test_a_repair_is_sent_the_answer_before_and_its_failure():
    candidate = judged(WITHOUT_THINKING)

    draft, repair = (predict_outlay(candidate, 3.0, is_repair=is_repair) for is_repair in (False, True))

    assert repair.cost_usd > draft.cost_usd


def test_what_is_known_of_its_time_only_elsewhere_is_a_guess():
    assert predict_outlay(judged(LOCAL), 3.0, is_repair=False).is_guess
    assert not predict_outlay(judged(LOCAL, pace=PACE), 3.0, is_repair=False).is_guess
    assert not predict_outlay(judged(ECONOMY), 3.0, is_repair=False).is_guess


def test_what_it_could_not_answer_in_its_time_counts_where_its_pace_is_not_known_and_it_runs_here():
    assert seconds(judged(LOCAL, overrun_s=1_000)) == 1_250
    assert seconds(judged(LOCAL, pace=PACE, overrun_s=1_000)) < 1_000
    assert seconds(judged(ECONOMY, overrun_s=1_000)) < 1_000
