"""Cost and quality of plans on a file of outcomes, against simpler strategies tuned to the same quality.

Every attempt is paid at its own cost; plans know only the mean cost of each model. A strategy's parameter (the worth of
a solved task, the share of tasks for the stronger model, the models of a cascade) is tuned for a quality goal on other
tasks than those that evaluate it, averaged over many splits, since the choice of one split changes the spend by about
1%. The spend in hindsight is that of the cheapest mix of two values that would have met the goal exactly. A random mix
counts as its expected value, as in RouterBench (https://arxiv.org/abs/2403.12031).
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from ...tools.routing.plan import Check
from .drawing import Curve, Point
from .outcome_runs import Bill, NextModel, Plans, models_to_plan_with, run
from .outcome_tables import Block, OutcomeTable, Rows

OURS, RIVAL = "Chargehand", "kNN over TF-IDF"
"""Predictors whose chances the plans use."""
_SEED = 0
_RESAMPLES = 300
_DIVISIONS, _PARTS = 20, 3
"""Number of random splits, and of folds per split; each fold is evaluated as tuned on the others."""
_WORTHS = tuple(np.geomspace(0.5, 40.0, 60).tolist())
"""Values of a solved task to tune over, in attempts of the best model."""
_SHARES = tuple(np.linspace(0.0, 1.0, 101).tolist())
"""Shares of tasks for the stronger of two models to tune over."""
_SAME = 1e-9
"""Means that differ by less count as equal, as sums of floats depend on their order."""
_CATCHES, _REFUSES = 0.9, 0.1
"""The simulated check: the share of wrong answers that it catches, and of right ones that it rejects."""


@dataclass(frozen=True)
class StrategyResults:
    """The results of all strategies."""

    summary: Table
    losses: tuple[str, ...]
    """One sentence per contest: the strategies that beat the plan in the mean over the tasks, or that none did."""
    in_hindsight: Table
    """The spend of each strategy, tuned on the evaluated tasks."""
    areas: Table
    """AIQ of each curve."""
    points: tuple[Point, ...]
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class _Contest:
    name: str
    check: Check | None
    goal: float
    """Quality to reach, relative to always asking the best model."""


_CHECK = Check(1 - _CATCHES, _REFUSES, worth_of_refused=1.0)
_CONTESTS = (_Contest("one answer", None, 0.95), _Contest("with a check", _CHECK, 1.0))


def compare_strategies(table: OutcomeTable, chances: Mapping[str, Block]) -> StrategyResults:
    """Evaluate all strategies. chances: by predictor (OURS and RIVAL), for tasks that it had not seen."""
    models = models_to_plan_with(table)
    best = max(models, key=lambda m: table.solved[:, m].mean())
    top, best_cost = float(table.solved[:, best].mean()), float(table.cost[best])
    title = f"of always {table.models[best]}; a check catches 90%, refuses 10%"
    summary = Table("", "quality", "spend", "beyond the plan's", title=title)
    in_hindsight = Table("", "spend", title="tuned in hindsight, for exactly the goal")
    points: list[Point] = []

    def point(name: str, bill: Bill) -> Point:
        return Point(name, float((bill.spend / best_cost).mean()), float((bill.quality / top).mean()))

    def add(name: str, bill: Bill, plan: Bill | None = None) -> None:
        points.append(point(name, bill))
        beyond = "" if plan is None else _interval((bill.spend - plan.spend) / best_cost, "+.3f")
        summary.add_row(name, _interval(bill.quality / top), _interval(bill.spend / best_cost), beyond)

    for model in models:
        add(f"always {table.models[model]}", _always(table, model))
    add("oracle, one answer", _oracle(table, models))
    curves = [Curve("random mix", _upper_hull(points[: len(models)]))]
    losses: list[str] = []
    parts = _divided(len(table.tasks))
    for contest in _CONTESTS:
        strategies = _strategies(table, models, chances, contest, best_cost)
        tuned = {name: _tuned(parts, bills, table.solved[:, best], contest.goal) for name, bills in strategies.items()}
        along = {name: [point("", bill) for bill in bills] for name, bills in strategies.items()}
        for name, bill in tuned.items():
            described = f"{name}, {contest.name}, for {contest.goal:.0%}"
            add(described, bill, None if name == "plan" else tuned["plan"])
            in_hindsight.add_row(described, _spend_for(contest.goal, along[name]))
        losses.append(_lost(contest, tuned))
        curves += [
            Curve(f"{name}, {contest.name}", sorted(along[name], key=lambda point: point.spend))
            for name in ("plan", RIVAL)
        ]
    areas = Table("", "AIQ", title="area under solved over spend")
    for curve in curves:
        areas.add_row(curve.name, f"{aiq([Point('', p.spend, p.quality * top) for p in curve.points]):.3f}")
    return StrategyResults(summary, tuple(losses), in_hindsight, areas, tuple(points), tuple(curves))


def _strategies(
    table: OutcomeTable, models: Sequence[int], chances: Mapping[str, Block], contest: _Contest, best_cost: float
) -> dict[str, list[Bill]]:
    """By strategy, its bill at each value of its parameter."""

    def planned(judge: str) -> list[Bill]:
        check = contest.check
        return [
            run(table, Plans(table, models, chances[judge], check, worth * best_cost).next_model, check)
            for worth in _WORTHS
        ]

    strategies = {"plan": planned(OURS), RIVAL: planned(RIVAL)}
    if contest.check is not None:
        return {**strategies, "fixed cascade": _cascades(table, models, contest.check)}
    chance = [np.full(len(table.tasks), share) for share in _SHARES]
    longer = np.argsort(np.argsort(table.lengths)) / len(table.tasks)
    longest = [np.where(longer >= 1 - share, 1.0, 0.0) for share in _SHARES]
    return {**strategies, "length": _mixes(table, models, longest), "random mix": _mixes(table, models, chance)}


def _cascades(table: OutcomeTable, models: Sequence[int], check: Check) -> list[Bill]:
    """One bill per subset of the models, asked from the cheapest on."""

    def ladder(order: tuple[int, ...]) -> NextModel:
        return lambda _task, failed: order[len(failed)] if len(failed) < len(order) else None

    orders = (order for n in range(1, len(models) + 1) for order in itertools.combinations(models, n))
    return [run(table, ladder(order), check) for order in orders]


def _mixes(table: OutcomeTable, models: Sequence[int], shares: Sequence[Block]) -> list[Bill]:
    """One bill per pair of models and entry of `shares`: the stronger one's probability by task."""
    return [
        Bill(
            quality=(1 - share) * table.solved[:, weak] + share * table.solved[:, strong],
            spend=(1 - share) * table.paid[:, weak] + share * table.paid[:, strong],
        )
        for weak, strong in itertools.combinations(models, 2)
        for share in shares
    ]


