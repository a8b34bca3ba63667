"""The events of a streamed answer in Anthropic's form, and their accumulation.

Gateways speak this form too, and leave out what the vendor always sends: counters, signatures, the start of a block.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ...tools.provider import Usage
from .reply import PartialReply, ReplyEnding, Stop, whole_characters

_STOPS: dict[str, Stop] = {
    "end_turn": "complete",
    "stop_sequence": "complete",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refused",
}

# Refusals that are billed even if they come before any output ("How refusals are billed",
# https://platform.claude.com/docs/en/build-with-claude/refusals-and-fallback, seen 2026-11-30).
_BILLED_REFUSALS = frozenset({"bio", "frontier_llm", "reasoning_extraction"})

# For inference in the US alone, which a workspace can have as its default
# (https://platform.claude.com/docs/en/manage-claude/data-residency, seen 2026-11-30).
_PRICE_FACTORS = {"us": 1.1}

_SENT_BACK = {
    "text": ("type", "text"),
    "thinking": ("type", "thinking", "signature"),
    "redacted_thinking": ("type", "data"),
}
"""The fields that the vendor accepts in a later request, by the type of a block; the last may not be empty."""


class _Part(BaseModel):
    # The SDK does not validate responses: its objects may hold anything, or lack what they declare.
    model_config = ConfigDict(extra="ignore", frozen=True)


class _OutputDetails(_Part):
    thinking_tokens: int | None = None


class _Counters(_Part):
    """Token counts; None: not stated. The prompt is the sum of fresh, cache-read and cache-written tokens."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None
    inference_geo: str | None = None


class _StopDetails(_Part):
    category: str | None = None


class Message(_Part):
    """A complete message, or the empty one that a stream begins with."""

    content: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    usage: _Counters | None = None
    stop_reason: str | None = None
    stop_details: _StopDetails | None = None


class _Delta(_Part):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    stop_reason: str | None = None
    stop_details: _StopDetails | None = None


class Event(_Part):
    """An event of the stream, reduced to the fields that matter here."""

    type: str
    index: int = 0
    message: Message = Message()
    content_block: dict[str, Any] = Field(default_factory=dict[str, Any])
    delta: _Delta = _Delta()
    usage: _Counters | None = None


@dataclass(frozen=True)
class Blocks:
    """An answer's content blocks as received, signatures included. Only for the model that produced them."""

    model: str
    blocks: tuple[Mapping[str, Any], ...]


@dataclass
class PartialMessage:
    """The blocks and token counters of a message while its events arrive."""

    blocks: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    usage: Usage = field(default_factory=Usage)
    stop_reason: str | None = None
    refusal: str | None = None
    has_ended: bool = False

    @property
    def is_whole(self) -> bool:
        return self.has_ended and self.stop_reason is not None

    def ending(self, model: str, reply: PartialReply) -> ReplyEnding:
        """How the message ended; a refusal that is not billed is charged nothing, though its tokens are counted."""
        if self.stop_reason == "refusal" and not self.blocks and self.refusal not in _BILLED_REFUSALS:
            reply.set_charge(0.0)
        return ReplyEnding(
            stop=_STOPS.get(self.stop_reason or "", "complete"),
            vendor_state=Blocks(model, self.finished_blocks()),
            refusal=self.refusal,
        )

    def take_whole(self, message: Message, reply: PartialReply) -> None:
        """Take a complete, unstreamed message."""
        for index, block in enumerate(message.content):
            self.blocks[index] = block
            if block.get("type") == "text":
                reply.add_answer(block["text"])
            elif block.get("type") == "thinking":
                reply.add_thinking(block["thinking"])
        self._count(message.usage, reply, is_final=True)
        self._stopped(message.stop_reason, message.stop_details)

    def take(self, event: Event, reply: PartialReply) -> None:
        """Apply one event. Blocks are distinguished by type, not by order: thinking is optional and comes first."""
        match event.type:
            case "message_start":
                self._count(event.message.usage, reply, is_final=False)
            case "content_block_start":
                self.blocks[event.index] = dict(event.content_block)
                if event.content_block.get("type") in ("thinking", "redacted_thinking"):
                    reply.add_thinking("")
            case "content_block_delta":
                self._extend(event.index, event.delta, reply)
            case "message_delta":
                self._count(event.usage, reply, is_final=True)
                self._stopped(event.delta.stop_reason, event.delta.stop_details)
            case "message_stop":
                self.has_ended = True
            case _:
                pass  # `content_block_stop` adds nothing; events of later API versions are ignored

    def finished_blocks(self) -> tuple[Mapping[str, Any], ...]:
        """The blocks in order, in the form that the vendor accepts in a later request; it refuses unsigned thinking."""
        kept: list[Mapping[str, Any]] = []
        for block in (self.blocks[index] for index in sorted(self.blocks)):
            names = _SENT_BACK.get(block.get("type", ""))
            if names is not None and block.get(names[-1]):
                values = {name: block.get(name, "") for name in names}
                kept.append({k: whole_characters(v) if isinstance(v, str) else v for k, v in values.items()})
        return tuple(kept)

    def _stopped(self, reason: str | None, details: _StopDetails | None) -> None:
        self.stop_reason = reason
        if details is not None:
            self.refusal = details.category

    def _extend(self, index: int, delta: _Delta, reply: PartialReply) -> None:
        match delta.type:
            case "text_delta":
                self._append(index, "text", delta.text or "")
                reply.add_answer(delta.text or "")
            case "thinking_delta":
                self._append(index, "thinking", delta.thinking or "")
                reply.add_thinking(delta.thinking or "")
            case "signature_delta":
                self.blocks.setdefault(index, {"type": "thinking"})["signature"] = delta.signature
            case _:
                pass

    def _append(self, index: int, kind: str, piece: str) -> None:
        block = self.blocks.setdefault(index, {"type": kind})
        block[kind] = (block.get(kind) or "") + piece

    def _count(self, counters: _Counters | None, reply: PartialReply, *, is_final: bool) -> None:
        if counters is None:
            return
        known = self.usage
        read, written = counters.cache_read_input_tokens or 0, counters.cache_creation_input_tokens or 0
        details = counters.output_tokens_details
        price_factor = _PRICE_FACTORS.get(counters.inference_geo or "", known.price_factor)
        states_prompt = counters.input_tokens is not None
        self.usage = Usage(
            input_tokens=(counters.input_tokens or 0) + read + written if states_prompt else known.input_tokens,
            output_tokens=known.output_tokens if counters.output_tokens is None else counters.output_tokens,
            thinking_tokens=(details.thinking_tokens or 0) if details is not None else 0,
            cache_read_tokens=read if states_prompt else known.cache_read_tokens,
            cache_write_tokens=written if states_prompt else known.cache_write_tokens,
            price_factor=price_factor,
        )
        reply.set_usage(self.usage, is_final=is_final and counters.output_tokens is not None)
