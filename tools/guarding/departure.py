"""The last look at a prompt before it goes to a model elsewhere."""

from dataclasses import replace

from ..editing.prompt import Prompt
from ..provider import Turn
from .privacy import STAYS, Privacy

_ROUNDS = 3


class MayNotLeave(Exception):
    """A prompt that holds a secret and was about to leave. The message says where, and never what."""


def fit_to_leave(prompt: Prompt, privacy: Privacy) -> Prompt:
    """The prompt as it may leave: as it is, or without its secrets where the user settled that.

    Raises MayNotLeave.
    """
    find = privacy.secrets.find
    found = [(_speaker(number, turn), s) for number, turn in enumerate(prompt.turns) for s in find(turn.text)]
    if not found:
        return prompt
    if privacy.replaces_secrets:
        cleared = replace(prompt, turns=tuple(_cleared(turn, privacy) for turn in prompt.turns))
        if not any(find(turn.text) for turn in cleared.turns):
            return cleared
    where, secret = found[0]
    raise MayNotLeave(f"{STAYS} line {secret.line} of {where} holds what looks like a secret ({secret.kind}).")


def _cleared(turn: Turn, privacy: Privacy) -> Turn:
    text = turn.text
    for _ in range(_ROUNDS):
        text = privacy.secrets.redact(text)
    # A vendor's own form of an answer cannot be altered, so an altered answer goes as plain text.
    return turn if text == turn.text else Turn(turn.author, text)


def _speaker(number: int, turn: Turn) -> str:
    if number == 0:
        return "the prompt"
    return "an earlier answer" if turn.author == "assistant" else "a check's output"
