"""Figures computed from measurements."""

import pytest
from measurement_rows import measurement

from chargehand.evaluation.figures import Rate, figures_of
from chargehand.evaluation.report import Report
from chargehand.evaluation.terms import OWN_SUITE
from chargehand.memory_store.evaluation_runs import EvaluationRow


@pytest.mark.parametrize(
    ("rate", "interval"),
    [
        # R: binom::binom.confint(x, n, methods = "wilson")
        (Rate(0, 10), (0.0, 0.2775)),
        (Rate(7, 10), (0.3968, 0.8922)),
        (Rate(10, 10), (0.7225, 1.0)),
    ],
)
def test_a_rate_has_the_wilson_interval(rate, interval):
    assert rate.interval == pytest.approx(interval, abs=1e-4)


def test_a_rate_of_no_items_has_no_share_and_the_full_interval():
    assert (Rate(0, 0).share, Rate(0, 0).interval) == (None, (0.0, 1.0))


def test_inconclusive_items_count_in_no_rate_but_their_cost_counts():
    (figures,) = figures_of(
        [
            measurement("a", passed=True, cost_usd=0.02),
            measurement("b", passed=False, outcome="truncated", cost_usd=0.03),
            measurement("c", passed=None, outcome="unreachable", cost_usd=0.05),
        ]
    )

    assert (figures.all, figures.failures, figures.unlearnt) == (Rate(1, 2), {"truncated": 1}, {"unreachable": 1})
    assert figures.usd_per_solved == pytest.approx(0.10)


def test_rates_are_grouped_by_kind_and_by_band_of_complexity():
    (figures,) = figures_of(
        [
            measurement("a", kind="repair", complexity=3.0, passed=True),
            measurement("b", kind="repair", complexity=3.1, passed=False),
            measurement("c", kind="tests", complexity=9.0, passed=True),
        ]
    )

    assert figures.kinds == {"repair": Rate(1, 2), "tests": Rate(1, 1)}
    assert figures.bands == {"up to 3": Rate(1, 1), "3 to 6": Rate(0, 1), "above 6": Rate(1, 1)}


def test_speed_excludes_the_time_to_the_first_token_and_thinking_is_a_share_of_all_output():
    (figures,) = figures_of(
        [measurement("a", seconds=3.0, first_token_seconds=1.0, output_tokens=100, thinking_tokens=25)]
    )

    assert (figures.tokens_per_second, figures.first_token_seconds, figures.thinking_share) == (50.0, 1.0, 0.25)


def test_models_are_ordered_by_pass_rate_then_by_cost():
    ranked = figures_of(
        [
            measurement("a", model="weak", passed=False),
            measurement("a", model="dear", cost_usd=0.5),
            measurement("a", model="cheap", cost_usd=0.1),
        ]
    )

    assert [figures.model for figures in ranked] == ["cheap", "dear", "weak"]


@pytest.mark.parametrize(
    ("suite", "headline", "remark"),
    [
        (
            OWN_SUITE,
            "the same command continues it this week, and `chargehand evaluate --resume` later.",
            "`chargehand evaluate --resume` fetches the results.",
        ),
        ("a-project", "the same command continues it.", "The same command fetches the results."),
    ],
)
def test_an_unfinished_report_names_the_command_that_continues_it(suite: str, headline: str, remark: str):
    row = EvaluationRow("e1", suite, 0, 0.0, None, 1.0, None, "")

    report = Report.of(row, (), with_vendors=1)

    assert report.headline.endswith(f"unfinished: {headline}")
    (on_batches,) = report.remarks
    assert on_batches.endswith(remark)
