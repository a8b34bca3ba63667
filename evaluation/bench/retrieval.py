"""Retrieval quality of the lexical embedder, compared with exact TF-IDF on the same texts.

TF-IDF is fitted to the texts it searches and keeps every word; the embedder is not fitted and keeps 256 numbers. Half
of each set is remembered, the other half queried. On a set of one kind of work neither finds much, nor does anything
else that reads only the text.
"""

import math
import random
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.to_thread
import numpy as np
import numpy.typing as npt
from rich.table import Table

from ...memory_store.embedding import lexical
from ..json_lines import read_rows
from .output import output, refuse

_SETS = (
    "outcomes_llmrouter_mixed",
    "outcomes_mixed_tiers",
    "outcomes_routellm_mmlu",
    "outcomes_livecodebench",
    "outcomes_routerbench_mbpp",
    "outcomes_swebench_verified",
)
_ROWS_AT_MOST = 3_000
_NEIGHBOURS = 20
_SEED = 0
_WORD = re.compile(r"\b\w\w+\b")

_Table = npt.NDArray[np.float32]
_Encode = Callable[[Sequence[str], Sequence[str]], tuple[_Table, _Table]]
"""Called with the remembered texts and the queries; gives the vectors of both."""


@dataclass(frozen=True)
class Quality:
    """The retrieval quality of one encoding on one set."""

    auroc: float
    """AUROC of the neighbours' success rate as a predictor of success, mean over the models."""
    apgr: float
    """APGR of routing to the best model where the neighbours predict its largest gain over the worst; random: 0.5."""
    same_domain: float
    """Share of tasks whose nearest neighbour is of the same domain."""
    found: float
    """Share of perturbed tasks whose nearest neighbour is their original."""


async def measure_retrieval(folder: Path) -> int:
    """Print the figures and their ratios; returns the exit code. folder: contains the `outcomes_*.jsonl.gz`."""
    return await anyio.to_thread.run_sync(_measure, folder)


def _measure(folder: Path) -> int:
    table = Table(
        "set", "tasks", "AUROC", "APGR", "same domain", "perturbed found", title="lexical / TF-IDF = ratio, k = 20"
    )
    console = output()
    files = [file for name in _SETS if (file := folder / f"{name}.jsonl.gz").exists()]
    if not files:
        return refuse(f"no outcomes_*.jsonl.gz in {folder}: give the folder that holds them")
    for file in files:
        rows = _rows(file)
        ours, theirs = _quality(rows, _lexical), _quality(rows, _tf_idf)
        name = file.name.removeprefix("outcomes_").removesuffix(".jsonl.gz")
        table.add_row(name, str(len(rows)), *(_ratio(ours, theirs, what) for what in Quality.__dataclass_fields__))
    console.print(table)
    for file in files:
        console.print(f"{file.name}: {_speed([row['prompt'] for row in _rows(file)[:500]])}")
    return 0


def _rows(file: Path) -> list[dict[str, Any]]:
    """The rows in the files' own format (hence Any), in a fixed random order."""
    rows = read_rows(file)
    random.Random(_SEED).shuffle(rows)  # noqa: S311 - nothing secret
    return rows[:_ROWS_AT_MOST]


def _quality(rows: Sequence[dict[str, Any]], encode: _Encode) -> Quality:
    remembered, asked = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    models = sorted(set[str].intersection(*(set(row["outcomes"]) for row in rows)))
    known, true = _successes(remembered, models), _successes(asked, models)
    old, new = encode([row["prompt"] for row in remembered], [row["prompt"] for row in asked])
    similar = new @ old.T
    predicted = _shares_of_success(similar, known)
    aurocs = [_auroc(true[:, model], predicted[:, model]) for model in range(len(models))]
    weak, strong = int(true.mean(axis=0).argmin()), int(true.mean(axis=0).argmax())
    nearest = similar.argmax(axis=1)
    return Quality(
        auroc=statistics.mean(auroc for auroc in aurocs if auroc is not None),
        apgr=_apgr(true[:, weak], true[:, strong], predicted[:, strong] - predicted[:, weak]),
        same_domain=_share(
            remembered[int(place)]["domain"] == row["domain"] for place, row in zip(nearest, asked, strict=True)
        ),
        found=_found([row["prompt"] for row in remembered], encode),
    )


def _share(claims: Iterable[bool]) -> float:
    return statistics.mean(map(float, claims))


