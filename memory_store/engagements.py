"""What each model was asked in use, and what came of it: the newest delegations of each, read as values.

Evaluations and imported data sets are no use; work that another ledger did and this one imported is. The same task
again, by its text, is no new evidence: what came of it last counts.
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
"""So many of each model are looked at: a ledger of any size is read in the same time."""
_STEP = 250
"""The begin of what is looked at moves by so many attempts at a time, and stays where it is in between."""
_LATEST = dt.datetime(2200, 1, 1, tzinfo=dt.UTC).timestamp()


@dataclass(frozen=True)
class Engagement:
    """One model's part in one delegation: all that it answered there, repairs too."""

    model: str
    """Profile id."""
    build: str | None
    """Digest and quantization of the weights. None: the vendor does not say."""
    task_type: TaskType
    complexity: float
    at: float
    """When it was asked last; seconds since 1970 UTC."""
    is_checked: bool | None
    """Whether its answer passed what was executed on answers to this task. None: nothing was, or not on its own."""
    is_accepted: bool | None
    """The user's word on it: a bad one outweighs all good ones. None: there is none, or it is on another model."""
    was_first: bool
    """Whether no other model had answered before: who comes later gets what others failed at."""
    was_last: bool
    """Whether no other model answered after it."""
    is_here: bool
    """Whether this ledger's own machine did it."""
    cost_usd: float
    """Settled cost, and the worst case of what is not settled."""
    tokens_per_second: tuple[float, ...]
    """Of each answer without thinking that was long enough, once its first piece was there."""

    @property
    def is_solved(self) -> bool | None:
        """None: nobody knows. The user's bad word outweighs a check that passed: the check missed something."""
        if self.is_accepted is False or self.is_checked is None:
            return self.is_accepted
        return self.is_checked


@dataclass(frozen=True)
class Engagements:
    by_model: Mapping[str, tuple[Engagement, ...]]
    """The oldest first, at least one for each model."""
    unsound: int
    """How many hold what cannot be: they are left out."""


async def read_engagements(ledger: Ledger, models: Iterable[str]) -> Engagements:
    """The newest engagements of each model. models: profile ids.

    Pruned and forgotten tasks are not among them. Raises a LedgerError.
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
    """Whether it can be true; whoever may write to the ledger may write nonsense."""
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
    """Whether anything was executed on any answer to the task."""
    is_accepted: int | None
    """Whether all of the user's words on its work are good. None: there is none."""
    first_other: int | None
    """The first answer of another model to the task, as an id. None: there is none."""
    last_other: int | None

    @property
    def tokens_per_second(self) -> float | None:
        is_telling = not self.thinking and self.output_tokens >= LEAST_TOKENS
        return self.output_tokens / self.stream_seconds if is_telling and self.stream_seconds else None


def _engagements(model: str, attempts: Iterable[_Attempt]) -> list[Engagement]:
    """attempts: the newest first."""
    by_task: dict[str, list[_Attempt]] = {}
    for attempt in attempts:
        by_task.setdefault(attempt.task_id, []).append(attempt)
    # The newest last, so that of several with one text it is the one that stays.
    newest = {(tries[0].text, tries[0].build): tries for tries in reversed(by_task.values())}
    return [_engagement(model, tries) for tries in newest.values()]


def _engagement(model: str, attempts: Sequence[_Attempt]) -> Engagement:
    """attempts: all of one task, the newest first."""
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


# An attempt without an answer (nobody there, cut short, cancelled) says nothing of the model.
_ANSWERED = "IN ('passed', 'failed_check', 'unverified', 'truncated', 'refused', 'empty')"
_EXECUTED = "k.executed AND k.outcome IN ('passed', 'failed')"
_OF_ANOTHER = f"FROM attempts o WHERE o.task_id = a.task_id AND o.model <> a.model AND o.outcome {_ANSWERED}"

# CROSS JOIN: in this order. Left to itself SQLite may go through all delegations.
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
