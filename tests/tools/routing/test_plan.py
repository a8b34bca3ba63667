"""Plans: which model goes first, what follows a failure, and when to stop."""

import dataclasses
import itertools
import random

import pytest

from chargehand.tools.routing.difficulty import Difficulty, multiply, weighted_sum
from chargehand.tools.routing.plan import Check, Outlay, Plan, PlanLimits, Prospect, Step, make_plan


def prospect(
    model: str,
    success: float,
    usd: float,
    repair_usd: float | None = None,
    seconds: float | None = None,
    *,
    is_local: bool = False,
) -> Prospect:
    repair = None if repair_usd is None else Outlay(repair_usd, seconds)
    return Prospect(model, success, Outlay(usd, seconds), repair, is_local)


LOCAL = prospect("local", 0.55, 0.0, 0.0, is_local=True)
CHEAP = prospect("cheap", 0.65, 0.001, 0.002)
MIDDLE = prospect("middle", 0.75, 0.02, 0.03)
BEST = prospect("best", 0.85, 0.04, 0.06)
ALL = (LOCAL, CHEAP, MIDDLE, BEST)
WORTH_USD = 0.4
SURE = Check()


def plan(prospects=ALL, check: Check | None = SURE, worth_usd=WORTH_USD, failed=(), without=(), **left) -> Plan:
    return make_plan(prospects, check, worth_usd, PlanLimits(**left), failed, without=without)


def models(planned: Plan) -> list[str]:
    return [step.model for step in planned.steps]


def test_with_a_check_the_cheapest_model_goes_first_and_the_strongest_last():
    assert models(plan())[0] == "local"
    assert models(plan())[-1] == "best"


def test_without_a_check_the_plan_is_a_single_step_chosen_by_its_value():
    one_shot = plan(check=None)

    assert one_shot.steps == (Step("best"),)
    assert models(plan(check=None, worth_usd=0.08)) == ["cheap"]


def test_plans_get_longer_the_more_a_solved_task_is_worth():
    lengths = [len(plan(worth_usd=worth).steps) for worth in (0.05, 0.1, 0.4)]

    assert lengths == sorted(set(lengths))


def test_a_step_that_costs_more_than_its_expected_value_is_not_planned():
    assert plan((BEST,), worth_usd=0.04).steps == ()


def test_the_failure_of_a_model_lowers_the_expected_success_of_the_plan():
    before = plan((LOCAL, BEST)).success
    after = plan((LOCAL, BEST), failed=(Step("local"), Step("local", is_repair=True))).success

    assert after < before


def test_a_model_that_is_very_likely_to_fail_is_skipped():
    hopeless = prospect("hopeless", 0.02, 0.01, 0.02)

    assert "hopeless" not in models(plan((hopeless, BEST)))


def test_a_weak_model_that_costs_almost_as_much_as_the_best_does_not_go_first():
    close = prospect("close", 0.3, 0.035, 0.06)

    assert models(plan((close, BEST), worth_usd=0.5))[0] == "best"


def test_a_repair_directly_follows_the_draft_of_the_same_model():
    remaining = plan(failed=(Step("local"), Step("cheap")))

    assert Step("local", is_repair=True) not in remaining.steps
    for before, step in itertools.pairwise((Step("cheap"), *remaining.steps)):
        if step.is_repair:
            assert before == Step(step.model)


def test_a_model_without_a_repair_outlay_is_not_repaired():
    assert plan((prospect("once", 0.5, 0.0),), failed=(Step("once"),)).steps == ()


def test_an_excluded_model_is_not_planned_but_its_failure_still_counts():
    plan_without_local = plan((LOCAL, BEST), failed=(Step("local"),), without=("local",))

    assert set(models(plan_without_local)) == {"best"}
    assert plan_without_local.success < plan((BEST,)).success


def test_failures_of_an_unreliable_check_lower_expected_success_less():
    failed = (Step("local"), Step("cheap"))
    strict = plan((LOCAL, CHEAP, BEST), check=Check(false_fail=0.0), attempts=1, failed=failed)
    unreliable = plan((LOCAL, CHEAP, BEST), check=Check(false_fail=0.4), attempts=1, failed=failed)

    assert unreliable.success / 0.6 > strict.success


def test_with_a_check_that_passes_wrong_answers_a_weak_model_does_not_go_first():
    weak = prospect("weak", 0.2, 0.0, is_local=True)

    assert models(plan((weak, BEST)))[0] == "weak"
    assert models(plan((weak, BEST), check=Check(false_pass=0.5)))[0] == "best"


