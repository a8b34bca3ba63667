"""A reply while it arrives, and the check that it is usable when complete."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from ...tools.asking.tokens import BYTES_PER_TOKEN, estimate_tokens
from ...tools.provider import EmptyAnswer, Generation, GenerationRequest, Observer, Progress, Refused, Truncated, Usage

Phase = Literal["waiting", "loading", "thinking", "answering"]
Stop = Literal["complete", "length", "refused"]

Clock = Callable[[], float]
"""A monotonic clock, in seconds."""

_MAX_TOKENS = 100_000_000
_MAX_CHARGE_USD = 1_000.0
"""More than a single request to any model can cost; a higher figure is an error of the vendor."""

_TEMPLATE_TOKENS_PER_TURN = 8
"""A generous estimate of the chat template's overhead per message."""


def estimate_prompt_tokens(request: GenerationRequest) -> int:
    """A generous estimate of the prompt's tokens, including thinking that is sent back."""
    texts = [request.system, *(turn.text for turn in request.turns)]
    sent_back = sum(turn.state_tokens for turn in request.turns)
    return sum(estimate_tokens(text) + _TEMPLATE_TOKENS_PER_TURN for text in texts) + sent_back


def whole_characters(text: str) -> str:
    """The text with the halves of characters joined, and a lone half replaced by U+FFFD, since no request can hold it.

    A half arrives as an escape, from models that write it and from gateways that cut a text by UTF-16 units.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@dataclass(frozen=True)
class ReplyEnding:
    """How a reply ended."""

    stop: Stop
    vendor_state: Any = None
    """Passed back in a repair; opaque, hence Any."""
    load_seconds: float = 0.0
    refusal: str | None = None
    """The vendor's category of a refusal. None: not given."""


class PartialReply:
    """Accumulates a reply piece by piece, and notifies the observer after each."""

    def __init__(self, request: GenerationRequest, observer: Observer, clock: Clock) -> None:
        self._request = request
        self._observer = observer
        self._clock = clock
        self._started = clock()
        self._first_piece: float | None = None
        self.has_begun = False
        """Whether the vendor has begun to answer, even without any text yet. Set by the adapter."""
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._text_bytes = 0
        self._thinking_bytes = 0
        self._phase: Phase = "waiting"
        self._counted: Usage | None = None
        self._has_final_counts = False
        self._charged_usd: float | None = None
        self._prompt_estimate = estimate_prompt_tokens(request)

    @property
    def text(self) -> str:
        return whole_characters("".join(self._text))

    @property
    def thinking(self) -> str:
        return whole_characters("".join(self._thinking))

    def thinking_part_of(self, tokens: int) -> int:
        """How many of these output tokens are thinking, in proportion to the reply's bytes."""
        return tokens * self._thinking_bytes // max(1, self._thinking_bytes + self._text_bytes)

    def enter_phase(self, phase: Phase) -> None:
        """Report the phase that the model is in."""
        self._phase = phase
        self._observer.progressed(Progress(phase, self._usage(), self._has_final_counts))

    def add_thinking(self, piece: str) -> None:
        """Add a piece of thinking."""
        if piece:
            self._mark_first_piece()
            self._thinking.append(piece)
            self._thinking_bytes += len(piece.encode(errors="replace"))
        self.enter_phase("thinking")

    def add_answer(self, piece: str) -> None:
        """Add a piece of the visible answer."""
        if piece:
            self._mark_first_piece()
            self._text.append(piece)
            self._text_bytes += len(piece.encode(errors="replace"))
        self.enter_phase("answering")

    def set_usage(self, usage: Usage, *, is_final: bool = True) -> None:
        """Store the vendor's token counts. Implausible counts are discarded. is_final: they cover the whole output."""
        self._counted = usage if _is_plausible(usage) else None
        self._has_final_counts = is_final and self._counted is not None
        self.enter_phase(self._phase)

    def set_charge(self, cost_usd: float) -> None:
        """Store the vendor's charge in US dollars. An implausible charge is ignored."""
        if 0 <= cost_usd <= _MAX_CHARGE_USD:
            self._charged_usd = cost_usd
            self.enter_phase(self._phase)

    def finish(self, ending: ReplyEnding) -> Generation:
        """The complete reply. Raises Truncated, Refused or EmptyAnswer when it contains no usable answer."""
        generation = Generation(
            text=self.text,
            usage=self._final_usage(),
            seconds=self._clock() - self._started,
            load_seconds=ending.load_seconds,
            first_token_seconds=None if self._first_piece is None else self._first_piece - self._started,
            vendor_state=ending.vendor_state,
        )
        return _usable(generation, ending, self._request)

    def _mark_first_piece(self) -> None:
        if self._first_piece is None:
            self._first_piece = self._clock()

    def _final_usage(self) -> Usage:
        if self._counted is None or not self._has_final_counts:
            return replace(self._usage(), is_estimated=True)
        return replace(self._counted, cost_usd=self._charged_usd)

    def _usage(self) -> Usage:
        """The vendor's counts, raised to at least the estimate for the pieces received so far."""
        thinking = math.ceil(self._thinking_bytes / BYTES_PER_TOKEN)
        output = thinking + math.ceil(self._text_bytes / BYTES_PER_TOKEN)
        usage = self._counted or Usage(input_tokens=self._prompt_estimate, is_estimated=True)
        return replace(
            usage,
            output_tokens=max(usage.output_tokens, output),
            thinking_tokens=max(usage.thinking_tokens, thinking),
            cost_usd=self._charged_usd,
        )


def _is_plausible(usage: Usage) -> bool:
    cached, written = usage.cache_read_tokens, usage.cache_write_tokens
    counts = (usage.input_tokens, usage.output_tokens, usage.thinking_tokens, cached, written)
    return (
        # Gateways that do not know the prompt's tokens yet, or at all, state 0.
        usage.input_tokens > 0
        and all(0 <= count <= _MAX_TOKENS for count in counts)
        and cached + written <= usage.input_tokens
        and usage.thinking_tokens <= usage.output_tokens
    )


def _usable(generation: Generation, ending: ReplyEnding, request: GenerationRequest) -> Generation:
    model, usage = request.profile.id, generation.usage
    if ending.stop == "refused":
        about = f" ({ending.refusal})" if ending.refusal else ""
        raise Refused(f"{model} declined to answer{about}. Rephrase the task, or use another model.", generation)
    is_empty = not generation.text.strip()
    if is_empty and (usage.thinking_tokens or ending.stop == "length"):
        raise EmptyAnswer(
            f"{model} gave no visible answer: thinking took {usage.thinking_tokens} of {usage.output_tokens} output "
            f"tokens (limit {request.max_output_tokens}). Ask for less at once, or use another model.",
            generation,
        )
    if is_empty:
        raise EmptyAnswer(f"{model} gave an empty answer. Ask again, or use another model.", generation)
    if ending.stop == "length":
        raise Truncated(
            f"The answer of {model} was cut after {usage.output_tokens} output tokens, {usage.thinking_tokens} of them "
            f"thinking (limit {request.max_output_tokens}). Ask for less at once, or use another model.",
            generation,
        )
    return generation
