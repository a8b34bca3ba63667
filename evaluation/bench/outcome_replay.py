"""`bench replay` on a file of outcomes: the product's predictions and plans, against simple baselines.

Cross-validation: for each fold the others are remembered, so every figure is for unseen tasks, except
that the complexity weights may have been fitted on the same set (docs/benchmarks.md). Plans are tuned on other tasks,
too. Every attempt is paid at its own cost. The measures are RouteLLM's (https://arxiv.org/abs/2406.18665): APGR is the
area under the share of the gap between two models that is recovered, over the share of calls to the stronger; random
is 0.5. CPT(80%) is the least share of calls to the stronger that recovers 80% of the gap.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from rich.table import Table

from ..unusable import in_words
from .drawing import draw
from .outcome_confidence import CONFIDENCE, confidence, confidence_of_plans
from .outcome_online import learn_online
from .outcome_plans import OURS, RIVAL, compare_strategies
from .outcome_tables import (
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
from .output import output, print_as_json_only, refuse

_LEAST_PER_FOLD = 3
_SEED = 0
_LEAST_GAP = 0.05
_RESAMPLES = 300
_ROUNDING = 1e-9

Measure = Callable[[Block, Block, Block], float]
"""Called with the expected gain of the stronger model and what both solved, by task."""
Judge = Callable[[OutcomeTable, Rows, Rows], Block]
_JUDGES: Mapping[str, Judge] = {
    "random": random_chances,
    "length": length_chances,
    RIVAL: neighbour_chances,
    "ridge over TF-IDF": ridge_chances,
    OURS: product_chances,
}


def replay_outcomes(
    file: Path,
    *,
    limit: int | None = None,
    picture: Path | None = None,
    orders: int = 0,
    folds: int = 3,
    seed: int = 0,
) -> int:
    """Print all results; returns the exit code.

    picture: path of an SVG of cost against quality. orders: number of random task orders for online learning; 0 skips
    it. folds: at least 2. seed: of the division into folds.
    """
    console = output()
    try:
        table = read_outcomes(file, limit)
        _require_tasks_for(folds, table, file)
    except (OSError, ValueError) as error:
        return refuse(in_words(error, file))
    rates = table.solved.mean(axis=0)
    if rates.max() - rates.min() < _LEAST_GAP:
        return refuse(f"{file}: no two models differ by {_LEAST_GAP:.0%} in what they solve. Name another file.")
    for note in table.notes:
        console.print(note, soft_wrap=True)
    parts = np.array_split(np.random.default_rng(seed).permutation(len(table.solved)), folds)
    chances = {name: _out_of_part(table, parts, judge) for name, judge in _JUDGES.items()}
    pairs = _pairs(table)
    console.print(_judgements(table, parts, chances, pairs))
    print_as_json_only(_by_pair(table, parts, chances[OURS], pairs))
    why_no_plans = _why_no_plans(table, file)
    if why_no_plans is None:
        plans = compare_strategies(table, chances)
        console.print(plans.summary)
        console.print("\n".join(plans.losses), soft_wrap=True)
        console.print(plans.in_hindsight)
        console.print(plans.areas)
        console.print(confidence_of_plans(table, chances[OURS]))
        if picture is not None:
            drawn = draw(plans.points, f"{file.name}: quality over spend", plans.curves)
            try:
                picture.write_text(drawn, encoding="utf-8")
            except OSError as error:
                return refuse(in_words(error, picture))
            console.print(f"{picture} written")
    else:
        undrawn = "" if picture is None else f", and {picture} was not drawn"
        console.print(f"{why_no_plans}, so plans are not compared{undrawn}", soft_wrap=True)
    if orders:
        console.print(learn_online(table, orders))
    return 0


def _require_tasks_for(folds: int, table: OutcomeTable, file: Path) -> None:
    """Raises ValueError."""
    most = len(table.tasks) // _LEAST_PER_FOLD
    if not 2 <= folds <= most:
        raise ValueError(f"--folds {folds}: {len(table.tasks)} tasks in {file} allow 2 to {most} folds")


def _why_no_plans(table: OutcomeTable, file: Path) -> str | None:
    if not table.has_costs:
        return f"{file} lacks costs"
    best = int(table.solved.mean(axis=0).argmax())
    return None if table.cost[best] else f"{table.models[best]} solves the most and costs nothing"


def _out_of_part(table: OutcomeTable, parts: Sequence[Rows], judge: Judge) -> Block:
    found = np.empty_like(table.solved)
    for part in parts:
        found[part] = judge(table, np.setdiff1d(table.tasks, part), part)
    return found


def apgr(gain: Block, weak: Block, strong: Block) -> float:
    """The average performance gap recovered, when tasks with the highest `gain` go to the stronger model first.

    gain: its expected advantage over the weaker one, by task.
    """
    places = np.round(np.linspace(0, 1, 11) * len(gain)).astype(int)
    return float(np.trapezoid(_recovered(gain, weak, strong)[places], dx=0.1))


def cpt(share: float, gain: Block, weak: Block, strong: Block) -> float:
    """The call-performance threshold: the least share of tasks for the stronger model that recovers `share` of the gap.

    gain: as for `apgr`.
    """
    is_enough = _recovered(gain, weak, strong) >= share - _ROUNDING
    return float(is_enough.argmax() / len(gain))


def _recovered(gain: Block, weak: Block, strong: Block) -> Block:
    """The performance gap recovered when 0, 1, … all tasks go to the stronger model."""
    order = np.argsort(-gain, kind="stable")
    return np.concatenate([[0.0], np.cumsum((strong - weak)[order])]) / (strong - weak).sum()


_THRESHOLDS: Mapping[str, Measure] = {"CPT(50%)": partial(cpt, 0.5), "CPT(80%)": partial(cpt, 0.8)}


def _pairs(table: OutcomeTable) -> list[tuple[int, int]]:
    """The weaker and the stronger model of each pair with a clear gap."""
    rates = table.solved.mean(axis=0)
    numbers = range(len(table.models))
    return [(w, s) for w, s in itertools.product(numbers, numbers) if rates[s] - rates[w] >= _LEAST_GAP]


def _judgements(
    table: OutcomeTable, parts: Sequence[Rows], chances: Mapping[str, Block], pairs: Sequence[tuple[int, int]]
) -> Table:
    title = f"text only, {len(table.solved)} tasks, {len(pairs)} pairs of models"
    columns = ("", "APGR", f"less {RIVAL}", *_THRESHOLDS, *CONFIDENCE)
    shown = Table(*columns, title=title)
    rng = np.random.default_rng(_SEED)
    draws = [[part[rng.integers(0, len(part), len(part))] for part in parts] for _ in range(_RESAMPLES)]
    of_rival = [mean_of_pairs(apgr, table, draw, chances[RIVAL], pairs) for draw in draws]
    for name, found in chances.items():
        beyond = np.array([mean_of_pairs(apgr, table, draw, found, pairs) for draw in draws]) - of_rival
        low, high = np.nanquantile(beyond, [0.025, 0.975])
        mean, *thresholds = _measured(table, parts, found, pairs)
        cells = [mean, f"{low:+.3f} to {high:+.3f}", *thresholds]
        if name not in ("random", "length"):
            cells += confidence(np.clip(found, 0, 1), table.solved)
        shown.add_row(name, *cells)
    return shown


def _by_pair(table: OutcomeTable, parts: Sequence[Rows], chances: Block, pairs: Sequence[tuple[int, int]]) -> Table:
    shown = Table("weaker", "stronger", "APGR", *_THRESHOLDS, title=f"{OURS}, by pair of models")
    for weak, strong in pairs:
        cells = _measured(table, parts, chances, [(weak, strong)])
        shown.add_row(table.models[weak], table.models[strong], *cells)
    return shown


def _measured(
    table: OutcomeTable, parts: Sequence[Rows], chances: Block, pairs: Sequence[tuple[int, int]]
) -> list[str]:
    """The cells of APGR and of each threshold."""
    measures = (apgr, *_THRESHOLDS.values())
    return [f"{mean_of_pairs(measure, table, parts, chances, pairs):.3f}" for measure in measures]


def mean_of_pairs(
    measure: Measure, table: OutcomeTable, parts: Sequence[Rows], chances: Block, pairs: Sequence[tuple[int, int]]
) -> float:
    """Mean over folds, as predictions from different memories are not comparable.

    A pair is left out of a fold in which the stronger model is not clearly better: there is no gap to recover. NaN when
    all are, as in some resamples of a very small set.
    """
    found = [
        measure(chances[part, strong] - chances[part, weak], table.solved[part, weak], table.solved[part, strong])
        for part in parts
        for weak, strong in pairs
        if (table.solved[part, strong] - table.solved[part, weak]).mean() >= _LEAST_GAP / 2
    ]
    return float(np.mean(found)) if found else math.nan
