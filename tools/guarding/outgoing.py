"""The final check of a prompt for secrets before it is sent to a remote model."""

from dataclasses import replace

from ..editing.prompt import Prompt
from ..provider import Turn
from .privacy import STAYS_LOCAL, Privacy

_REDACT_PASSES = 3


class MustStayLocal(Exception):
    """A prompt for a remote model contains a secret. The message gives its location, never its text."""


def clear_for_sending(prompt: Prompt, privacy: Privacy) -> Prompt:
    """The prompt, unchanged if it contains no secrets, else redacted if the user's settings allow that.

    Raises MustStayLocal.
    """
    find = privacy.secrets.find
    found = [(_origin(number, turn), s) for number, turn in enumerate(prompt.turns) for s in find(turn.text)]
    if not found:
        return prompt
    if privacy.replaces_secrets:
        cleared = replace(prompt, turns=tuple(_cleared(turn, privacy) for turn in prompt.turns))
        if not any(find(turn.text) for turn in cleared.turns):
            return cleared
    where, secret = found[0]
    raise MustStayLocal(f"{STAYS_LOCAL} line {secret.line} of {where} holds what looks like a secret ({secret.kind}).")


def _cleared(turn: Turn, privacy: Privacy) -> Turn:
    text = turn.text
    for _ in range(_REDACT_PASSES):
        text = privacy.secrets.redact(text)
    # `vendor_state` is opaque and cannot be redacted, so a redacted answer is sent as plain text.
    return turn if text == turn.text else Turn(turn.author, text)


def _origin(number: int, turn: Turn) -> str:
    if number == 0:
        return "the prompt"
    return "an earlier answer" if turn.author == "assistant" else "a check's output"