def test_a_plan_stays_within_its_attempts_money_and_time():
    assert len(plan(attempts=2).steps) == 2
    assert models(plan(usd=0.0)) == ["local", "local"]
    slow = prospect("slow", 0.9, 0.0, 0.0, seconds=40)
    assert plan((slow,), seconds=39).steps == ()
    assert len(plan((slow,), seconds=79).steps) == 1


def test_a_later_step_costs_a_plan_as_much_as_its_price_times_the_chance_that_it_is_needed():
    planned = plan((prospect("cheap", 0.65, 0.001), prospect("best", 0.85, 0.04)))

    assert models(planned) == ["cheap", "best"]
    assert planned.cost_usd == pytest.approx(0.001 + (1 - 0.65) * 0.04, rel=0.01)


def test_a_guessed_time_does_not_rule_a_model_out():
    guessed = Prospect("slow", 0.9, Outlay(seconds=400, is_guess=True))

    assert models(plan((guessed,), seconds=39)) == ["slow"]


def test_a_long_wait_outweighs_a_small_price():
    slow = prospect("slow", 0.5, 0.0, seconds=600, is_local=True)
    quick = prospect("quick", 0.6, 0.001, seconds=5)

    assert models(plan((slow, quick)))[0] == "quick"


def test_a_slow_first_step_is_skipped_when_it_leaves_no_time_for_a_better_model():
    slow = prospect("slow", 0.3, 0.0, seconds=50, is_local=True)
    quick = prospect("quick", 0.9, 0.001, seconds=20)

    assert models(plan((slow, quick), seconds=60)) == ["quick"]


def test_among_equal_models_the_local_one_goes_first_and_then_the_cheaper():
    local = prospect("here", 0.6, 0.001, is_local=True)
    remote = prospect("there", 0.6, 0.001)
    dearer = prospect("dearer", 0.601, 0.0011)

    assert models(plan((dearer, remote, local)))[0] == "here"
    assert models(plan((dearer, remote)))[0] == "there"


def test_after_a_failure_the_more_valuable_model_follows_even_if_the_difference_is_small():
    both = prospect("cheaper", 0.6, 0.001), prospect("better", 0.61, 0.0011)
    failed = Step("local"), Step("local", is_repair=True)

    assert models(plan(both, attempts=1)) == ["cheaper"]
    assert models(plan((LOCAL, *both), failed=failed, attempts=1)) == ["better"]


def test_small_changes_of_all_expected_successes_do_not_change_the_first_step():
    for shift in (-0.02, -0.01, 0.01, 0.02):
        shifted = [dataclasses.replace(p, success=p.success + shift) for p in ALL]

        assert plan(shifted).steps[0] == plan().steps[0]


@pytest.mark.parametrize("seed", range(40))
def test_plans_are_within_three_percent_of_the_best_order_of_steps(seed: int):
    rng = random.Random(seed)
    prospects = [
        prospect(str(i), rng.uniform(0.1, 0.95), 0.001 * 4**i, 0.0015 * 4**i if rng.random() < 0.7 else None)
        for i in range(4)
    ]
    worth_usd = 0.064 * rng.choice((3, 10, 50))
    check = Check(rng.choice((0.0, 0.1)), rng.choice((0.0, 0.1)))

    planned = make_plan(prospects, check, worth_usd, PlanLimits(attempts=4))

    best = max(_value(order, prospects, check, worth_usd) for order in _orders(prospects, 4))
    assert _value(planned.steps, prospects, check, worth_usd) >= best - 0.03 * worth_usd


def _orders(prospects: list[Prospect], max_length: int):
    steps = [Step(p.model) for p in prospects]
    steps += [Step(p.model, is_repair=True) for p in prospects if p.repair is not None]
    for length in range(max_length + 1):
        for order in itertools.permutations(steps, length):
            if all(not s.is_repair or (i and order[i - 1] == Step(s.model)) for i, s in enumerate(order)):
                yield order


def _value(order, prospects: list[Prospect], check: Check, worth_usd: float) -> float:
    difficulty = Difficulty.of([p.success for p in prospects])
    by_model = {p.model: p for p in prospects}
    joint, value = difficulty.start, 0.0
    for step in order:
        candidate = by_model[step.model]
        outlay = candidate.repair if step.is_repair else candidate.draft
        right = difficulty.chances(candidate.success)
        passes = tuple(r * (1 - check.false_fail) for r in right)
        value += worth_usd * weighted_sum(joint, passes) - sum(joint) * (outlay.cost_usd + worth_usd * 30 / 3_000)
        joint = multiply(joint, tuple(1 - p - (1 - r) * check.false_pass for p, r in zip(passes, right, strict=True)))
    return value
