"""What each model passed when it was last measured: one verdict for each task of a suite, the newest.

A task of a suite with another seed is the same task, and measured again it is no new evidence, so that a
model that got worse is known by its next evaluation and not after as many as went before.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ..profiles.vocabulary import TaskType
from .ledger import Ledger

_SECONDS_PER_DAY = 86_400
_HALF_LIFE_DAYS = 90.0
_OTHER_BUILDS = 1.0
"""In tasks: what another build was measured at counts no more than this, all of it together."""
_NEWEST = 1_000
"""Measurements of each model that are looked at; the suite has some fifty tasks."""


@dataclass(frozen=True)
class MeasuredTask:
    """What became of one task of a suite."""

    task_type: TaskType
    complexity: float
    """1 to 10."""
    passed: float
    """Share of the repetitions, 0 to 1."""
    weight: float
    """Beside one of today, 0 to 1."""


@dataclass(frozen=True)
class ModelPassRate:
    """What one model was measured at."""

    verdicts: tuple[MeasuredTask, ...]
    tasks: int
    """Those among them that are of its present build, or whose build nobody knows."""


@dataclass(frozen=True, eq=False)
class PassRates:
    """What all models were measured at. The same object comes again until something changes."""

    models: Mapping[str, ModelPassRate]
    """By profile id; absent: never measured."""


NOTHING_MEASURED = PassRates({})


class PassRateReader:
    """Reads the pass rates, and reads them anew when something was measured, here or in another process."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: tuple[object, PassRates] = (None, NOTHING_MEASURED)

    async def read(self, builds: Mapping[str, str | None], now: float) -> PassRates:
        """The pass rates of these models, as they stood at the ledger's last look.

        builds: what each model is today, by profile id; None: not known, and every build counts. now: seconds
        since 1970 UTC. Raises a LedgerError.
        """
        ((changes,),) = await self._ledger.standing_rows("SELECT changes FROM measuring")
        state = (changes, int(now // _SECONDS_PER_DAY), tuple(sorted(builds.items(), key=lambda item: item[0])))
        if self._known[0] != state:
            self._known = (state, await _read(self._ledger, builds, now) if changes else NOTHING_MEASURED)
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
        today = builds[model]
        is_other = today is not None and build is not None and build != today
        task = item.partition("@")[0]
        rows[model].append(_Row(evaluation_id, task, is_other, task_type, complexity, bool(passed), at))
    return PassRates({model: _measured(of_model, now) for model, of_model in rows.items()})


def _measured(rows: Iterable[_Row], now: float) -> ModelPassRate:
    """rows: of one model, the newest first."""
    by_task: defaultdict[tuple[bool, str], list[_Row]] = defaultdict(list)
    for row in rows:
        by_task[row.is_other_build, row.task].append(row)
    own = [_newest(group, now) for (is_other, _), group in by_task.items() if not is_other]
    others = [_newest(group, now) for (is_other, _), group in by_task.items() if is_other]
    return ModelPassRate((*own, *_held_down(others)), len(own))


def _newest(rows: list[_Row], now: float) -> MeasuredTask:
    """The verdict of the newest evaluation of a task."""
    newest = rows[0]
    repetitions = [row.passed for row in rows if row.evaluation_id == newest.evaluation_id]
    # A clock that was set back makes the past lie ahead: that is new, not more than new.
    age_days = max(0.0, now - newest.at) / _SECONDS_PER_DAY
    return MeasuredTask(
        task_type=newest.task_type,
        complexity=newest.complexity,
        passed=sum(repetitions) / len(repetitions),
        weight=0.5 ** (age_days / _HALF_LIFE_DAYS),
    )


def _held_down(verdicts: list[MeasuredTask]) -> Iterator[MeasuredTask]:
    scale = min(1.0, _OTHER_BUILDS / max(1e-9, sum(verdict.weight for verdict in verdicts)))
    for verdict in verdicts:
        yield replace(verdict, weight=scale * verdict.weight)


# CROSS JOIN: in this order, as in `pace`.
_OF_MODELS = f"""
SELECT e.model, e.build, e.evaluation_id, e.item, e.task_type, e.complexity, e.passed, e.at
FROM json_each(?) m CROSS JOIN measurements e ON e.rowid IN (
    SELECT rowid FROM measurements WHERE model = m.value AND passed IS NOT NULL
    ORDER BY at DESC LIMIT {_NEWEST})
ORDER BY e.at DESC, e.rowid DESC
"""  # noqa: S608 - a constant
