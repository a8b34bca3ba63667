"""Models compared by their evaluation results, on the items that both were asked."""

from collections.abc import Mapping, Sequence

from ...profiles.vocabulary import TaskType
from .rivalry import ComparisonTerms, Rivals
from .standing import Item, Standing, count_of
from .statistics import Count

LEAST_ITEMS = 10
LEAST_NAMES = 3
"""Distinct tasks among these items, as items that vary one task are not independent evidence."""


def on_the_same_items(standings: Mapping[str, Standing]) -> Rivals[Standing]:
    """The models, comparable on shared items. standings: by model."""
    return Rivals(standings, _compare, ComparisonTerms("evaluation", "the same tasks", "Measured: "))


def _compare(one: Standing, other: Standing, task_type: TaskType | None) -> tuple[Count, Count] | None:
    mine, theirs = _shared(one, other, task_type), _shared(other, one, task_type)
    return (count_of(mine), count_of(theirs)) if _suffices(mine) else None


def _shared(one: Standing, other: Standing, task_type: TaskType | None) -> list[Item]:
    """The first model's items, of one type or of all (None), that the other was asked too."""
    return [
        item
        for name, item in one.items.items()
        if name in other.items and (task_type is None or item.task_type == task_type)
    ]


def _suffices(items: Sequence[Item]) -> bool:
    return len(items) >= LEAST_ITEMS and len({item.name for item in items}) >= LEAST_NAMES
