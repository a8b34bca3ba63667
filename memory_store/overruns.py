"""Estimates minimum reply times from requests that timed out on this machine."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .ledger import Ledger

# Our own estimates. Overruns expire, since the machine may have been busy, and only the newest replies count.
_EXPIRES_AFTER_S = 7 * 86_400
_NEWEST = 40
_NEAR_COMPLEXITY = 1.0
# We overestimate a prompt's tokens; vendors may count half as many.
_NEAR_PROMPT = 2.0
# A call with barely more time would probably time out too.
_MARGIN = 1.25


@dataclass(frozen=True)
class Overrun:
    """A request that timed out without an answer."""

    complexity: float
    """The task's complexity, 1 to 10."""
    thinking: bool
    prompt_tokens: int
    seconds: float
    """Time limit that it exceeded."""

    def applies_to(self, complexity: float, *, thinking: bool, prompt_tokens: int) -> bool:
        """Whether a reply to this kind of task is likely to take at least as long."""
        return (
            complexity >= self.complexity - _NEAR_COMPLEXITY
            and (thinking or not self.thinking)
            and prompt_tokens * _NEAR_PROMPT >= self.prompt_tokens
        )


def least_seconds(
    overruns: Sequence[Overrun], complexity: float, *, thinking: bool, prompt_tokens: int
) -> float | None:
    """The least time to allow for a reply, with a margin. None: no overrun applies to this kind of task."""
    of_such = (o for o in overruns if o.applies_to(complexity, thinking=thinking, prompt_tokens=prompt_tokens))
    longest = max((overrun.seconds for overrun in of_such), default=None)
    return None if longest is None else longest * _MARGIN


async def read_overruns(ledger: Ledger, builds: Mapping[str, str | None], now: float) -> dict[str, tuple[Overrun, ...]]:
    """Recent overruns per profile id, for models with any, as of the last `Ledger.refresh`.

    A later, faster reply to a comparable task cancels an overrun. builds: each model's current build by profile
    id; overruns of other builds are ignored. now: seconds since 1970 UTC.
    """
    rows = await ledger.cached_rows(_ENDED, (json.dumps(sorted(builds)),))
    found: dict[str, list[Overrun]] = {}
    for model, build, begun_at, has_answered, complexity, thinking, prompt_tokens, seconds in rows:
        if build != builds[model]:
            continue
        earlier = found.setdefault(model, [])
        if not has_answered:
            if now - begun_at <= _EXPIRES_AFTER_S:
                earlier.append(Overrun(complexity, bool(thinking), prompt_tokens, seconds))
            continue
        earlier[:] = [
            overrun
            for overrun in earlier
            if seconds >= overrun.seconds
            or not overrun.applies_to(complexity, thinking=bool(thinking), prompt_tokens=prompt_tokens)
        ]
    return {model: tuple(overruns) for model, overruns in found.items() if overruns}


# CROSS JOIN fixes the join order, as in `pace`. An attempt whose checks timed out has a first token.
_ENDED = f"""
SELECT a.model, a.build, a.begun_at, a.first_token_seconds IS NOT NULL, t.complexity, a.thinking, a.input_tokens,
    a.seconds
FROM json_each(?) m CROSS JOIN attempts a ON a.id IN (
    SELECT id FROM attempts WHERE model = m.value AND (first_token_seconds IS NOT NULL OR outcome = 'timeout')
    ORDER BY id DESC LIMIT {_NEWEST})
CROSS JOIN tasks t ON t.id = a.task_id WHERE t.kind = 'delegation' AND a.seconds IS NOT NULL ORDER BY a.id
"""  # noqa: S608 - a constant
