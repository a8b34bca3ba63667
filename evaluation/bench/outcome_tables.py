"""Loads a file of published outcomes, and predicts them with the product and with simple baselines."""

import math
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from ...memory_store.care.outcome_rows import OutcomeRow
from ...memory_store.confidence import Belief
from ...memory_store.embedding.lexical import embed
from ...memory_store.tendency import NEIGHBOURS, Outcomes, Traits, expected_successes
from ...memory_store.text_traits import FLOOR, traits_of
from ...profiles.validation import first_problem
from ...tools.routing.deciding import analyze
from ..json_lines import read_rows, unpacked

Block: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.int64]

_PRIOR = Belief(1.2, 0.8)
_LEAST_TASKS = 9
_PLACES = 4096
_WORD = re.compile(r"[a-z]+|\d+")
_NEIGHBOURS_TRIED = (10, 20, 40, 80)


@dataclass(frozen=True)
class OutcomeTable:
    """Tasks in rows, models in columns, cheapest first, or weakest first if no costs are known."""

    models: Sequence[str]
    solved: Block
    cost: Block
    """Mean known cost of one attempt, by model; 1 for all models if any has no known cost."""
    paid: Block
    """Cost of each attempt; the model's mean where it is not known."""
    has_costs: bool
    lengths: Block
    vectors: npt.NDArray[np.float32]
    traits: Block
    counts: npt.NDArray[np.float32]
    """Counts of hashed words, for TF-IDF."""
    notes: Sequence[str] = ()
    """Sentences on what the file's figures leave out, or flatter."""

    @property
    def tasks(self) -> Rows:
        return np.arange(len(self.solved))


def read_outcomes(file: Path, limit: int | None = None) -> OutcomeTable:
    """Load a file of outcomes; models that any row lacks are left out. Raises OSError or ValueError."""
    rows = read_rows(file)[:limit]
    if not rows or "outcomes" not in rows[0]:
        raise ValueError(f"{file}: its rows hold no `outcomes`")
    parsed = [_outcomes(row, file, number) for number, row in enumerate(rows, start=1)]
    names = sorted(set[str].intersection(*(set(row.outcomes) for row in parsed)))
    if len(rows) < _LEAST_TASKS or len(names) < 2:
        raise ValueError(
            f"{file} has {len(rows)} tasks with outcomes of {len(names)} models in common. Name a file with at least"
            f" {_LEAST_TASKS} tasks and 2 models."
        )
    solved = np.array([[float(row.outcomes[name].correct) for name in names] for row in parsed])
    known_outcomes = [[row.outcomes[name].cost_usd for name in names] for row in parsed]
    known = np.array([[cost is not None for cost in row] for row in known_outcomes]).sum(axis=0)
    costs = np.array([[cost or 0.0 for cost in row] for row in known_outcomes]).sum(axis=0) / np.maximum(known, 1)
    has_costs = bool(known.all() and costs.any())
    paid = np.array([[costs[n] if cost is None else cost for n, cost in enumerate(row)] for row in known_outcomes])
    order = sorted(range(len(names)), key=lambda n: (costs[n] if has_costs else 0.0, solved[:, n].mean()))
    texts = [row.prompt for row in parsed]
    return OutcomeTable(
        models=[names[n] for n in order],
        solved=solved[:, order],
        cost=costs[order] if has_costs else np.ones(len(names)),
        paid=paid[:, order] if has_costs else np.ones_like(solved),
        has_costs=has_costs,
        lengths=np.array([len(text) for text in texts], dtype=np.float64),
        vectors=embed(texts),
        traits=np.array([(*traits_of(text), analyze(text, None, ()).complexity.score) for text in texts]),
        counts=np.stack([_counts(text) for text in texts]),
        notes=[*_notes(parsed, names)],
    )


def _notes(rows: Sequence[OutcomeRow], names: Sequence[str]) -> Iterator[str]:
    if left_out := sorted(set[str].union(*(set(row.outcomes) for row in rows)).difference(names)):
        yield f"Some rows lack outcomes of {', '.join(left_out)}: left out."
    if repeats := len(rows) - len({row.prompt for row in rows}):
        yield f"{repeats} of {len(rows)} tasks repeat another's text, whose outcomes may be known when they are asked."


