"""Separates thinking that a server leaves in the visible text, between `<think>` and `</think>`.

LM Studio, MLX and llama.cpp do so unless configured otherwise. Only a block at the very start counts, because code may
contain these tags.
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
    """Splits a stream into thinking and answer, even where a tag spans several chunks."""

    def __init__(self) -> None:
        self._buffer = ""
        self._state: Literal["start", "inside", "after", "answer"] = "start"

    def take(self, text: str) -> Iterator[Piece]:
        """The pieces that are certain so far. Text that may be part of a tag stays in the buffer."""
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
        """The buffered text, once the stream has ended."""
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
    """How many characters at the end of the text may begin the closing tag."""
    return next((n for n in range(len(_CLOSING) - 1, 0, -1) if text.endswith(_CLOSING[:n])), 0)
