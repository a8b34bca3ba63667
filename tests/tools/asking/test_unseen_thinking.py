"""Thinking that is billed and not shown is estimated by time and speed, within the limit of the reply."""

import datetime as dt
from dataclasses import replace

import pytest

from chargehand.memory_store.pace import LEAST_REPLIES, Pace, Reply
from chargehand.profiles.loading import load_catalogue
from chargehand.profiles.model import Speed
from chargehand.tools.asking.unseen_thinking import add_unseen_thinking
from chargehand.tools.provider import Availability, Usage
from chargehand.tools.routing.candidates import Candidate
from chargehand.tools.routing.expectation import Expectation

AT_80_PER_SECOND = Speed(
    slowest_tokens_per_second=80, measured_on="the vendor", source="https://example.com", seen=dt.date(2026, 11, 30)
)
REPLY = Reply(5.0, True, 1_000, 500, load_seconds=0.0, first_token_seconds=4.0, stream_seconds=6.0, weight=1.0)
AT_50_PER_SECOND = Pace((REPLY,) * LEAST_REPLIES)


@pytest.mark.parametrize(
    ("speed", "pace", "at_most", "thought_tokens"),
    [
        (None, None, 9_000, 630),
        (AT_80_PER_SECOND, None, 9_000, 800),
        (AT_80_PER_SECOND, AT_50_PER_SECOND, 9_000, 500),
        (AT_80_PER_SECOND, Pace((replace(REPLY, thinking=False),) * LEAST_REPLIES), 9_000, 800),
        (AT_80_PER_SECOND, None, 320, 300),
        (AT_80_PER_SECOND, None, 10, 0),
    ],
    ids=["of no known speed", "published", "measured here", "measured without thinking", "at the limit", "beyond it"],
)
def test_ten_seconds_of_unseen_thinking_are_booked_at_the_best_known_speed(speed, pace, at_most, thought_tokens):
    profile = load_catalogue().profiles["claude-opus-5-5"].model_copy(update={"speed": speed})
    here = Availability(is_reachable=True, is_local=False, host="127.0.0.1")
    candidate = Candidate("director", profile, here, Expectation(0.9, 100, 0.1, None), 1_000, pace=pace)

    usage = add_unseen_thinking(Usage(input_tokens=1_000, output_tokens=20), candidate, 10.0, at_most=at_most)

    assert (usage.output_tokens, usage.thinking_tokens) == (20 + thought_tokens, thought_tokens)
