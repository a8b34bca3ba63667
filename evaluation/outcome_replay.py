"""`bench replay` on a file of outcomes: what the product's judgement and its plans buy, beside simple rivals.

Three parts of the tasks take turns: of each part the other two are remembered, so every figure is of
tasks that were not seen. What a plan is tuned by is tuned on the remembered tasks alone. Every attempt
is paid. The measures are RouteLLM's (https://arxiv.org/abs/2406.18665): APGR is the area under the share of
the gap between two models that is won, over the share of calls that go to the stronger; random is 0.5.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from ..tools.routing.plan import Check, Outlay, Prospect, Step, make_plan
from .drawing import Point, draw
from .outcome_rows import (
    Block,
    OutcomeTable,
    Rows,
    length_chances,
    neighbour_chances,
    product_chances,
    random_chances,
    read_outcomes,
    ridge_chances,
)

_PARTS = 3
_SEED = 0
_LEAST_GAP = 0.05
_RESAMPLES = 300
_SURE = 0.8
_PLAN_MODELS = 5
"""Plans are over so many models at most: the cheapest, the best, and those between at even distances."""
_WORTHS = (1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 40.0)
"""What a solved task is worth, in attempts of the dearest model."""
_CATCHES, _REFUSES = 0.9, 0.1
"""The check: the share of wrong answers it catches, and of right ones it refuses."""

Judge = Callable[[OutcomeTable, Rows, Rows], Block]
_JUDGES: Mapping[str, Judge] = {
    "random": random_chances,
    "length": length_chances,
    "kNN over TF-IDF": neighbour_chances,
    "ridge over TF-IDF": ridge_chances,
    "Chargehand": product_chances,
}
_OURS, _RIVAL = "Chargehand", "kNN over TF-IDF"


def replay_outcomes(file: Path, *, limit: int | None = None, picture: Path | None = None) -> int:
    """Print it all; gives the exit code. picture: where cost against quality is drawn, as SVG."""
    console = Console()
    try:
        table = read_outcomes(file, limit)
    except (OSError, ValueError) as error:
        console.print(str(error), markup=False, soft_wrap=True)
        return 2
    parts = np.array_split(np.random.default_rng(_SEED).permutation(len(table.solved)), _PARTS)
    chances = {name: _out_of_part(table, parts, judge) for name, judge in _JUDGES.items()}
    console.print(_judgements(table, parts, chances))
    if table.has_costs:
        points, summary = _plans(table, parts, chances[_OURS])
        console.print(summary)
        if picture is not None:
            picture.write_text(draw(points, f"{file.name}: quality over spend"), encoding="utf-8")
            console.print(f"{picture} drawn", markup=False)
    return 0


def _out_of_part(table: OutcomeTable, parts: Sequence[Rows], judge: Judge) -> Block:
    found = np.empty_like(table.solved)
    for part in parts:
        found[part] = judge(table, np.setdiff1d(table.tasks, part), part)
    return found


def apgr(gain: Block, weak: Block, strong: Block) -> float:
    """gain: what is expected of the stronger model beyond the weaker, by which tasks are sent to it."""
    order = np.argsort(-gain, kind="stable")
    won = np.concatenate([[0.0], np.cumsum((strong - weak)[order])]) / (strong - weak).sum()
    places = np.round(np.linspace(0, 1, 11) * len(gain)).astype(int)
    return float(np.trapezoid(won[places], dx=0.1))


def calibration_error(chances: Block, solved: Block, bins: int = 10) -> float:
    """The expected calibration error, over bins of equal width."""
    place = np.minimum((chances * bins).astype(int), bins - 1)
    found = [(place == n) for n in range(bins)]
    return float(sum(abs(chances[b].mean() - solved[b].mean()) * b.mean() for b in found if b.any()))


def _judgements(table: OutcomeTable, parts: Sequence[Rows], chances: Mapping[str, Block]) -> Table:
    rates = table.solved.mean(axis=0)
    numbers = range(len(table.models))
    pairs = [(w, s) for w, s in itertools.product(numbers, numbers) if rates[s] - rates[w] >= _LEAST_GAP]
    title = f"text only, {len(table.solved)} tasks, {len(pairs)} pairs of models"
    shown = Table("", "APGR", f"less {_RIVAL}", "calibration error", f"above {_SURE}", "of these solved", title=title)
    rng = np.random.default_rng(_SEED)
    draws = [[part[rng.integers(0, len(part), len(part))] for part in parts] for _ in range(_RESAMPLES)]
    of_rival = [_mean_apgr(table, draw, chances[_RIVAL], pairs) for draw in draws]
    for name, found in chances.items():
        beyond = np.array([_mean_apgr(table, draw, found, pairs) for draw in draws]) - of_rival
        low, high = np.quantile(beyond, [0.025, 0.975])
        cells = [f"{_mean_apgr(table, parts, found, pairs):.3f}", f"{low:+.3f} to {high:+.3f}"]
        if name not in ("random", "length"):
            likely = np.clip(found, 0, 1)
            sure = likely > _SURE
            right = f"{table.solved[sure].mean():.3f}" if sure.any() else "-"
            cells += [f"{calibration_error(likely, table.solved):.3f}", f"{sure.mean():.3f}", right]
        shown.add_row(name, *cells)
    return shown


def _mean_apgr(table: OutcomeTable, parts: Sequence[Rows], chances: Block, pairs: Sequence[tuple[int, int]]) -> float:
    """Over the parts, since predictions from different memories are not compared; pairs without a gap are left out."""
    found = [
        apgr(chances[part, strong] - chances[part, weak], table.solved[part, weak], table.solved[part, strong])
        for part in parts
        for weak, strong in pairs
        if abs((table.solved[part, strong] - table.solved[part, weak]).mean()) >= _LEAST_GAP / 2
    ]
    return float(np.mean(found))


@dataclass(frozen=True)
class _Bill:
    quality: Block
    """By task: 1 where what was delivered is right."""
    spend: Block


def _plans(table: OutcomeTable, parts: Sequence[Rows], chances: Block) -> tuple[list[Point], Table]:
    models = _chosen(table)
    best = max(models, key=lambda m: table.solved[:, m].mean())
    top, dear = float(table.solved[:, best].mean()), float(table.cost[best])
    shown = Table("", "quality", "spend", title=f"of always {table.models[best]}; a check catches 90%, refuses 10%")
    points: list[Point] = []

    def add(name: str, bill: _Bill) -> None:
        quality, spend = bill.quality / top, bill.spend / dear
        points.append(Point(name, float(spend.mean()), float(quality.mean())))
        shown.add_row(name, _interval(quality), _interval(spend))

    for model in models:
        add(f"always {table.models[model]}", _run(table, table.tasks, lambda _t, f, m=model: None if f else m, None))
    add("oracle, one answer", _oracle(table, models))
    for name, check, goal in (("one answer", None, 0.95), ("with a check", Check(1 - _CATCHES, _REFUSES), 1.0)):
        bills = {w: _run(table, table.tasks, _planner(table, models, chances, check, w * dear), check) for w in _WORTHS}
        for worth, bill in bills.items():
            points.append(
                Point(f"plan {worth:g}, {name}", float((bill.spend / dear).mean()), float((bill.quality / top).mean()))
            )
        add(f"plan, {name}, for {goal:.0%}", _tuned(parts, list(bills.values()), table.solved[:, best], goal))
    check = Check(1 - _CATCHES, _REFUSES)
    ladders = [way for n in range(1, len(models) + 1) for way in itertools.combinations(models, n)]
    runs = {
        way: _run(table, table.tasks, lambda _t, f, w=way: w[len(f)] if len(f) < len(w) else None, check)
        for way in ladders
    }
    add("best fixed cascade, for 100%", _tuned(parts, list(runs.values()), table.solved[:, best], 1.0))
    return points, shown


_Next = Callable[[int, tuple[int, ...]], int | None]


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


def _run(table: OutcomeTable, tasks: Rows, next_model: _Next, check: Check | None) -> _Bill:
    """Each task in turn; what was refused last is delivered when nothing follows it."""
    luck = np.random.default_rng(_SEED).random((len(table.solved), len(table.models)))
    quality, spend = np.zeros(len(tasks)), np.zeros(len(tasks))
    for row, task in enumerate(tasks.tolist()):
        failed: tuple[int, ...] = ()
        while (model := next_model(task, failed)) is not None:
            spend[row] += table.cost[model]
            quality[row] = table.solved[task, model]
            failed = (*failed, model)
            if check is None or _passes(quality[row], luck[task, model], check):
                break
    return _Bill(quality, spend)


def _passes(solved: float, luck: float, check: Check) -> bool:
    return luck < (1 - check.false_fail if solved >= 0.5 else check.false_pass)


def _tuned(parts: Sequence[Rows], bills: Sequence[_Bill], top: Block, goal: float) -> _Bill:
    """Of each part what costs least among all that reached the goal on the other parts, else what came nearest."""
    quality, spend = np.zeros(len(top)), np.zeros(len(top))
    for part in parts:
        others = np.setdiff1d(np.arange(len(top)), part)

        def rank(bill: _Bill, others: Rows = others) -> tuple[bool, float]:
            reached = float(bill.quality[others].mean() / top[others].mean())
            return (reached < goal, float(bill.spend[others].mean()) if reached >= goal else -reached)

        chosen = min(bills, key=rank)
        quality[part], spend[part] = chosen.quality[part], chosen.spend[part]
    return _Bill(quality, spend)


def _oracle(table: OutcomeTable, models: Sequence[int]) -> _Bill:
    """The cheapest that solves the task; where none does, the cheapest."""
    solved = table.solved[:, models] >= 0.5
    first = np.asarray(models)[solved.argmax(axis=1)]
    return _Bill(table.solved[table.tasks, first], table.cost[first])


def _chosen(table: OutcomeTable) -> list[int]:
    """On the way up only models that are better than all cheaper ones, thinned out evenly."""
    rates = table.solved.mean(axis=0)
    rising = [n for n in range(len(rates)) if not n or rates[n] > rates[:n].max()]
    places = np.unique(np.linspace(0, len(rising) - 1, min(_PLAN_MODELS, len(rising))).round().astype(int))
    return [rising[place] for place in places]


def _interval(values: Block) -> str:
    rng = np.random.default_rng(_SEED)
    means = values[rng.integers(0, len(values), (_RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{values.mean():.3f} ({low:.3f} to {high:.3f})"
