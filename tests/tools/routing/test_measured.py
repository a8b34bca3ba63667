"""How measurements change the expected abilities of models."""

from collections.abc import Sequence

import pytest
from routing_scene import CATALOGUE

from chargehand.memory_store.pass_rates import MeasuredTask, ModelPassRate, PassRates
from chargehand.profiles.vocabulary import TaskType
from chargehand.tools.routing.prior import Ability, abilities

MODEL, OTHER = "qwen3-30b-a3b", "claude-haiku-5-5"
BEFORE = abilities(CATALOGUE)


def measured(passed: Sequence[float], task_type: TaskType = "code_generation") -> ModelPassRate:
    """A pass rate on tasks of complexity 2 to 8, evenly spread."""
    step = 6 / max(1, len(passed) - 1)
    verdicts = tuple(MeasuredTask(task_type, 2 + index * step, share, 1.0) for index, share in enumerate(passed))
    return ModelPassRate(verdicts, len(verdicts))


def after(**models: ModelPassRate) -> dict[str, Ability]:
    return abilities(
        CATALOGUE, PassRates({name.replace("_", "-"): measured_ability for name, measured_ability in models.items()})
    )


def test_measurements_that_match_the_expectation_hardly_change_an_ability():
    limit = BEFORE[MODEL].complexity_at_half
    measured_ability = after(qwen3_30b_a3b=measured([float(2 + index * 6 / 23 < limit) for index in range(24)]))[MODEL]

    assert measured_ability.complexity_at_half == pytest.approx(limit, abs=0.4)


def test_more_measurements_change_an_ability_more_with_diminishing_effect():
    moved = [
        after(qwen3_30b_a3b=measured([1.0] * count))[MODEL].complexity_at_half - BEFORE[MODEL].complexity_at_half
        for count in (5, 10, 20, 40)
    ]

    assert moved == sorted(moved)
    assert moved[0] > 0
    assert moved[3] - moved[2] < 20 * moved[0] / 5


def test_measurements_change_an_ability_from_published_results_less_than_an_estimate():
    published = next(model for model, ability in BEFORE.items() if not ability.is_estimated)
    rates = PassRates({model: measured([0.0] * 6) for model in (published, MODEL)})
    measured_ability = abilities(CATALOGUE, rates)

    assert BEFORE[MODEL].is_estimated
    published_drop, guess_drop = (
        BEFORE[model].complexity_at_half - measured_ability[model].complexity_at_half for model in (published, MODEL)
    )
    assert 0 < published_drop < guess_drop


def test_passes_count_less_if_all_models_pass_the_same_suite():
    alone = after(qwen3_30b_a3b=measured([1.0] * 20))[MODEL]
    together = abilities(CATALOGUE, PassRates({model: measured([1.0] * 20) for model in BEFORE}))

    assert BEFORE[MODEL].complexity_at_half < together[MODEL].complexity_at_half < alone.complexity_at_half


def test_failures_in_a_task_type_lower_expected_success_most_in_that_type():
    measured_ability = after(qwen3_30b_a3b=measured([0.0] * 20, "debugging"))[MODEL]

    drop = {
        kind: BEFORE[MODEL].expected_success(4.0, kind) - measured_ability.expected_success(4.0, kind)
        for kind in ("debugging", "formatting")
    }
    assert drop["debugging"] > drop["formatting"] > 0


def test_measurements_of_one_model_do_not_change_another():
    assert after(qwen3_30b_a3b=measured([0.0] * 40))[OTHER] == BEFORE[OTHER]


def test_a_model_inherits_its_ancestors_measurements_until_it_is_measured_itself():
    rates = PassRates({"claude-3-opus": measured([1.0] * 40)})
    heir = abilities(CATALOGUE, rates)["claude-opus-5-5"]
    both_measured = abilities(CATALOGUE, PassRates({**rates.models, "claude-opus-5-5": measured([0.0] * 40)}))

    assert heir.complexity_at_half > BEFORE["claude-opus-5-5"].complexity_at_half
    assert (heir.ancestor, heir.is_estimated, heir.measured_tasks) == ("claude-3-opus", True, 0)
    assert both_measured["claude-opus-5-5"].complexity_at_half < BEFORE["claude-opus-5-5"].complexity_at_half
    assert (both_measured["claude-opus-5-5"].ancestor, both_measured["claude-opus-5-5"].is_estimated) == (None, False)


def test_poor_measurements_of_an_ancestor_do_not_lower_a_models_ability():
    measured_ability = after(claude_3_opus=measured([0.0] * 40))["claude-opus-5-5"]

    assert measured_ability == BEFORE["claude-opus-5-5"]
