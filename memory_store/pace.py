"""How fast each model answers on this machine, from its recent replies."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from .decay import age_weight
from .ledger import Ledger

# Our own estimates: the minimum of replies, the decay of old ones, and how many of the newest to read.
LEAST_REPLIES = 3
_HALF_LIFE_DAYS = 14
_NEWEST_REPLIES = 40
_NEAR_COMPLEXITY = 1.0


@dataclass(frozen=True)
class Reply:
    """Time and tokens of one reply."""

    complexity: float
    """The task's complexity, 1 to 10."""
    thinking: bool
    prompt_tokens: int
    output_tokens: int
    """Thinking included."""
    load_seconds: float
    first_token_seconds: float
    """From the first byte sent to the first chunk, without loading the model."""
    stream_seconds: float
    """From the first chunk to the last."""
    weight: float
    """0 to 1, decreasing with age."""


@dataclass(frozen=True)
class Pace:
    """How fast one build of a model answers; all figures are weighted medians."""

    replies: tuple[Reply, ...]
    """At least LEAST_REPLIES."""

    @property
    def load_seconds(self) -> float:
        """Time of a cold load; 0 when none was seen."""
        return _median([r for r in self.replies if r.load_seconds > 0], lambda r: r.load_seconds) or 0.0

    def first_token_seconds(self, *, thinking: bool) -> float:
        return _median(self._like(thinking=thinking), lambda r: r.first_token_seconds) or 0.0

    def prompt_tokens(self) -> float:
        """Typical prompt length, with and without thinking."""
        return _median(self.replies, lambda r: r.prompt_tokens) or 0.0

    def seconds_per_token(self, *, thinking: bool) -> float:
        """Time per output token after the first chunk."""
        like = self._like(thinking=thinking)
        return _median(like, lambda r: r.stream_seconds / max(1, r.output_tokens)) or 0.0

    def thinking_tokens_per_second(self) -> float | None:
        """Output tokens per second of whole replies with thinking, from request to end. None: too few replies."""
        like = [r for r in self.replies if r.thinking and r.first_token_seconds + r.stream_seconds > 0]
        if len(like) < LEAST_REPLIES:
            return None
        return _median(like, lambda r: r.output_tokens / (r.first_token_seconds + r.stream_seconds))

    def output_tokens(self, complexity: float, *, thinking: bool) -> float | None:
        """Typical output for tasks of about this complexity. None: too few replies."""
        near = [
            r for r in self.replies if r.thinking == thinking and abs(r.complexity - complexity) <= _NEAR_COMPLEXITY
        ]
        return _median(near, lambda r: r.output_tokens) if len(near) >= LEAST_REPLIES else None

    def _like(self, *, thinking: bool) -> Iterable[Reply]:
        """Replies with the same thinking mode, else all if too few: hidden thinking delays the first chunk."""
        like = [r for r in self.replies if r.thinking == thinking]
        return like if len(like) >= LEAST_REPLIES else self.replies


async def read_paces(ledger: Ledger, builds: Mapping[str, str | None], now: float) -> dict[str, Pace]:
    """The pace of each model with enough replies, by profile id, as of the last `Ledger.refresh`.

    builds: each model's current build by profile id; replies of other builds are ignored. now: seconds since
    1970 UTC.
    """
    rows = await ledger.cached_rows(_NEWEST, (json.dumps(sorted(builds)),))
    replies: dict[str, list[Reply]] = {}
    for model, build, begun_at, *facts in rows:
        if build == builds[model]:
            replies.setdefault(model, []).append(_reply(begun_at, now, *facts))
    return {model: Pace(tuple(seen)) for model, seen in replies.items() if len(seen) >= LEAST_REPLIES}


def _reply(
    begun_at: float,
    now: float,
    complexity: float,
    thinking: int,
    prompt: int,
    output: int,
    load_seconds: float,
    first_seconds: float,
    stream_seconds: float,
) -> Reply:
    return Reply(
        complexity=complexity,
        thinking=bool(thinking),
        prompt_tokens=prompt,
        output_tokens=output,
        load_seconds=load_seconds,
        first_token_seconds=max(0.0, first_seconds - load_seconds),
        stream_seconds=stream_seconds,
        weight=age_weight(now - begun_at, _HALF_LIFE_DAYS),
    )


def _median(replies: Iterable[Reply], figure: Callable[[Reply], float]) -> float | None:
    """The weighted median; None without replies."""
    figures = sorted((figure(reply), reply.weight) for reply in replies)
    half, passed = sum(weight for _, weight in figures) / 2, 0.0
    for value, weight in figures:
        passed += weight
        if passed >= half:
            return value
    return None


# CROSS JOIN fixes the join order; otherwise SQLite 3.40 scans all delegations, 30 ms for 100,000.
_NEWEST = f"""
SELECT a.model, a.build, a.begun_at, t.complexity, a.thinking, a.input_tokens, a.output_tokens, a.load_seconds,
    a.first_token_seconds, a.stream_seconds
FROM json_each(?) m CROSS JOIN attempts a ON a.id IN (
    SELECT id FROM attempts WHERE model = m.value AND first_token_seconds IS NOT NULL
    ORDER BY id DESC LIMIT {_NEWEST_REPLIES})
CROSS JOIN tasks t ON t.id = a.task_id WHERE t.kind = 'delegation' AND a.output_tokens > 0
"""  # noqa: S608 - a constant
