"""A model's speed as measured from this machine."""

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from typing import Literal

from ...profiles.model import ModelProfile
from ...profiles.proposal import Evidence, Proposal

LEAST_ANSWERS = 5
_CHANGED_BY = 0.1
"""Smaller relative changes of the typical speed are ignored, so that updates do not change it by noise."""


def speed_proposal(
    profile: ModelProfile,
    tokens_per_second: Sequence[float],
    source: str,
    seen: dt.date,
    *,
    origin: Literal["evaluation", "usage"] = "evaluation",
) -> Iterator[Proposal]:
    """Propose the measured speed, if there are at least LEAST_ANSWERS answers and it differs from the profile's.

    tokens_per_second: one per answer, slowest first.
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