def _successes(rows: Sequence[dict[str, Any]], models: Sequence[str]) -> _Table:
    return np.array([[float(row["outcomes"][model]["correct"]) for model in models] for row in rows], dtype=np.float32)


def _shares_of_success(similar: _Table, known: _Table) -> _Table:
    nearest = np.argpartition(-similar, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]
    weights = np.maximum(np.take_along_axis(similar, nearest, axis=1), 0) ** 2 + 1e-6
    return np.einsum("nk,nkm->nm", weights, known[nearest]) / weights.sum(axis=1, keepdims=True)


def _found(texts: Sequence[str], encode: _Encode) -> float:
    distinct = list(dict.fromkeys(texts))
    chance = random.Random(_SEED)  # noqa: S311 - nothing secret
    originals, perturbed = encode(distinct, [_perturbed(text, chance) for text in distinct])
    return float(((perturbed @ originals.T).argmax(axis=1) == np.arange(len(distinct))).mean())


def _perturbed(text: str, chance: random.Random) -> str:
    """The text with its sentences reordered, a sixth of its words removed, and polite phrases added."""
    sentences = re.split(r"(?<=[.!?\n])\s+", text)
    chance.shuffle(sentences)
    words = [word.upper() if chance.random() < 0.1 else word for word in " ".join(sentences).split()]
    kept = [word for word in words if chance.random() > 1 / 6]
    return f"{chance.choice(('Please', 'Could you', 'I need this:'))} {' '.join(kept)} Thank you!"


def _lexical(remembered: Sequence[str], asked: Sequence[str]) -> tuple[_Table, _Table]:
    return lexical.embed(remembered), lexical.embed(asked)


def _tf_idf(remembered: Sequence[str], asked: Sequence[str]) -> tuple[_Table, _Table]:
    """Sublinear term frequency times smoothed inverse document frequency, as in scikit-learn."""
    documents = [Counter(_WORD.findall(text.lower())) for text in remembered]
    frequency = Counter(word for document in documents for word in document)
    place = {word: number for number, word in enumerate(frequency)}
    rarity = {word: math.log((1 + len(documents)) / (1 + count)) + 1 for word, count in frequency.items()}

    def table(counts: Sequence[Counter[str]]) -> _Table:
        vectors = np.zeros((len(counts), len(place)), dtype=np.float32)
        for row, document in enumerate(counts):
            for word, count in document.items():
                if word in place:
                    vectors[row, place[word]] = (1 + math.log(count)) * rarity[word]
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)

    return table(documents), table([Counter(_WORD.findall(text.lower())) for text in asked])


def _auroc(true: _Table, predicted: _Table) -> float | None:
    """The probability that a success is scored higher than a failure. None: there is only one of the two."""
    good, bad = predicted[true > 0.5], np.sort(predicted[true <= 0.5])
    if not len(good) or not len(bad):
        return None
    below, up_to = np.searchsorted(bad, good, "left"), np.searchsorted(bad, good, "right")
    return float((below + up_to).mean() / (2 * len(bad)))


def _apgr(weak: _Table, strong: _Table, gain: _Table) -> float:
    """The area under the recovered performance gap over the share of calls to the strong model (RouteLLM)."""
    order = np.argsort(-gain, kind="stable")
    gap = float(strong.mean() - weak.mean())
    recovered: list[float] = []
    for share in np.linspace(0, 1, 11):
        to_strong = order[: round(float(share) * len(order))]
        recovered.append(float((strong[to_strong] - weak[to_strong]).sum()) / len(order) / gap if gap else 0.0)
    return float(np.trapezoid(recovered, dx=0.1))


def _ratio(ours: Quality, theirs: Quality, what: str) -> str:
    one, other = getattr(ours, what), getattr(theirs, what)
    return f"{one:.3f} / {other:.3f} = {one / other:.2f}" if other else f"{one:.3f} / {other:.3f}"


def _speed(texts: Sequence[str]) -> str:
    lexical.embed(texts)
    milliseconds = sorted(_milliseconds(texts))
    length = statistics.median(map(len, texts))
    p50, p99 = milliseconds[len(milliseconds) // 2], milliseconds[len(milliseconds) * 99 // 100]
    return f"{length:g} characters (median) are embedded in {p50:.2f} ms (p50), {p99:.2f} ms (p99)"


def _milliseconds(texts: Sequence[str]) -> Iterator[float]:
    for text in texts:
        began = time.perf_counter()
        lexical.embed([text])
        yield (time.perf_counter() - began) * 1_000
