"""Thinking that a server leaves in the visible text, between `<think>` and `</think>`.

LM Studio, MLX and llama.cpp do so unless they are told to keep it apart; only a block at the very start
counts, because code may well hold these words.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

_OPENING, _CLOSING = "<think>", "</think>"


@dataclass(frozen=True)
class Piece:
    kind: Literal["thinking", "answer"]
    text: str


class ThinkTags:
    """Tells the pieces of a stream apart, however the tags fall across them."""

    def __init__(self) -> None:
        self._buffer = ""
        self._state: Literal["start", "inside", "after", "answer"] = "start"

    def take(self, text: str) -> Iterator[Piece]:
        """What is certain by now. What may be part of a tag is held back."""
        self._buffer += text
        if self._state == "start":
            self._begin()
        if self._state == "inside":
            yield from self._think()
        if self._state == "after":
            self._buffer = self._buffer.lstrip()
            self._state = "answer" if self._buffer else "after"
        if self._state == "answer" and self._buffer:
            yield Piece("answer", self._take_buffer())

    def flush(self) -> Iterator[Piece]:
        """What was held back when the stream ended."""
        if self._buffer:
            yield Piece("thinking" if self._state == "inside" else "answer", self._take_buffer())

    def _begin(self) -> None:
        start = self._buffer.lstrip()
        if start.startswith(_OPENING):
            self._buffer, self._state = start.removeprefix(_OPENING), "inside"
        elif not _OPENING.startswith(start):
            self._state = "answer"

    def _think(self) -> Iterator[Piece]:
        thinking, closing, after = self._buffer.partition(_CLOSING)
        if closing:
            self._buffer, self._state = after, "after"
        else:
            certain = len(thinking) - _overlap(thinking)
            thinking, self._buffer = thinking[:certain], thinking[certain:]
        if thinking:
            yield Piece("thinking", thinking)

    def _take_buffer(self) -> str:
        held, self._buffer = self._buffer, ""
        return held


def _overlap(text: str) -> int:
    """How many characters at the end may be the beginning of the closing tag."""
    return next((n for n in range(len(_CLOSING) - 1, 0, -1) if text.endswith(_CLOSING[:n])), 0)
