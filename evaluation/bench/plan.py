"""The assumptions of plans, and their cost and quality, measured on published outcomes only.

The constants in `tools/routing/difficulty.py` come from here. Each policy runs over one half of each set of outcomes,
with estimates from the other half; each attempt is paid. Prices are the data set's. The data contain no repairs, so
each model is asked once.
"""

import itertools
import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.table import Table

from ...tools.cascade.signals import EFFORT, UNFINISHED, Signal, is_unfinished, takes_too_much
from ...tools.editing.answer import read_answer
from ...tools.routing.difficulty import TASK_SHARE, UNSOLVABLE_SHARE
from ...tools.routing.plan import Check, Outlay, Prospect, Step, make_plan
from ...tools.routing.policy import WORTH_IN_DIRECTORS, Policy
from ..json_lines import read_rows
from .output import output, refuse

_OUTCOMES = ("outcomes_routerbench_mbpp", "outcomes_livecodebench", "outcomes_swebench_verified")
_TIERS = "outcomes_mixed_tiers"
_SEED = 0
_LEVELS = 101
_SHARES = (0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85)
_UNSOLVABLE = (0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.18)
_NORMAL = statistics.NormalDist()
_Rows = list[dict[str, Any]]  # in the files' own format, hence Any


def measure_plans(folder: Path) -> int:
    """Print all results; returns the exit code. folder: contains the `outcomes_*.jsonl.gz`."""
    console = output()
    missing = [name for name in (*_OUTCOMES, _TIERS) if not (folder / f"{name}.jsonl.gz").exists()]
    if missing:
        return refuse(f"not in {folder}: {', '.join(missing)}; give the folder that holds them")
    console.print(_constants(folder))
    console.print(_policies(folder))
    console.print(_signals(folder))
    return 0


@dataclass(frozen=True)
class Fit:
    """The maximum-likelihood estimates for a table of outcomes."""

    likelihood: float
    """The log-likelihood."""
    task_share: float
    unsolvable: float


def fit(solved: npt.NDArray[np.float64]) -> Fit:
    """Fit by maximum likelihood. solved: 0 or 1, tasks in rows, models in columns."""
    rates = solved.mean(axis=0)
    known = (rates > 0.03) & (rates < 0.97)
    solved, rates = solved[:, known], rates[known]
    fits = (_fit(solved, rates, share, lost) for share, lost in itertools.product(_SHARES, _UNSOLVABLE))
    return max(fits, key=lambda found: found.likelihood)


def _fit(solved: npt.NDArray[np.float64], rates: npt.NDArray[np.float64], share: float, lost: float) -> Fit:
    levels = [_NORMAL.inv_cdf((level + 0.5) / _LEVELS) for level in range(_LEVELS)]
    thresholds = [_NORMAL.inv_cdf(min(0.995, max(0.005, rate / (1 - lost)))) for rate in rates]
    own, common = math.sqrt(1 - share), math.sqrt(share)
    chances = np.array([[_NORMAL.cdf((t + common * level) / own) for t in thresholds] for level in levels])
    chances = np.clip(chances, 1e-6, 1 - 1e-6)
    rows = solved @ np.log(chances).T + (1 - solved) @ np.log(1 - chances).T
    likely = (1 - lost) * np.exp(rows).mean(axis=1) + lost * (solved.sum(axis=1) == 0)
    return Fit(float(np.log(likely).sum()), share, lost)


def _constants(folder: Path) -> Table:
    title = f"how far the task decides (in use: {TASK_SHARE} and {UNSOLVABLE_SHARE})"
    table = Table("set", "tasks", "models", "task's share", "nobody solves", "nobody solved", title=title)
    for name in _OUTCOMES:
        rows = _read(folder, name)
        models = _models(rows)
        solved = np.array([[_solves(row, model) for model in models] for row in rows], dtype=float)
        found = fit(solved)
        nobody = float((solved.sum(axis=1) == 0).mean())
        shares = (f"{found.task_share:.2f}", f"{found.unsolvable:.2f}", f"{nobody:.2f}")
        table.add_row(name.removeprefix("outcomes_"), str(len(rows)), str(len(models)), *shares)
    return table


def _policies(folder: Path) -> Table:
    title = "one half asked, the other believed; solved and spend as shares of always the strongest tier"
    table = Table("four tiers, mixed work", "solved", "spend", title=title)
    rows = _read(folder, _TIERS)
    believed, asked = rows[::2], rows[1::2]
    tiers = _models(rows)
    cost = {tier: rows[0]["outcomes"][tier]["cost_usd"] for tier in tiers}
    best = max(tiers, key=lambda tier: cost[tier])
    top = sum(_solves(row, best) for row in asked)
    ways: dict[str, Callable[[Mapping[str, Any]], Sequence[str]]] = {
        "always the strongest": lambda _: (best,),
        "each in turn": lambda _: tiers,
    }
    for name, way in ways.items():
        table.add_row(name, *_course(asked, lambda row, failed, way=way: _nth(way(row), len(failed)), cost, top))
    for policy in ("frugal", "balanced", "quality"):
        for label, check in (("check", Check()), ("one answer", None)):
            plan = _planned(policy, check, believed, cost, best)
            table.add_row(f"{policy}, {label}", *_course(asked, plan, cost, top, goes_on=check is not None))
    return table


