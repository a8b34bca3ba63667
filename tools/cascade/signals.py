"""Signs that an answer is wrong though nothing was executed: only those that are right four times in five.

A reply that ended too soon, was refused or is empty is no answer at all, and code that does not parse has
failed a check; these here are about answers that look like one.
"""

from dataclasses import dataclass

from ..editing.answer import Answer

SURE_ENOUGH = 0.8
"""A sign counts from this precision on: the share of the answers with it that were wrong."""

EFFORT_FACTOR = 4.0
"""Above so many times what the model usually needs for such tasks, an answer's effort is a sign."""


@dataclass(frozen=True)
class Signal:
    """One sign, with what it was worth on recorded answers (`chargehand bench plan`, 2026-11-25)."""

    precision: float
    """Share of the answers with it that were wrong."""
    recall: float
    """Share of the wrong answers that have it."""
    seen: int
    """How many answers had it. Few prove nothing, whatever their share."""

    @property
    def is_on(self) -> bool:
        return self.seen >= _ENOUGH and self.precision >= SURE_ENOUGH


# 25 models on 316 repository issues of SWE-bench Verified, by dollars and, sharper, by calls (0.95). On
# 2,013 answers of 11 models to short functions (RouterBench's MBPP) it was never seen.
EFFORT = Signal(precision=0.83, recall=0.15, seen=667)
# 660 answers of 11 models to short functions: one had it, and was wrong.
UNFINISHED = Signal(precision=1.0, recall=0.002, seen=1)

_ENOUGH = 10


def doubt_about(answer: Answer, output_tokens: int, usual_tokens: float | None) -> str | None:
    """What speaks against an answer that nothing was executed on; None: nothing that can be relied on.

    output_tokens: what it took, thinking included. usual_tokens: what the model usually takes for such
    tasks. None: too few of them were seen.
    """
    if UNFINISHED.is_on and is_unfinished(answer):
        return f"its code block was never closed; {UNFINISHED.precision:.0%} of such answers were wrong"
    if EFFORT.is_on and usual_tokens and takes_too_much(output_tokens, usual_tokens):
        times = output_tokens / usual_tokens
        return (
            f"it took {output_tokens:,} tokens, {times:.0f} times what it usually takes for such tasks; "
            f"{EFFORT.precision:.0%} of such answers were wrong"
        )
    return None


def is_unfinished(answer: Answer) -> bool:
    """Whether a code block was never closed."""
    return not answer.is_whole


def takes_too_much(effort: float, usual: float) -> bool:
    """Whether an effort, in tokens, dollars or calls, is far above the usual one."""
    return effort > EFFORT_FACTOR * usual
