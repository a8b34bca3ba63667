"""What a peer answers: a reply, or one of the ways in which vendors fail."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import anyio

_CHARACTERS_PER_TOKEN = 4
_CHARACTERS_PER_PIECE = 24


@dataclass(frozen=True)
class Ask:
    """One request for a reply, as the peer understood it."""

    model: str
    messages: tuple[tuple[str, str], ...]
    """(role, text) in order; the system prompt, if any, comes first with role `system`."""
    body: Mapping[str, Any]
    """The parsed request: the vendor's own form, hence Any."""
    index: int
    """How many requests for a reply came before this one."""


@dataclass(frozen=True)
class Reply:
    """What the model says when nothing cuts it short."""

    text: str
    thinking: str = ""
    thinking_tokens: int | None = None
    """None: counted from `thinking`. Vendors bill more than the summary they show."""
    stop: Literal["end", "length", "refusal"] = "end"
    seconds: float = 0.0
    """How long the pieces take together."""
    load_seconds: float = 0.0
    """What the counters say a cold load took (Ollama); nothing waits for it."""


@dataclass(frozen=True)
class HttpFault:
    """Refuses the request with a status."""

    status: int
    kind: str = ""
    """The vendor's machine-readable word. Empty: the usual one for the status."""
    message: str = "something is wrong"
    body: Mapping[str, Any] | None = None
    """None: the vendor's usual error body."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Cut:
    """Drops the connection after some pieces of the stream."""

    reply: Reply
    after: int = 3


@dataclass(frozen=True)
class Unfinished:
    """Ends the stream cleanly after some pieces, without the vendor's last word."""

    reply: Reply
    after: int = 3


@dataclass(frozen=True)
class ErrorInside:
    """Puts an error into a stream that began with status 200."""

    reply: Reply
    after: int = 3
    status: int = 500
    kind: str = "api_error"
    message: str = "something broke"


@dataclass(frozen=True)
class Garbled:
    """Puts a piece into the stream that is not JSON."""

    reply: Reply
    after: int = 3


@dataclass(frozen=True)
class Stall:
    """Goes silent after some pieces, until the event is set."""

    reply: Reply
    until: anyio.Event
    after: int = 3


StreamFault: TypeAlias = Cut | Unfinished | ErrorInside | Garbled | Stall
Fault: TypeAlias = HttpFault | StreamFault
Answer: TypeAlias = Callable[[Ask], Reply | Fault]


@dataclass(frozen=True)
class Fitted:
    """A reply within a budget of output tokens."""

    thinking: str
    text: str
    thinking_tokens: int
    text_tokens: int
    stop: Literal["end", "length", "refusal"]

    @property
    def output_tokens(self) -> int:
        return self.thinking_tokens + self.text_tokens


def fit(reply: Reply, budget_tokens: int, *, thinks: bool) -> Fitted:
    """The reply as the budget leaves it: thinking comes first and counts, so the text may vanish.

    thinks: False drops the thinking, as a model does whose thinking is off.
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


def pieces(text: str) -> Sequence[str]:
    """The text as it is streamed."""
    return [text[start : start + _CHARACTERS_PER_PIECE] for start in range(0, len(text), _CHARACTERS_PER_PIECE)]


def reply_of(answer: Reply | StreamFault) -> Reply:
    """The reply that a stream carries, or would have carried."""
    return answer if isinstance(answer, Reply) else answer.reply
