"""Anthropic's check of thinking blocks that are sent back: they are bound to their model and their conversation.

As for accounts created on or after 2026-08-31 (https://platform.claude.com/docs/en/build-with-claude/preserved-thinking
and https://platform.claude.com/docs/en/models/opus-5-5/whats-new-opus-5-5, seen 2026-11-30). Tools are not part of it:
nothing here sends any.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from .anthropic_request import CountRequest, MessagesRequest, TextBlock, ThinkingBlock

_BOUND = (
    "Invalid `signature` in `thinking` block. The block is bound to a different conversation. Remove the block, or set"
    ' `thinking.block_binding.prefix_mismatch_behavior` to "drop_block". That setting requires the'
    " `thinking-binding-controls-2026-08-01` value in the `anthropic-beta` header."
)


@dataclass(frozen=True)
class _Issued:
    model: str
    text: str
    prefix: str
    """The system prompt and all messages before the block, without thinking."""
    follows: str | None
    """The signature of the thinking block before it. None: it is the first."""


class ThinkingBlocks:
    """The thinking blocks that a peer has issued, by signature. Their text may be left out when they are sent back."""

    def __init__(self) -> None:
        self._issued: dict[str, _Issued] = {}

    def issue(self, asked: MessagesRequest, text: str) -> str:
        """Sign a block of thinking that begins the answer to this request."""
        sent_back = [block.signature for _, block in _thinking_in(asked)]
        issued = _Issued(asked.model, text, _prefix(asked, len(asked.messages)), sent_back[-1] if sent_back else None)
        signature = hashlib.sha256(repr((len(self._issued), issued)).encode()).hexdigest()
        self._issued[signature] = issued
        return signature

    def text_of(self, block: ThinkingBlock, model: str) -> str:
        """The thinking that the model reads from a block; empty if another model produced it."""
        issued = self._issued.get(block.signature)
        return issued.text if issued is not None and issued.model == model else ""

    def flaw(self, asked: CountRequest) -> str | None:
        """Why the vendor answers 400. None: every block that its model can read stands where it was produced."""
        before: str | None = None
        for number, block in _thinking_in(asked):
            issued = self._issued.get(block.signature)
            if issued is None:
                return f"messages.{number}: Invalid `signature` in `thinking` block"
            if issued.model != asked.model:
                continue  # dropped without an error
            if issued.prefix != _prefix(asked, number) or (before is not None and issued.follows != before):
                return f"messages.{number}.content.0: {_BOUND}"
            before = block.signature
        return None


def _thinking_in(asked: CountRequest) -> Iterator[tuple[int, ThinkingBlock]]:
    """The thinking blocks in order, each with the position of its message."""
    for number, message in enumerate(asked.messages):
        yield from ((number, block) for block in message.blocks if isinstance(block, ThinkingBlock))


def _prefix(asked: CountRequest, number: int) -> str:
    """What comes before a message, without thinking and cache breakpoints."""
    messages = [
        (message.role, [block.text for block in message.blocks if isinstance(block, TextBlock)])
        for message in asked.messages[:number]
    ]
    return json.dumps([[block.text for block in asked.system_blocks], messages])
