"""Notes on answers that were changed, are unusable, or whose cost is uncertain."""

import textwrap
from collections.abc import Iterator

from ...profiles.price import in_dollars
from ..editing.answer import Answer, declines
from ..guarding.secrets import holds_placeholder
from ..guarding.text import hidden_in, visible
from .attempt import Attempt

_SHOWN = 120
"""Characters quoted from an answer that is not code."""

_FEW_WORDS = 40
"""Words that models usually add around code; so few are not mentioned."""


def remarks_on(attempt: Attempt) -> Iterator[str]:
    """Notes for the receipt, each beginning with the model's id."""
    answer, generation, model = attempt.answer, attempt.request.generation, attempt.candidate.profile.id
    request = attempt.request
    is_uncounted = generation is None and request.usage.is_estimated
    if is_uncounted and request.thinking and 0 < request.cost_usd < request.reserved_usd:
        yield (
            f"{model}: its answer broke off before its vendor counted it. The books have"
            f" {in_dollars(request.cost_usd)}: what arrived, and for thinking that was not shown an estimate by its"
            f" time; at most {in_dollars(request.reserved_usd)}."
        )
    if generation is not None and generation.usage.is_estimated:
        cost = ", and their cost," if generation.usage.cost_usd is None else ""
        yield f"{model}: its server gives no usable token counts; those of this attempt{cost} are estimates."
    if request.cost_usd > request.reserved_usd:
        yield (
            f"{model}: its server charges {in_dollars(request.cost_usd)}, more than the worst case of"
            f" {in_dollars(request.reserved_usd)} that was set aside. Check the price in its profile."
        )
    if answer is None and generation is not None and attempt.request.error is None and attempt.outcome == "empty":
        if declines(generation.text):
            said = " ".join(visible(generation.text).split())
            yield (
                f"{model}: empty: prose instead of code: {textwrap.shorten(said, _SHOWN, placeholder=' …')!r}."
                " If it asks for something, put that into the task."
            )
        else:
            yield f"{model}: empty: its code block is empty."
    if answer is None or generation is None:
        return
    if holds_placeholder(answer.code):
        yield f"{model}: its answer has a placeholder where a secret was. Put the secret back before you use it."
    if (words := _words_left_out(generation.text, answer)) is not None:
        yield (
            f"{model}: about {words} words around its code were left out."
            ' If you want them, call again with task_type="reasoning".'
        )
    if (hidden := hidden_in(generation.text)) is not None:
        yield f"{model}: {hidden.count} invisible character(s) were taken out of its answer before it was checked."


def _words_left_out(reply: str, answer: Answer) -> int | None:
    """Number of words around a reply's code. None: only few, or the reply names files or holds thinking."""
    if answer.edits or any(part.path for part in answer.parts) or "</think" in reply:
        return None
    in_code = len(answer.code.split())
    around = len(reply.split()) - in_code
    return around if around > max(_FEW_WORDS, 2 * in_code) else None
