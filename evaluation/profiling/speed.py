"""A model's speed as this machine sees it, from its own answers."""

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from typing import Literal

from ...profiles.model import ModelProfile
from ...profiles.proposal import Evidence, Proposal

LEAST_ANSWERS = 5
_CHANGED_BY = 0.1
"""A typical speed that differs by less is the same: else each update would change it a little."""


def speed_proposal(
    profile: ModelProfile,
    tokens_per_second: Sequence[float],
    source: str,
    seen: dt.date,
    *,
    origin: Literal["evaluation", "usage"] = "evaluation",
) -> Iterator[Proposal]:
    """The speed, where there are answers enough and it is another than the one in force.

    tokens_per_second: one for each answer, slowest first.
    """
    if len(tokens_per_second) < LEAST_ANSWERS:
        return
    left_out = math.ceil(len(tokens_per_second) / 10)
    slowest = round(tokens_per_second[left_out], 1) or 0.1
    fastest = max(slowest, round(tokens_per_second[-1 - left_out], 1))
    measured_on = "this machine" if profile.provider == "ollama" else f"{profile.provider}, from this machine"
    now = profile.speed
    if now is not None and now.measured_on == measured_on:
        typical = (slowest + fastest) / 2
        if abs(typical / now.typical_tokens_per_second - 1) < _CHANGED_BY:
            return
    yield Proposal(
        profile.id,
        ("speed",),
        None,
        {
            "slowest_tokens_per_second": slowest,
            "fastest_tokens_per_second": fastest,
            "measured_on": measured_on,
            "source": source,
            "seen": seen.isoformat(),
        },
        Evidence(
            origin,
            source,
            seen,
            n=len(tokens_per_second),
            note=f"{slowest:g} to {fastest:g} tokens per second, the {left_out} slowest and the {left_out} fastest"
            " left out",
        ),
    )
