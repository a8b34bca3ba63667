"""Thinking that is sent back as plain text with its turn, for vendors without signed thinking blocks."""

from dataclasses import dataclass

from ...profiles.model import ModelProfile
from ...tools.provider import Turn


@dataclass(frozen=True)
class SentBack:
    """The thinking of an answer, for the model that produced it."""

    model: str
    thinking: str


def sent_back(turn: Turn, profile: ModelProfile) -> str:
    """The thinking to send with a turn to this model; empty if there is none, or another model produced it."""
    state = turn.vendor_state
    may = profile.thinking is not None and profile.thinking.sent_back
    return state.thinking if may and isinstance(state, SentBack) and state.model == profile.api_model else ""
