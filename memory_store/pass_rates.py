"""Each model's latest evaluation results: one verdict per task of a suite, the newest.

Another seed or another run of a task replaces its verdict instead of adding evidence, so a model that got worse
shows it at its next evaluation.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ..profiles.vocabulary import TaskType
from .decay import age_weight, is_other_build
from .ledger import Ledger

_SECONDS_PER_DAY = 86_400
_OTHER_BUILDS = 1.0
"""Maximum total weight, in tasks, of all results from other builds."""
_NEWEST = 1_000
"""Measurements read per model; the suite has about fifty tasks."""


@dataclass(frozen=True)
class MeasuredTask:
    """A model's result on one task of a suite."""

    task_type: TaskType
    complexity: float
    """1 to 10."""
    passed: float
    """Share of repetitions passed, 0 to 1."""
    weight: float
    """Weight relative to a result of today, 0 to 1."""


@dataclass(frozen=True)
class ModelPassRate:
    """One model's results."""

    verdicts: tuple[MeasuredTask, ...]
    tasks: int
    """How many of them are from its current build or an unknown one."""


@dataclass(frozen=True, eq=False)
class PassRates:
    """All models' results. The same object is returned until something changes."""

    models: Mapping[str, ModelPassRate]
    """By profile id; absent: never measured."""


NOTHING_MEASURED = PassRates({})


class PassRateReader:
    """Reads pass rates and caches them until new measurements are stored, here or by another process."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: tuple[object, PassRates] = (None, NOTHING_MEASURED)

    async def read(self, builds: Mapping[str, str | None], now: float) -> PassRates:
        """The pass rates of these models, as of the last `Ledger.refresh`.

        builds: each model's current build by profile id; None: not known, so all builds count as current.
        now: seconds since 1970 UTC. Raises a LedgerError.
        """
        ((changes,),) = await self._ledger.cached_rows("SELECT changes FROM measuring")
        if not changes:
            return NOTHING_MEASURED
        state = (changes, int(now // _SECONDS_PER_DAY), tuple(sorted(builds.items(), key=lambda item: item[0])))
        if self._known[0] != state:
            self._known = (state, await _read(self._ledger, builds, now))
        return self._known[1]


@dataclass(frozen=True)
class _Row:
    evaluation_id: str
    task: str
    """The item without its seed."""
    is_other_build: bool
    task_type: TaskType
    complexity: float
    passed: bool
    at: float


async def _read(ledger: Ledger, builds: Mapping[str, str | None], now: float) -> PassRates:
    rows: defaultdict[str, list[_Row]] = defaultdict(list)
    for model, build, evaluation_id, item, task_type, complexity, passed, at in await ledger.rows(
        _OF_MODELS, (json.dumps(sorted(builds)),)
    ):
        is_other, task = is_other_build(build, builds[model]), item.partition("@")[0]
        rows[model].append(_Row(evaluation_id, task, is_other, task_type, complexity, bool(passed), at))
    return PassRates({model: _measured(of_model, now) for model, of_model in rows.items()})


def _measured(rows: Iterable[_Row], now: float) -> ModelPassRate:
    """rows: one model's, newest first."""
    by_task: defaultdict[tuple[bool, str], list[_Row]] = defaultdict(list)
    for row in rows:
        by_task[row.is_other_build, row.task].append(row)
    own = [_newest(group, now) for (is_other, _), group in by_task.items() if not is_other]
    others = [_newest(group, now) for (is_other, _), group in by_task.items() if is_other]
    return ModelPassRate((*own, *_capped(others)), len(own))


def _newest(rows: list[_Row], now: float) -> MeasuredTask:
    """The verdict of a task's newest evaluation."""
    newest = rows[0]
    repetitions = [row.passed for row in rows if row.evaluation_id == newest.evaluation_id]
    return MeasuredTask(
        task_type=newest.task_type,
        complexity=newest.complexity,
        passed=sum(repetitions) / len(repetitions),
        weight=age_weight(now - newest.at),
    )


def _capped(verdicts: list[MeasuredTask]) -> Iterator[MeasuredTask]:
    scale = min(1.0, _OTHER_BUILDS / max(1e-9, sum(verdict.weight for verdict in verdicts)))
    for verdict in verdicts:
        yield replace(verdict, weight=scale * verdict.weight)


# CROSS JOIN fixes the join order, as in `pace`.
_OF_MODELS = f"""
SELECT e.model, e.build, e.evaluation_id, e.item, e.task_type, e.complexity, e.passed, e.at
FROM json_each(?) m CROSS JOIN measurements e ON e.rowid IN (
    SELECT rowid FROM measurements WHERE model = m.value AND passed IS NOT NULL
    ORDER BY at DESC LIMIT {_NEWEST})
ORDER BY e.at DESC, e.rowid DESC
"""  # noqa: S608 - a constant
