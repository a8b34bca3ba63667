"""How fast each model answers on this machine, from its own latest replies."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from .ledger import Ledger

# Our own figures: fewer replies than this prove nothing, older ones fade, and the newest suffice.
LEAST_REPLIES = 3
_HALF_LIFE_S = 14 * 86_400
_NEWEST_REPLIES = 40
_NEAR_COMPLEXITY = 1.0


@dataclass(frozen=True)
class Reply:
    """What one reply took."""

    complexity: float
    """Of its task, 1 to 10."""
    thinking: bool
    prompt_tokens: int
    output_tokens: int
    """Thinking included."""
    load_seconds: float
    first_token_seconds: float
    """From the first byte sent to the first piece, without the load."""
    stream_seconds: float
    """From the first piece to the last."""
    weight: float
    """0 to 1, less with age."""


@dataclass(frozen=True)
class Pace:
    """How fast one model, in one build, answers."""

    replies: tuple[Reply, ...]
    """At least LEAST_REPLIES."""

    @property
    def load_seconds(self) -> float:
        """Of a cold load; 0 when none was seen."""
        return _median([r for r in self.replies if r.load_seconds > 0], lambda r: r.load_seconds) or 0.0

    def first_token_seconds(self, *, thinking: bool) -> float:
        return _median(self._like(thinking=thinking), lambda r: r.first_token_seconds) or 0.0

    def prompt_tokens(self) -> float:
        """Of a usual prompt, with thinking and without."""
        return _median(self.replies, lambda r: r.prompt_tokens) or 0.0

    def seconds_per_token(self, *, thinking: bool) -> float:
        """Of output, once the first piece is there."""
        like = self._like(thinking=thinking)
        return _median(like, lambda r: r.stream_seconds / max(1, r.output_tokens)) or 0.0

    def output_tokens(self, complexity: float, *, thinking: bool) -> float | None:
        """What it usually takes for tasks of about this complexity. None: too few of them were seen."""
        near = [
            r for r in self.replies if r.thinking == thinking and abs(r.complexity - complexity) <= _NEAR_COMPLEXITY
        ]
        return _median(near, lambda r: r.output_tokens) if len(near) >= LEAST_REPLIES else None

    def _like(self, *, thinking: bool) -> Iterable[Reply]:
        """The replies with, or without, thinking where there are enough: hidden thinking shifts the first piece."""
        like = [r for r in self.replies if r.thinking == thinking]
        return like if len(like) >= LEAST_REPLIES else self.replies


async def read_paces(ledger: Ledger, builds: Mapping[str, str | None], now: float) -> dict[str, Pace]:
    """The pace of each model of which enough is known, by profile id, as of the ledger's last look.

    builds: what each model is today, by profile id; replies of another build do not count. now: seconds
    since 1970 UTC.
    """
    rows = await ledger.standing_rows(_NEWEST, (json.dumps(sorted(builds)),))
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
        weight=0.5 ** (max(0.0, now - begun_at) / _HALF_LIFE_S),
    )


def _median(replies: Iterable[Reply], figure: Callable[[Reply], float]) -> float | None:
    """The middle of the figures by weight; None when there are none."""
    figures = sorted((figure(reply), reply.weight) for reply in replies)
    half, passed = sum(weight for _, weight in figures) / 2, 0.0
    for value, weight in figures:
        passed += weight
        if passed >= half:
            return value
    return None


# CROSS JOIN: in this order. Left to itself SQLite 3.40 goes through all delegations, 30 ms for 100,000.
_NEWEST = f"""
SELECT a.model, a.build, a.begun_at, t.complexity, a.thinking, a.input_tokens, a.output_tokens, a.load_seconds,
    a.first_token_seconds, a.stream_seconds
FROM json_each(?) m CROSS JOIN attempts a ON a.id IN (
    SELECT id FROM attempts WHERE model = m.value AND first_token_seconds IS NOT NULL
    ORDER BY id DESC LIMIT {_NEWEST_REPLIES})
CROSS JOIN tasks t ON t.id = a.task_id WHERE t.kind = 'delegation' AND a.output_tokens > 0
"""  # noqa: S608 - a constant
