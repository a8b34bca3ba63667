"""The range of speeds that is proposed for a profile."""

import datetime as dt

import pytest

from chargehand.evaluation.profiling.speed import speed_proposal
from chargehand.profiles.loading import load_catalogue

TODAY = dt.date(2026, 11, 29)


@pytest.mark.parametrize(
    ("speeds", "slowest", "fastest", "left_out"),
    [
        ([10.0, 10.0, 10.0, 10.0, 500.0], 10, 10, 1),
        ([float(n) for n in range(1, 11)], 2, 9, 1),
        ([float(n) for n in range(1, 21)], 3, 18, 2),
    ],
)
def test_the_proposed_range_leaves_out_the_slowest_and_fastest_tenth_but_at_least_one_each(
    speeds: list[float], slowest: float, fastest: float, left_out: int
):
    profile = load_catalogue().profiles["qwen3.6-27b"]

    (proposal,) = speed_proposal(profile, speeds, "a test", TODAY)

    speed = proposal.after
    assert isinstance(speed, dict)
    assert (speed["slowest_tokens_per_second"], speed["fastest_tokens_per_second"]) == (slowest, fastest)
    assert f"the {left_out} slowest and the {left_out} fastest left out" in (proposal.evidence.note or "")