def _divided(tasks: int) -> list[Rows]:
    """The folds of all splits."""
    rng = np.random.default_rng(_SEED)
    return [part for _ in range(_DIVISIONS) for part in np.array_split(rng.permutation(tasks), _PARTS)]


def _tuned(parts: Sequence[Rows], bills: Sequence[Bill], top: Block, goal: float) -> Bill:
    """For each fold the cheapest bill that reaches the goal on the other tasks, else the one that comes closest."""
    qualities, spends = np.array([b.quality for b in bills]), np.array([b.spend for b in bills])
    quality, spend = np.zeros(len(top)), np.zeros(len(top))
    for part in parts:
        others = np.setdiff1d(np.arange(len(top)), part)
        reached = qualities[:, others].mean(axis=1)
        is_enough = reached > goal * top[others].mean() - _SAME
        costs = np.where(is_enough, spends[:, others].mean(axis=1), np.inf)
        chosen = costs.argmin() if is_enough.any() else reached.argmax()
        quality[part] += qualities[chosen, part]
        spend[part] += spends[chosen, part]
    return Bill(quality / _DIVISIONS, spend / _DIVISIONS)


def _lost(contest: _Contest, tuned: Mapping[str, Bill]) -> str:
    better = [name for name, bill in tuned.items() if _beats(bill, tuned["plan"])]
    if better:
        return f"{contest.name}: the plan lost to {', '.join(better)}: no less quality for no more spend."
    return f"{contest.name}: nothing beat the plan: no less quality for no more spend."


def _beats(bill: Bill, other: Bill) -> bool:
    """Whether it is no worse in quality and spend, and better in one of them."""
    gains = float((bill.quality - other.quality).mean()), float((other.spend - bill.spend).mean())
    return min(gains) > -_SAME and max(gains) > _SAME


def _always(table: OutcomeTable, model: int) -> Bill:
    return Bill(table.solved[:, model], table.paid[:, model])


def _oracle(table: OutcomeTable, models: Sequence[int]) -> Bill:
    """For each task the cheapest attempt that solves it, or the cheapest of all if none does."""
    solved = table.solved[:, models] >= 0.5
    may_ask = solved | ~solved.any(axis=1, keepdims=True)
    first = np.asarray(models)[np.where(may_ask, table.paid[:, models], np.inf).argmin(axis=1)]
    return Bill(table.solved[table.tasks, first], table.paid[table.tasks, first])


def _best_mixes(points: Iterable[Point]) -> list[Point]:
    """The upper hull of quality over spend, from no answers at no spend up to the highest quality."""
    hull = [Point("", 0.0, 0.0)]
    for point in sorted(points, key=lambda point: (point.spend, point.quality)):
        if point.quality > hull[-1].quality:
            hull = _upper_hull([*hull, point])
    return hull


def _spend_for(goal: float, points: Iterable[Point]) -> str:
    """The least spend of a mix that reaches the goal; "-": none does."""
    hull = _best_mixes(points)
    qualities, spends = [point.quality for point in hull], [point.spend for point in hull]
    return "-" if qualities[-1] < goal - _SAME else f"{np.interp(goal, qualities, spends):.3f}"


def _upper_hull(points: Sequence[Point]) -> list[Point]:
    """The best that mixes of these points reach. points: by increasing cost and quality."""
    hull: list[Point] = []
    for point in points:
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) <= _slope(hull[-1], point):
            hull.pop()
        hull.append(point)
    return hull


def aiq(points: Sequence[Point]) -> float:
    """The area under the upper hull of quality over spend, from no answers at no spend to a spend of 1.

    Spending more than the hull needs adds no quality (https://arxiv.org/abs/2403.12031, non-decreasing convex hull).
    """
    hull = _best_mixes(points)
    spends, qualities = [point.spend for point in hull], [point.quality for point in hull]
    within = [spend for spend in spends if spend < 1]
    last = float(np.interp(1.0, spends, qualities))
    return float(np.trapezoid([*qualities[: len(within)], last], [*within, 1.0]))


def _slope(from_: Point, to: Point) -> float:
    return (to.quality - from_.quality) / max(1e-9, to.spend - from_.spend)


def _interval(values: Block, form: str = ".3f") -> str:
    rng = np.random.default_rng(_SEED)
    means = values[rng.integers(0, len(values), (_RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{values.mean():{form}} ({low:{form}} to {high:{form}})"
