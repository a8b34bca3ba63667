"""What measurements make of what was expected of the models."""

from collections.abc import Sequence

import pytest
from routing_scene import CATALOGUE

from chargehand.memory_store.pass_rates import MeasuredTask, ModelPassRate, PassRates
from chargehand.profiles.vocabulary import TaskType
from chargehand.tools.routing.prior import Ability, abilities

MODEL, OTHER = "qwen3-30b-a3b", "claude-haiku-5-5"
BEFORE = abilities(CATALOGUE)


def measured(passed: Sequence[float], task_type: TaskType = "code_generation") -> ModelPassRate:
    """Verdicts on tasks of complexity 2 to 8, evenly spread."""
    step = 6 / max(1, len(passed) - 1)
    verdicts = tuple(MeasuredTask(task_type, 2 + place * step, share, 1.0) for place, share in enumerate(passed))
    return ModelPassRate(verdicts, len(verdicts))


def after(**models: ModelPassRate) -> dict[str, Ability]:
    return abilities(CATALOGUE, PassRates({name.replace("_", "-"): found for name, found in models.items()}))


def test_a_model_that_passes_as_expected_stays_where_it_is():
    limit = BEFORE[MODEL].complexity_at_half
    found = after(qwen3_30b_a3b=measured([float(2 + place * 6 / 23 < limit) for place in range(24)]))[MODEL]

    assert found.complexity_at_half == pytest.approx(limit, abs=0.4)


def test_more_measurements_move_it_farther_and_each_the_less():
    moved = [
        after(qwen3_30b_a3b=measured([1.0] * count))[MODEL].complexity_at_half - BEFORE[MODEL].complexity_at_half
        for count in (5, 10, 20, 40)
    ]

    assert moved == sorted(moved)
    assert moved[0] > 0
    assert moved[3] - moved[2] < 20 * moved[0] / 5


def test_what_published_results_say_is_moved_less_than_a_guess():
    published = next(model for model, able in BEFORE.items() if not able.is_estimated)
    rates = PassRates({model: measured([0.0] * 6) for model in (published, MODEL)})
    found = abilities(CATALOGUE, rates)

    assert BEFORE[MODEL].is_estimated
    of_published, of_guess = (
        BEFORE[model].complexity_at_half - found[model].complexity_at_half for model in (published, MODEL)
    )
    assert 0 < of_published < of_guess


def test_a_suite_that_is_easy_for_all_says_less_of_each():
    alone = after(qwen3_30b_a3b=measured([1.0] * 20))[MODEL]
    together = abilities(CATALOGUE, PassRates({model: measured([1.0] * 20) for model in BEFORE}))

    assert BEFORE[MODEL].complexity_at_half < together[MODEL].complexity_at_half < alone.complexity_at_half


def test_one_kind_of_work_tells_most_of_the_same_kind():
    found = after(qwen3_30b_a3b=measured([0.0] * 20, "debugging"))[MODEL]

    fall = {
        kind: BEFORE[MODEL].expected_success(4.0, kind) - found.expected_success(4.0, kind)
        for kind in ("debugging", "formatting")
    }
    assert fall["debugging"] > fall["formatting"] > 0


def test_a_model_that_was_not_measured_stays_as_it_was():
    assert after(qwen3_30b_a3b=measured([0.0] * 40))[OTHER] == BEFORE[OTHER]


def test_what_an_ancestor_was_measured_at_is_inherited_until_the_heir_is_measured():
    rates = PassRates({"claude-3-opus": measured([1.0] * 40)})
    heir = abilities(CATALOGUE, rates)["claude-opus-5-5"]
    of_both = abilities(CATALOGUE, PassRates({**rates.models, "claude-opus-5-5": measured([0.0] * 40)}))

    assert heir.complexity_at_half > BEFORE["claude-opus-5-5"].complexity_at_half
    assert (heir.ancestor, heir.is_estimated, heir.measured_tasks) == ("claude-3-opus", True, 0)
    assert of_both["claude-opus-5-5"].complexity_at_half < BEFORE["claude-opus-5-5"].complexity_at_half
    assert (of_both["claude-opus-5-5"].ancestor, of_both["claude-opus-5-5"].is_estimated) == (None, False)


def test_nobody_is_taken_to_be_worse_than_its_role_because_an_ancestor_was():
    found = after(claude_3_opus=measured([0.0] * 40))["claude-opus-5-5"]

    assert found == BEFORE["claude-opus-5-5"]
