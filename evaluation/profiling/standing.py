"""Evaluation results by model, of its newest build only: items, speed and cost."""

import datetime as dt
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...memory_store.evaluations import Measurement
from ...profiles.vocabulary import TASK_TYPES, TaskType
from .statistics import Count

_KIND = re.compile(r"[a-z][a-z0-9_]{0,39}")
_LATEST = dt.datetime(2200, 1, 1, tzinfo=dt.UTC).timestamp()


@dataclass(frozen=True)
class Item:
    """One model's result on one task of a suite."""

    id: str
    kind: str
    task_type: TaskType
    complexity: float
    passed: float
    """Mean over all repetitions, 0 to 1, so that asking an item again adds no evidence."""

    @property
    def name(self) -> str:
        """The id without its seed: items with the same name are variations of one task."""
        return self.id.partition("@")[0]


@dataclass(frozen=True)
class Standing:
    model: str
    build: str | None
    items: Mapping[str, Item]
    tokens_per_second: tuple[float, ...]
    """One per answer that was long enough to measure, slowest first."""
    seconds: tuple[float, ...]
    """One per answer, shortest first; unknown, and left out, for answers from a batch."""
    cost_usd: float
    seen: dt.date
    """Of the newest measurement."""
    source: str

    def count(self, wanted: Callable[[Item], bool] = lambda _: True) -> Count:
        return count_of(filter(wanted, self.items.values()))

    @property
    def usd_per_solved(self) -> float | None:
        """None: no item was solved."""
        solved = self.count().passed
        return self.cost_usd / solved if solved else None


@dataclass(frozen=True)
class Standings:
    by_model: Mapping[str, Standing]
    unsound: int
    """Number of measurements left out because they hold impossible values."""


def standings(rows: Iterable[Measurement]) -> Standings:
    """Results by model. rows: oldest first; those of older builds are left out."""
    by_model: dict[str, list[Measurement]] = {}
    unsound = 0
    for row in rows:
        if not _is_sound(row):
            unsound += 1
        elif row.passed is not None:
            by_model.setdefault(row.model, []).append(row)
    return Standings({model: _standing(model, mine) for model, mine in by_model.items()}, unsound)


def count_of(items: Iterable[Item]) -> Count:
    """The number of items, and the sum of their pass rates."""
    passed = [item.passed for item in items]
    return Count(sum(passed), len(passed))


def _standing(model: str, rows: Sequence[Measurement]) -> Standing:
    build = rows[-1].build
    rows = [row for row in rows if row.build == build]
    newest = rows[-1]
    by_item: dict[str, list[Measurement]] = {}
    for row in rows:
        by_item.setdefault(row.item, []).append(row)
    earlier = len({row.evaluation_id for row in rows}) - 1
    return Standing(
        model=model,
        build=build,
        items={
            name: Item(name, r[-1].kind, r[-1].task_type, r[-1].complexity, sum(bool(x.passed) for x in r) / len(r))
            for name, r in by_item.items()
        },
        tokens_per_second=tuple(sorted(speed for row in rows if (speed := row.tokens_per_second) is not None)),
        seconds=tuple(sorted(row.seconds for row in rows if row.seconds > 0)),
        # Each item at its mean cost, however often it was asked.
        cost_usd=sum(sum(x.cost_usd for x in r) / len(r) for r in by_item.values()),
        seen=dt.datetime.fromtimestamp(newest.at, dt.UTC).date(),
        source=f"evaluation {newest.evaluation_id}" + (f" and {earlier} earlier" if earlier else ""),
    )


def _is_sound(row: Measurement) -> bool:
    """Whether all values are possible. The ledger may have been edited from outside."""
    amounts = (row.seconds, row.cost_usd, row.output_tokens, row.first_token_seconds or 0.0)
    return (
        row.task_type in TASK_TYPES
        and _KIND.fullmatch(row.kind) is not None
        and 1 <= row.complexity <= 10
        and 0 <= row.at < _LATEST
        and all(math.isfinite(amount) and amount >= 0 for amount in amounts)
    )
