"""What one task says of one model, and how much that counts."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_STRENGTH = {"executed": 1.0, "word": 0.8, "static": 0.2}
HALF_LIFE_DAYS = 90.0
"""Our own estimate: models, prompts and projects change over months, and nothing here measures it yet."""
_OTHER_BUILD = 0.25
_SECONDS_PER_DAY = 86_400.0


@dataclass(frozen=True)
class TaskVerdict:
    """How a model did on one task."""

    model: str
    success: float
    """0 to 1."""
    strength: float
    at: float
    """Seconds since 1970 UTC."""
    build: str | None


def verdict_of(model: str, rows: Sequence[tuple[str, float, float, str | None]]) -> TaskVerdict:
    """The one verdict of a task on a model.

    rows: (kind, success, at, build), at least one, kinds as in the ledger's view `evidence`. The user's
    bad word outweighs a check that passed: the check missed something. Otherwise what was executed
    comes first, then the word, then static findings; among equals the newest.
    """
    if len(rows) == 1:
        kind, success, at, build = rows[0]
        return TaskVerdict(model, success, _STRENGTH[kind], at, build)
    build = next((build for *_, build in sorted(rows, key=lambda row: -row[2]) if build is not None), None)
    bad_words = [row for row in rows if row[0] == "word" and row[1] < 0.5]
    has_failed = any(kind == "executed" and success < 0.5 for kind, success, *_ in rows)
    candidates = bad_words if bad_words and not has_failed else rows
    kind, success, at, _ = max(candidates, key=lambda row: (_STRENGTH[row[0]], row[2]))
    return TaskVerdict(model, success, _STRENGTH[kind], at, build)


def newest(group: Sequence[str], verdicts: Mapping[str, Sequence[TaskVerdict]]) -> Iterable[tuple[TaskVerdict, str]]:
    """The newest verdict of a group on each model, and the task it is from."""
    newest: dict[str, tuple[TaskVerdict, str]] = {}
    for task_id in group:
        for verdict in verdicts.get(task_id, ()):
            known = newest.get(verdict.model)
            if known is None or verdict.at > known[0].at:
                newest[verdict.model] = (verdict, task_id)
    return newest.values()


def weight_of(verdict: TaskVerdict, now: dt.datetime, builds: Mapping[str, str | None]) -> float:
    """What a verdict counts beside one that was executed today, 0 to 1. builds: today's, by profile id."""
    # A clock that was set back makes the past lie ahead: that is new, not more than new.
    age_days = max(0.0, now.timestamp() - verdict.at) / _SECONDS_PER_DAY
    today = builds.get(verdict.model)
    is_other = today is not None and verdict.build is not None and verdict.build != today
    return verdict.strength * 0.5 ** (age_days / HALF_LIFE_DAYS) * (_OTHER_BUILD if is_other else 1.0)
