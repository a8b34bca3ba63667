"""Signs that an answer is wrong although nothing was executed; only those that are right four times in five.

Truncated, refused and empty replies are not answers, and code that does not parse has failed a check; these
signs concern answers that look valid.
"""

from dataclasses import dataclass

from ..editing.answer import Answer

SURE_ENOUGH = 0.8
"""Minimum precision of a sign: the share of the answers with it that were wrong."""

EFFORT_FACTOR = 4.0
"""Effort is a sign if it exceeds the model's usual effort for such tasks by more than this factor."""


@dataclass(frozen=True)
class Signal:
    """One sign, with its statistics on recorded answers (`chargehand bench plan`, 2026-11-25)."""

    precision: float
    """Share of the answers with it that were wrong."""
    recall: float
    """Share of the wrong answers that have it."""
    seen: int
    """Number of answers with it. A small number proves nothing."""

    @property
    def is_on(self) -> bool:
        return self.seen >= _ENOUGH and self.precision >= SURE_ENOUGH


# 25 models on 316 repository issues of SWE-bench Verified, by dollars; by calls its precision is 0.95. It never
# occurred in 2,013 answers of 11 models to short functions (RouterBench's MBPP).
EFFORT = Signal(precision=0.83, recall=0.15, seen=667)
# 660 answers of 11 models to short functions: one had it, and was wrong.
UNFINISHED = Signal(precision=1.0, recall=0.002, seen=1)

_ENOUGH = 10


def doubt_about(answer: Answer, output_tokens: int, usual_tokens: float | None) -> str | None:
    """Evidence that an answer that was not executed is wrong. None: no reliable evidence.

    output_tokens: of the answer, thinking included. usual_tokens: the model's usual number for such tasks.
    None: too few of them were seen.
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