def _outcomes(row: object, file: Path, number: int) -> OutcomeRow:
    try:
        return OutcomeRow.model_validate(row)
    except ValidationError as error:
        raise ValueError(f"{file}, row {number}: {first_problem(error)}. Correct it there.") from error


def product_chances(table: OutcomeTable, known: Rows, asked: Rows, weight: Block | None = None) -> Block:
    """The product's expectations, one row per asked task. weight: which outcomes are known; None: all."""
    similarity = table.vectors[asked] @ table.vectors[known].T
    found = np.empty((len(asked), len(table.models)))
    for row, task in enumerate(asked):
        nearest = (
            known if len(known) <= NEIGHBOURS else known[np.argpartition(-similarity[row], NEIGHBOURS)[:NEIGHBOURS]]
        )
        known_outcomes = np.ones((len(nearest), len(table.models))) if weight is None else weight[nearest]
        chances = expected_successes(
            Outcomes(table.models, table.solved[nearest], known_outcomes),
            table.vectors[nearest],
            table.vectors[task],
            Traits(table.traits[nearest], table.traits[task], FLOOR),
            [_PRIOR] * len(table.models),
        )
        found[row] = list(chances.values())
    return found


def neighbour_chances(table: OutcomeTable, known: Rows, asked: Rows) -> Block:
    """kNN over TF-IDF, with the number of neighbours tuned on the known tasks."""
    vectors = _tf_idf(table.counts, known)
    among = vectors[known] @ vectors[known].T
    np.fill_diagonal(among, -1.0)
    solved = table.solved[known]
    errors = {k: float(((_nearest(among, k, solved) - solved) ** 2).mean()) for k in _NEIGHBOURS_TRIED}
    return _nearest(vectors[asked] @ vectors[known].T, min(errors, key=errors.__getitem__), solved)


def ridge_chances(table: OutcomeTable, known: Rows, asked: Rows) -> Block:
    """Ridge regression over TF-IDF."""
    vectors = _tf_idf(table.counts, known)
    mean, level = vectors[known].mean(axis=0), table.solved[known].mean(axis=0)
    nearest: Block = (vectors[known] - mean).astype(np.float64)
    far: Block = (vectors[asked] - mean).astype(np.float64)
    kernel: Block = np.asarray(nearest @ nearest.T + 3.0 * np.eye(len(known)), dtype=np.float64)
    rest: Block = np.asarray(table.solved[known] - level, dtype=np.float64)
    return np.asarray(level + far @ nearest.T @ np.linalg.solve(kernel, rest), dtype=np.float64)


def length_chances(table: OutcomeTable, known: Rows, asked: Rows) -> Block:
    """Baseline: the longer the text, the greater the stronger model's advantage."""
    strength = np.argsort(np.argsort(table.solved[known].mean(axis=0))) / max(1, len(table.models) - 1)
    return (table.lengths[asked] / table.lengths.max())[:, None] * strength


def random_chances(table: OutcomeTable, known: Rows, asked: Rows) -> Block:
    return np.random.default_rng(len(known)).random((len(asked), len(table.models)))


def has_outcomes(file: Path) -> bool:
    """Whether the file's first row holds outcomes. Also False for an unreadable file."""
    try:
        return b'"outcomes"' in unpacked(file.read_bytes()).lstrip().partition(b"\n")[0]
    except OSError:
        return False


def _counts(text: str) -> npt.NDArray[np.float32]:
    counts = np.zeros(_PLACES, dtype=np.float32)
    for word, number in Counter(_WORD.findall(text.lower())).items():
        counts[zlib.crc32(word.encode()) % _PLACES] += 1 + math.log(number)
    return counts


def _tf_idf(counts: npt.NDArray[np.float32], known: Rows) -> npt.NDArray[np.float32]:
    rarity = np.log((1 + len(known)) / (1 + (counts[known] > 0).sum(axis=0))) + 1
    vectors = counts * rarity
    return (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def _nearest(similarity: npt.NDArray[np.float32], count: int, solved: Block) -> Block:
    count = min(count, similarity.shape[1] - 1)
    return solved[np.argpartition(-similarity, count, axis=1)[:, :count]].mean(axis=1)
