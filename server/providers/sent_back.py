"""Thinking that goes back as plain text with the turn it led to, where vendors keep no signatures."""

from dataclasses import dataclass

from ...profiles.model import ModelProfile
from ...tools.provider import Turn


@dataclass(frozen=True)
class SentBack:
    """The thinking of an answer, for the model that thought it."""

    model: str
    thinking: str


def sent_back(turn: Turn, profile: ModelProfile) -> str:
    """The thinking that goes with a turn to this model; empty where there is none, or it is another's."""
    state = turn.vendor_state
    may = profile.thinking is not None and profile.thinking.sent_back
    return state.thinking if may and isinstance(state, SentBack) and state.model == profile.api_model else ""