_Next = Callable[[Mapping[str, Any], tuple[str, ...]], str | None]
"""Called with a task and the tiers that failed; gives the next tier, or None to stop."""


def _nth(tiers: Sequence[str], place: int) -> str | None:
    return tiers[place] if place < len(tiers) else None


def _planned(policy: Policy, check: Check | None, believed: _Rows, cost: Mapping[str, float], best: str) -> _Next:
    @cache
    def next_tier(domain: str, failed: tuple[str, ...]) -> str | None:
        rows = [row for row in believed if row["domain"] == domain]
        prospects = [
            Prospect(tier, statistics.mean(_solves(row, tier) for row in rows), Outlay(usd), is_local=usd == 0)
            for tier, usd in cost.items()
        ]
        worth = WORTH_IN_DIRECTORS[policy] * cost[best]
        steps = make_plan(prospects, check, worth, failed=[Step(tier) for tier in failed]).steps
        return steps[0].model if steps else None

    return lambda row, failed: next_tier(row["domain"], failed)


def _course(
    rows: _Rows, next_tier: _Next, cost: Mapping[str, float], top: float, *, goes_on: bool = True
) -> tuple[str, str]:
    solved = spend = 0.0
    for row in rows:
        failed: tuple[str, ...] = ()
        while (tier := next_tier(row, failed)) is not None:
            spend += cost[tier]
            if _solves(row, tier):
                solved += 1
                break
            if not goes_on:
                break
            failed = (*failed, tier)
    return f"{solved / top:.3f}", f"{spend / (len(rows) * max(cost.values())):.3f}"


def _signals(folder: Path) -> Table:
    table = Table("sign", "set", "seen", "precision", "recall", title="signs of a wrong answer; in use from 0.8")
    for name, signal, verdicts in _observed(folder):
        seen, wrong = [w for s, w in verdicts if s], [w for _, w in verdicts if w]
        precision = f"{sum(seen) / len(seen):.2f}" if seen else "-"
        recall = f"{sum(seen) / len(wrong):.3f}" if wrong else "-"
        sign, where = name
        table.add_row(f"{sign} ({'on' if signal.is_on else 'off'})", where, str(len(seen)), precision, recall)
    return table


def _observed(folder: Path) -> list[tuple[tuple[str, str], Signal, list[tuple[bool, bool]]]]:
    """For each signal and each set that can show it, per answer: whether it has the signal, and whether it is wrong."""
    found = [
        (("effort", f"{name}, {unit}"), EFFORT, _efforts(_read(folder, name), unit))
        for name, unit in (
            ("outcomes_swebench_verified", "cost_usd"),
            ("outcomes_swebench_verified", "api_calls"),
            ("outcomes_routerbench_mbpp", "cost_usd"),
        )
    ]
    if (folder / "replay_mbpp.jsonl.gz").exists():
        answers = [answer for row in _read(folder, "replay_mbpp") for answer in row["answers"].values()]
        unfinished = [(is_unfinished(read_answer(a["response"], prose=False)), not a["passes"]) for a in answers]
        found.append((("unfinished", "replay_mbpp"), UNFINISHED, unfinished))
    return found


def _efforts(rows: _Rows, unit: str) -> list[tuple[bool, bool]]:
    verdicts: list[tuple[bool, bool]] = []
    for model in _models(rows):
        outcomes = [row["outcomes"][model] for row in rows if row["outcomes"][model].get(unit)]
        if outcomes:
            usual = statistics.median(outcome[unit] for outcome in outcomes)
            verdicts += [(takes_too_much(o[unit], usual), o["correct"] < 0.5) for o in outcomes]
    return verdicts


def _read(folder: Path, name: str) -> _Rows:
    """The rows in a fixed random order."""
    rows = read_rows(folder / f"{name}.jsonl.gz")
    random.Random(_SEED).shuffle(rows)  # noqa: S311 - nothing secret
    return rows


def _models(rows: _Rows) -> list[str]:
    """The models that every row has."""
    return sorted(set[str].intersection(*(set(row["outcomes"]) for row in rows)))


def _solves(row: Mapping[str, Any], model: str) -> bool:
    return row["outcomes"][model]["correct"] >= 0.5
