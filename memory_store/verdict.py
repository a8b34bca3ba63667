"""Verdicts: a model's result on a task, and its weight as evidence."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .decay import age_weight, is_other_build

_STRENGTH = {"executed": 1.0, "word": 0.8, "static": 0.2}
_OTHER_BUILD = 0.25


@dataclass(frozen=True)
class TaskVerdict:
    """A model's result on one task."""

    model: str
    success: float
    """0 to 1."""
    strength: float
    at: float
    """Seconds since 1970 UTC."""
    build: str | None


def verdict_of(model: str, rows: Sequence[tuple[str, float, float, str | None]]) -> TaskVerdict:
    """Combine all evidence on a model from one task into a verdict.

    rows: (kind, success, at, build), at least one, kinds as in the ledger's view `evidence`. A bad user
    report outweighs a passed check. Otherwise executed checks take precedence over user reports, and these
    over static checks; on a tie the newest counts.
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
    """The newest verdict per model in a group of duplicates, with the id of its task."""
    newest: dict[str, tuple[TaskVerdict, str]] = {}
    for task_id in group:
        for verdict in verdicts.get(task_id, ()):
            known = newest.get(verdict.model)
            if known is None or verdict.at > known[0].at:
                newest[verdict.model] = (verdict, task_id)
    return newest.values()


def weight_of(verdict: TaskVerdict, now: dt.datetime, builds: Mapping[str, str | None]) -> float:
    """A verdict's weight relative to an executed check of today, 0 to 1. builds: current builds by profile id."""
    is_other = is_other_build(verdict.build, builds.get(verdict.model))
    return verdict.strength * age_weight(now.timestamp() - verdict.at) * (_OTHER_BUILD if is_other else 1.0)
