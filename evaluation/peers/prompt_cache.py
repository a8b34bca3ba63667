"""Prompt caching as Anthropic bills it: prefixes that end at a cache breakpoint are cached."""

from collections.abc import Sequence
from dataclasses import dataclass

from .reply import count_tokens

_LEAST_CACHEABLE_TOKENS = 512
"""Shorter prefixes are processed uncached, without an error
(https://platform.claude.com/docs/en/models/opus-5-5/whats-new-opus-5-5, seen 2026-11-30)."""


@dataclass(frozen=True)
class CacheCount:
    """A prompt's tokens by billing category."""

    fresh_tokens: int
    written_tokens: int
    read_tokens: int

    @property
    def input_tokens(self) -> int:
        return self.fresh_tokens + self.written_tokens + self.read_tokens


class PromptCache:
    """The marked prefixes of earlier prompts. Entries never expire."""

    def __init__(self) -> None:
        self._known: set[tuple[str, ...]] = set()

    def count(self, segments: Sequence[tuple[str, bool]]) -> CacheCount:
        """Count a prompt and cache its marked prefixes. segments: (text, ends with a breakpoint)."""
        texts = tuple(text for text, _ in segments)
        tokens = [count_tokens(text) for text in texts]
        marked = [end for end, (_, mark) in enumerate(segments, 1) if mark]
        marked = [end for end in marked if sum(tokens[:end]) >= _LEAST_CACHEABLE_TOKENS]
        last = max(marked, default=0)
        known = max((end for end in range(1, last + 1) if texts[:end] in self._known), default=0)
        self._known.update(texts[:end] for end in marked)
        read, cached = sum(tokens[:known]), sum(tokens[:last])
        return CacheCount(fresh_tokens=sum(tokens) - cached, written_tokens=cached - read, read_tokens=read)
