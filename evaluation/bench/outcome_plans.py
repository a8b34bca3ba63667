"""Cost and quality of plans on a file of outcomes, against simpler strategies tuned to the same quality.

Every attempt is paid at its own cost; plans know only the mean cost of each model. A strategy's parameter (the worth of
a solved task, the share of tasks for the stronger model, the models of a cascade) is tuned for a quality goal on other
tasks than those that evaluate it, averaged over many splits, since the choice of one split changes the spend by about
1%. A random mix counts as its expected value, as in RouterBench (https://arxiv.org/abs/2403.12031).
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from ...tools.routing.plan import Check, Outlay, Prospect, Step, make_plan
from .drawing import Curve, Point
from .outcome_tables import Block, OutcomeTable, Rows

OURS, RIVAL = "Chargehand", "kNN over TF-IDF"
"""Predictors whose chances the plans use."""
_SEED = 0
_RESAMPLES = 300
_DIVISIONS, _PARTS = 20, 3
"""Number of random splits, and of folds per split; each fold is evaluated as tuned on the others."""
_PLAN_MODELS = 5
"""Most models in a plan: the cheapest, the best, and evenly spaced ones between them."""
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
    areas: Table
    """AIQ of each curve."""
    points: tuple[Point, ...]
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class _Bill:
    quality: Block
    """By task: the probability that the delivered answer is right."""
    spend: Block


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
    models = _chosen(table)
    best = max(models, key=lambda m: table.solved[:, m].mean())
    top, best_cost = float(table.solved[:, best].mean()), float(table.cost[best])
    title = f"of always {table.models[best]}; a check catches 90%, refuses 10%"
    summary = Table("", "quality", "spend", "beyond the plan's", title=title)
    points: list[Point] = []

    def add(name: str, bill: _Bill, plan: _Bill | None = None) -> None:
        quality, spend = bill.quality / top, bill.spend / best_cost
        points.append(Point(name, float(spend.mean()), float(quality.mean())))
        beyond = "" if plan is None else _interval((bill.spend - plan.spend) / best_cost, "+.3f")
        summary.add_row(name, _interval(quality), _interval(spend), beyond)

    for model in models:
        add(f"always {table.models[model]}", _always(table, model))
    add("oracle, one answer", _oracle(table, models))
    curves = [Curve("random mix", _upper_hull(points[: len(models)]))]
    losses: list[str] = []
    parts = _divided(len(table.tasks))
    for contest in _CONTESTS:
        strategies = _strategies(table, models, chances, contest, best_cost)
        tuned = {
            name: _tuned(parts, bills, table.solved[:, best], contest.goal)
            for name, bills in strategies.items()
            if bills
        }
        for name, bill in tuned.items():
            add(f"{name}, {contest.name}, for {contest.goal:.0%}", bill, None if name == "plan" else tuned["plan"])
        losses.append(_lost(contest, tuned))
        for name in ("plan", RIVAL):
            along = [
                Point("", float((b.spend / best_cost).mean()), float((b.quality / top).mean()))
                for b in strategies[name]
            ]
            curves.append(Curve(f"{name}, {contest.name}", sorted(along, key=lambda point: point.spend)))
    areas = Table("", "AIQ", title="area under solved over spend")
    for curve in curves:
        areas.add_row(curve.name, f"{aiq([Point('', p.spend, p.quality * top) for p in curve.points]):.3f}")
    return StrategyResults(summary, tuple(losses), areas, tuple(points), tuple(curves))


_Next = Callable[[int, tuple[int, ...]], int | None]


def _strategies(
    table: OutcomeTable, models: Sequence[int], chances: Mapping[str, Block], contest: _Contest, best_cost: float
) -> dict[str, list[_Bill]]:
    """By strategy, its bill at each value of its parameter."""

    def planned(judge: str) -> list[_Bill]:
        check = contest.check
        return [
            _run(table, _planner(table, models, chances[judge], check, worth * best_cost), check) for worth in _WORTHS
        ]

    strategies = {"plan": planned(OURS), RIVAL: planned(RIVAL)}
    if contest.check is not None:
        return {**strategies, "fixed cascade": _cascades(table, models, contest.check)}
    chance = [np.full(len(table.tasks), share) for share in _SHARES]
    longer = np.argsort(np.argsort(table.lengths)) / len(table.tasks)
    longest = [np.where(longer >= 1 - share, 1.0, 0.0) for share in _SHARES]
    return {**strategies, "length": _mixes(table, models, longest), "random mix": _mixes(table, models, chance)}


def _planner(table: OutcomeTable, models: Sequence[int], chances: Block, check: Check | None, worth: float) -> _Next:
    def next_model(task: int, failed: tuple[int, ...]) -> int | None:
        if check is None and failed:
            return None
        prospects = [
            Prospect(str(m), float(chances[task, m]), Outlay(float(table.cost[m])), is_local=not table.cost[m])
            for m in models
        ]
        steps = make_plan(prospects, check, worth, failed=[Step(str(m)) for m in failed]).steps
        return int(steps[0].model) if steps else (None if failed else models[0])

    return next_model


def _run(table: OutcomeTable, next_model: _Next, check: Check | None) -> _Bill:
    """The expected bill of a strategy over the check's possible verdicts; after a last rejection that answer is
    delivered."""
    quality, spend = np.zeros(len(table.tasks)), np.zeros(len(table.tasks))
    for task in table.tasks.tolist():
        failed: tuple[int, ...] = ()
        reached, refused_right = 1.0, 0.0
        while (model := next_model(task, failed)) is not None:
            right = reached * float(table.solved[task, model])
            passes_right = right * (1 - check.false_fail) if check else 0.0
            passes_wrong = (reached - right) * check.false_pass if check else 0.0
            spend[task] += reached * table.paid[task, model]
            quality[task] += passes_right
            reached, refused_right = reached - passes_right - passes_wrong, right - passes_right
            failed = (*failed, model)
        quality[task] += refused_right
    return _Bill(quality, spend)


def _cascades(table: OutcomeTable, models: Sequence[int], check: Check) -> list[_Bill]:
    """One bill per subset of the models, asked from the cheapest on."""

    def ladder(order: tuple[int, ...]) -> _Next:
        return lambda _task, failed: order[len(failed)] if len(failed) < len(order) else None

    orders = (order for n in range(1, len(models) + 1) for order in itertools.combinations(models, n))
    return [_run(table, ladder(order), check) for order in orders]


def _mixes(table: OutcomeTable, models: Sequence[int], shares: Sequence[Block]) -> list[_Bill]:
    """One bill per pair of models and entry of `shares`: the stronger one's probability by task."""
    return [
        _Bill(
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


def _tuned(parts: Sequence[Rows], bills: Sequence[_Bill], top: Block, goal: float) -> _Bill:
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
    return _Bill(quality / _DIVISIONS, spend / _DIVISIONS)


def _lost(contest: _Contest, tuned: Mapping[str, _Bill]) -> str:
    better = [name for name, bill in tuned.items() if _beats(bill, tuned["plan"])]
    if better:
        return f"{contest.name}: the plan lost to {', '.join(better)}: no less quality for no more spend."
    return f"{contest.name}: nothing beat the plan: no less quality for no more spend."


def _beats(bill: _Bill, other: _Bill) -> bool:
    """Whether it is no worse in quality and spend, and better in one of them."""
    gains = float((bill.quality - other.quality).mean()), float((other.spend - bill.spend).mean())
    return min(gains) > -_SAME and max(gains) > _SAME


def _always(table: OutcomeTable, model: int) -> _Bill:
    return _Bill(table.solved[:, model], table.paid[:, model])


def _oracle(table: OutcomeTable, models: Sequence[int]) -> _Bill:
    """For each task the cheapest attempt that solves it, or the cheapest of all if none does."""
    solved = table.solved[:, models] >= 0.5
    may_ask = solved | ~solved.any(axis=1, keepdims=True)
    first = np.asarray(models)[np.where(may_ask, table.paid[:, models], np.inf).argmin(axis=1)]
    return _Bill(table.solved[table.tasks, first], table.paid[table.tasks, first])


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
    hull = [Point("", 0.0, 0.0)]
    for point in sorted(points, key=lambda point: (point.spend, point.quality)):
        if point.quality > hull[-1].quality:
            hull = _upper_hull([*hull, point])
    spends, qualities = [point.spend for point in hull], [point.quality for point in hull]
    within = [spend for spend in spends if spend < 1]
    last = float(np.interp(1.0, spends, qualities))
    return float(np.trapezoid([*qualities[: len(within)], last], [*within, 1.0]))


def _slope(from_: Point, to: Point) -> float:
    return (to.quality - from_.quality) / max(1e-9, to.spend - from_.spend)


def _chosen(table: OutcomeTable) -> list[int]:
    """The models that are better than all cheaper ones, thinned out evenly."""
    rates = table.solved.mean(axis=0)
    rising = [n for n in range(len(rates)) if not n or rates[n] > rates[:n].max()]
    places = np.unique(np.linspace(0, len(rising) - 1, min(_PLAN_MODELS, len(rising))).round().astype(int))
    return [rising[place] for place in places]


def _interval(values: Block, form: str = ".3f") -> str:
    rng = np.random.default_rng(_SEED)
    means = values[rng.integers(0, len(values), (_RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{values.mean():{form}} ({low:{form}} to {high:{form}})"
