"""A peer's scripted answers: a reply, or one of the ways in which vendors fail."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import anyio

_CHARACTERS_PER_TOKEN = 4
_CHARACTERS_PER_PIECE = 24


@dataclass(frozen=True)
class Ask:
    """One request for a reply, as parsed by the peer."""

    model: str
    messages: tuple[tuple[str, str], ...]
    """(role, text) in order; the system prompt, if any, comes first with role `system`."""
    body: Mapping[str, Any]
    """The parsed request, in the vendor's format (hence Any)."""
    index: int
    """Number of earlier requests for a reply."""


@dataclass(frozen=True)
class Reply:
    """A reply before any limit applies."""

    text: str
    thinking: str = ""
    thinking_tokens: int | None = None
    """None: counted from `thinking`. Vendors bill more tokens than the summary that they show has."""
    stop: Literal["end", "length", "refusal"] = "end"
    refusal_category: str = "cyber"
    """Why it is refused (Anthropic)."""
    seconds: float = 0.0
    """Total duration of the stream."""
    load_seconds: float = 0.0
    """Reported duration of a cold load (Ollama); it is not waited for."""


@dataclass(frozen=True)
class HttpFault:
    """Refuse the request with an HTTP status."""

    status: int
    kind: str = ""
    """The vendor's error code. Empty: the usual one for the status."""
    message: str = "something is wrong"
    body: Mapping[str, Any] | None = None
    """None: the vendor's usual error body."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Cut:
    """Drop the connection after some pieces of the stream."""

    reply: Reply
    after: int = 3


@dataclass(frozen=True)
class Unfinished:
    """End the stream cleanly after some pieces, without the vendor's final event."""

    reply: Reply
    after: int = 3


@dataclass(frozen=True)
class ErrorInside:
    """Send an error inside a stream that began with status 200."""

    reply: Reply
    after: int = 3
    status: int = 500
    kind: str = "api_error"
    message: str = "something broke"


@dataclass(frozen=True)
class Garbled:
    """Insert invalid JSON into the stream."""

    reply: Reply
    after: int = 3


@dataclass(frozen=True)
class Stall:
    """Pause after some pieces, until the event is set."""

    reply: Reply
    until: anyio.Event
    after: int = 3


StreamFault: TypeAlias = Cut | Unfinished | ErrorInside | Garbled | Stall
Fault: TypeAlias = HttpFault | StreamFault
Answer: TypeAlias = Callable[[Ask], Reply | Fault]


@dataclass(frozen=True)
class Fitted:
    """A reply truncated to a limit of output tokens."""

    thinking: str
    text: str
    thinking_tokens: int
    text_tokens: int
    stop: Literal["end", "length", "refusal"]

    @property
    def output_tokens(self) -> int:
        return self.thinking_tokens + self.text_tokens


def fit(reply: Reply, budget_tokens: int, *, thinks: bool) -> Fitted:
    """Truncate the reply to the budget. Thinking comes first and counts, so no text may be left.

    thinks: False drops the thinking, as if it were turned off.
    """
    thinking = reply.thinking if thinks else ""
    wanted = count_tokens(thinking) if reply.thinking_tokens is None else reply.thinking_tokens
    thinking_tokens = min(wanted if thinks else 0, budget_tokens)
    text = reply.text[: (budget_tokens - thinking_tokens) * _CHARACTERS_PER_TOKEN]
    is_cut = (thinks and thinking_tokens < wanted) or len(text) < len(reply.text)
    return Fitted(
        thinking=thinking[: thinking_tokens * _CHARACTERS_PER_TOKEN],
        text=text,
        thinking_tokens=thinking_tokens,
        text_tokens=count_tokens(text),
        stop="length" if is_cut else reply.stop,
    )


def count_tokens(text: str) -> int:
    """The peers' own tokenizer: four characters each, the last one shorter."""
    return math.ceil(len(text) / _CHARACTERS_PER_TOKEN)


def padded(text: str, tokens: int) -> str:
    """The text, lengthened to so many tokens if it has fewer."""
    return text.ljust(tokens * _CHARACTERS_PER_TOKEN, ".")


def pieces(text: str) -> Sequence[str]:
    """The text in chunks, as it is streamed."""
    return [text[start : start + _CHARACTERS_PER_PIECE] for start in range(0, len(text), _CHARACTERS_PER_PIECE)]


def reply_of(answer: Reply | StreamFault) -> Reply:
    """The reply that a stream carries, or would have carried."""
    return answer if isinstance(answer, Reply) else answer.reply
