"""Online learning from bandit feedback: tasks in sequence, one answer each, and only its outcome is revealed.

The reward is solved tasks minus weighted spend. Each attempt is paid at its own cost, but choices know only the mean
cost of each model. Compared are the product's choices, the same without exploration, a greedy choice by the nearest
tasks, and each model alone, the best of which is known only in hindsight.
"""

from collections.abc import Callable

import numpy as np
from rich.table import Table

from ...memory_store.tendency import NEIGHBOURS
from ...tools.routing.exploration import sample_success
from .outcome_tables import Block, OutcomeTable, Rows, product_chances

PRICE_OF_SPEND = 0.3
"""Price of one answer of the most expensive model, in solved tasks."""
_NEAREST, _NEAREST_PRIOR = 20, 0.6

_Chooser = Callable[[int, Rows, Block], Block]
"""Called with a task, the earlier tasks, and which outcomes are known (0 or 1, by task and model); gives each model's
chance of success."""


def learn_online(table: OutcomeTable, seeds: int) -> Table:
    """Run each strategy; one row each. seeds: the number of random task orders."""
    price = PRICE_OF_SPEND * table.cost / table.cost.max()
    paid = PRICE_OF_SPEND * table.paid / table.cost.max()
    shown = Table("", "reward", "least to most", title=f"learning from own choices, {seeds} orders of the tasks")

    def add(name: str, rewards: list[float]) -> None:
        shown.add_row(name, f"{np.mean(rewards):.3f}", f"{min(rewards):.3f} to {max(rewards):.3f}")

    for place, model in enumerate(table.models):
        add(f"always {model}", [float((table.solved[:, place] - paid[:, place]).mean())])
    add("kNN, greedy", [_reward(table, price, paid, seed, _nearest(table)) for seed in range(seeds)])
    add("Chargehand, nothing tried out", [_reward(table, price, paid, seed, _greedy(table)) for seed in range(seeds)])
    add("Chargehand", [_reward(table, price, paid, seed, _exploring(table, seed)) for seed in range(seeds)])
    return shown


def _reward(table: OutcomeTable, price: Block, paid: Block, seed: int, chances: _Chooser) -> float:
    order = np.random.default_rng(seed).permutation(table.tasks)
    asked = np.zeros(table.solved.shape)
    total = 0.0
    for turn, task in enumerate(order.tolist()):
        chosen = int((chances(task, order[:turn], asked) - price).argmax())
        asked[task, chosen] = 1.0
        total += float(table.solved[task, chosen] - paid[task, chosen])
    return total / len(order)


def _greedy(table: OutcomeTable) -> _Chooser:
    def chances(task: int, before: Rows, asked: Block) -> Block:
        return product_chances(table, before, np.array([task]), asked)[0]

    return chances


def _exploring(table: OutcomeTable, seed: int) -> _Chooser:
    greedy = _greedy(table)

    def chances(task: int, before: Rows, asked: Block) -> Block:
        alike = table.vectors[before] @ table.vectors[task]
        known = asked[before[np.argsort(-alike)[:NEIGHBOURS]]].sum(axis=0)
        found = greedy(task, before, asked)
        occasions = [f"{seed} {task} {model}" for model in table.models]
        return np.array([*map(sample_success, found.tolist(), known.tolist(), occasions)])

    return chances


def _nearest(table: OutcomeTable) -> _Chooser:
    """The mean outcome of the nearest tasks that the model was asked, with a prior worth two tasks."""

    def chances(task: int, before: Rows, asked: Block) -> Block:
        near = before[np.argsort(-(table.vectors[before] @ table.vectors[task]))]
        found = np.empty(len(table.models))
        for place in range(len(table.models)):
            own = near[asked[near, place] > 0][:_NEAREST]
            found[place] = (table.solved[own, place].sum() + 2 * _NEAREST_PRIOR) / (len(own) + 2)
        return found

    return chances
