"""Each model's newest delegations in real use, with their results.

Evaluations and imported data sets do not count as use; work imported from another ledger does. Repeats of a task,
by its text, are no new evidence: only the latest counts.
"""

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..profiles.vocabulary import TASK_TYPES, TaskType
from .evaluations import LEAST_TOKENS
from .judgement import COST_USD, GOOD_WORDS
from .ledger import Ledger

NEWEST_ATTEMPTS = 1_000
"""Attempts read per model, so that reading takes the same time for any size of ledger."""
_STEP = 250
"""The start of this window advances in steps of so many attempts."""
_LATEST = dt.datetime(2200, 1, 1, tzinfo=dt.UTC).timestamp()


@dataclass(frozen=True)
class Engagement:
    """All of one model's answers in one delegation, repairs included."""

    model: str
    """Profile id."""
    build: str | None
    """Digest and quantization of the weights. None: the vendor does not report them."""
    task_type: TaskType
    complexity: float
    at: float
    """Time of the last request; seconds since 1970 UTC."""
    is_checked: bool | None
    """Whether its answer passed the executed checks. None: none were executed, or none on its own answer."""
    is_accepted: bool | None
    """The user's report; any bad one outweighs good ones. None: no report, or one on another model."""
    was_first: bool
    """Whether no other model answered before it; later models get the tasks at which others failed."""
    was_last: bool
    """Whether no other model answered after it."""
    is_here: bool
    """Whether the work was done with this ledger, not imported."""
    cost_usd: float
    """Settled cost, plus the worst case of unsettled attempts."""
    tokens_per_second: tuple[float, ...]
    """Output speed after the first chunk, for each sufficiently long answer without thinking."""

    @property
    def is_solved(self) -> bool | None:
        """None: not known. A bad report by the user outweighs a passed check."""
        if self.is_accepted is False or self.is_checked is None:
            return self.is_accepted
        return self.is_checked


@dataclass(frozen=True)
class Engagements:
    by_model: Mapping[str, tuple[Engagement, ...]]
    """Oldest first, at least one per model."""
    unsound: int
    """Number of engagements left out because of impossible values."""


async def read_engagements(ledger: Ledger, models: Iterable[str]) -> Engagements:
    """The newest engagements of each model. models: profile ids.

    Pruned and forgotten tasks are excluded. Raises a LedgerError.
    """
    wanted, unsound = set(models), 0
    found: dict[str, tuple[Engagement, ...]] = {}
    for model, count in await ledger.rows("SELECT model, COUNT(*) FROM attempts GROUP BY model"):
        if model in wanted:
            rows = await ledger.rows(_NEWEST, {"model": model, "newest": NEWEST_ATTEMPTS + count % _STEP})
            every = _engagements(model, sorted(map(_Attempt._make, rows), key=lambda a: a.id, reverse=True))
            sound = sorted(filter(_is_sound, every), key=lambda e: e.at)
            unsound += len(every) - len(sound)
            if sound:
                found[model] = tuple(sound)
    return Engagements(found, unsound)


def _is_sound(engagement: Engagement) -> bool:
    """Whether its values are plausible; other programs can write to the ledger."""
    return (
        engagement.task_type in TASK_TYPES
        and 1 <= engagement.complexity <= 10
        and 0 <= engagement.at < _LATEST
        and 0 <= engagement.cost_usd < math.inf
    )


class _Attempt(NamedTuple):
    """A row of `_NEWEST`."""

    task_id: str
    id: int
    at: float
    build: str | None
    outcome: str
    cost_usd: float
    thinking: int
    output_tokens: int
    stream_seconds: float | None
    text: str
    task_type: TaskType
    complexity: float
    elsewhere: int
    was_executed: int
    """Whether any check was executed on any answer to the task."""
    is_accepted: int | None
    """Whether all user reports on its work are good. None: there are none."""
    first_other: int | None
    """Attempt id of the first answer by another model. None: there is none."""
    last_other: int | None

    @property
    def tokens_per_second(self) -> float | None:
        is_telling = not self.thinking and self.output_tokens >= LEAST_TOKENS
        return self.output_tokens / self.stream_seconds if is_telling and self.stream_seconds else None


def _engagements(model: str, attempts: Iterable[_Attempt]) -> list[Engagement]:
    """attempts: newest first."""
    by_task: dict[str, list[_Attempt]] = {}
    for attempt in attempts:
        by_task.setdefault(attempt.task_id, []).append(attempt)
    # Newest last, so that it overwrites older ones with the same text.
    newest = {(tries[0].text, tries[0].build): tries for tries in reversed(by_task.values())}
    return [_engagement(model, tries) for tries in newest.values()]


def _engagement(model: str, attempts: Sequence[_Attempt]) -> Engagement:
    """attempts: all for one task, newest first."""
    newest, oldest = attempts[0], attempts[-1]
    outcomes = {attempt.outcome for attempt in attempts}
    is_known = newest.was_executed and outcomes != {"unverified"}
    return Engagement(
        model=model,
        build=newest.build,
        task_type=newest.task_type,
        complexity=newest.complexity,
        at=newest.at,
        is_checked="passed" in outcomes if is_known else None,
        is_accepted=None if newest.is_accepted is None else bool(newest.is_accepted),
        was_first=newest.first_other is None or oldest.id < newest.first_other,
        was_last=newest.last_other is None or newest.id > newest.last_other,
        is_here=not newest.elsewhere,
        cost_usd=sum(attempt.cost_usd for attempt in attempts),
        tokens_per_second=tuple(s for attempt in attempts if (s := attempt.tokens_per_second) is not None),
    )


# An attempt without an answer (unreachable, interrupted, cancelled) is no evidence about the model.
_ANSWERED = "IN ('passed', 'failed_check', 'unverified', 'truncated', 'refused', 'empty')"
_EXECUTED = "k.executed AND k.outcome IN ('passed', 'failed')"
_OF_ANOTHER = f"FROM attempts o WHERE o.task_id = a.task_id AND o.model <> a.model AND o.outcome {_ANSWERED}"

# CROSS JOIN fixes the join order; otherwise SQLite may scan all delegations.
_NEWEST = f"""
SELECT a.task_id, a.id, a.begun_at, a.build, a.outcome, {COST_USD}, a.thinking,
    a.output_tokens, a.stream_seconds, t.text, t.task_type, t.complexity, t.elsewhere,
    a.outcome = 'passed' OR EXISTS (SELECT 1 FROM checks k WHERE k.attempt_id = a.id AND {_EXECUTED})
        OR EXISTS (SELECT 1 FROM checks k WHERE k.task_id = a.task_id AND {_EXECUTED}),
    CASE WHEN t.model = a.model THEN (SELECT MIN(o.outcome IN {GOOD_WORDS}) FROM outcomes o WHERE o.task_id = t.id) END,
    (SELECT MIN(o.id) {_OF_ANOTHER}), (SELECT MAX(o.id) {_OF_ANOTHER})
FROM (SELECT * FROM attempts WHERE model = :model ORDER BY id DESC LIMIT :newest) a
CROSS JOIN remembered_tasks t ON t.id = a.task_id
WHERE a.outcome {_ANSWERED} AND t.kind = 'delegation' AND t.origin = 'use'
"""  # noqa: S608 - our own words
