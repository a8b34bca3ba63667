"""Fits the weights in `tools/routing/complexity_weights.json` to tasks rated by people or attempted by models.

    python -m chargehand.evaluation.fit_complexity --out complexity_weights.json \\
        --rated difficulty_livecodebench.jsonl.gz --solved outcomes_livecodebench.jsonl.gz \\
        --solved outcomes_routerbench_mbpp.jsonl.gz --solved outcomes_llmrouter_mixed.jsonl.gz#code-function

The project's own requests (`own_tasks.jsonl`) are always added; the named factors were made for them, so their
residual is 0. Arguments are paths or URLs of data sets in `LICENCES`; others are refused. The weights are a ridge
regression of the residual that the named factors leave of each set's ratings, standardised per set, since a
contest's `hard` is not an exercise's.
"""

import argparse
import base64
import datetime as dt
import hashlib
import json
import math
import sys
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..tools.routing.complexity import name_factors
from ..tools.routing.correction import BUCKETS, CLIP_AT, WEIGHTS, strength_of, word_buckets
from ..tools.routing.form import form_of
from ..tools.routing.reading import read_task
from ..tools.routing.task_type import infer_task_type
from .json_lines import rows_of

if TYPE_CHECKING:
    import numpy.typing as npt

    Block = npt.NDArray[np.float64]

LICENCES = {
    "livecodebench": ("LiveCodeBench, https://livecodebench.github.io", "MIT"),
    "routerbench_mbpp": ("RouterBench answers to MBPP, via shuhao02/RouterDC", "CC BY 4.0 and MIT"),
    "llmrouter_mixed": ("ulab-uiuc/LLMRouter", "MIT"),
    "own_tasks": ("Chargehand, evaluation/own_tasks.jsonl", "MIT"),
}
"""By the end of the file's name: the data set, and the licence that allows deriving weights from it."""

# Points of complexity per standard deviation of a set's ratings, and the weight of each row. By cross-validation on
# these sets: halving or doubling any of them changes the rank correlations by at most 0.01.
_POINTS_PER_SPREAD = {"livecodebench": 0.95}
_POINTS_PER_SPREAD_ELSE = 0.55
_WEIGHT = {"livecodebench": 1.0, "own_tasks": 3.0}
_WEIGHT_ELSE = 0.5
_FORM_PRIOR, _WORDS_PRIOR = 3.0, 0.5
_SHARE_OF_SOLVED = 0.7
"""Weight of the models' results relative to people's ratings, where both are known."""
_BYTE = 127


OWN_TASKS = Path(__file__).with_name("own_tasks.jsonl")


@dataclass(frozen=True)
class RatedSet:
    """Tasks with their difficulty relative to their set."""

    name: str
    texts: Sequence[str]
    difficulty: "Block"
    """Higher is harder; mean 0, standard deviation 1 (all 0 for the own tasks)."""
    checksum: str
    is_own: bool = False
    """True: the named factors are taken as exact, so the residual is 0."""


@dataclass(frozen=True)
class Weights:
    """The fitted weights, as `correction.py` reads them."""

    form: dict[str, tuple[float, float, float]]
    words: "npt.NDArray[np.int8]"
    points_per_unit: float


def fit(sets: Sequence[RatedSet]) -> Weights:
    """Fit the weights to the residual of the sets' ratings after the named factors."""
    features: list[_Features] = []
    rests: list[Block] = []
    weights: list[float] = []
    for rated in sets:
        rows = [_features(text) for text in rated.texts]
        named = np.array([row.named for row in rows])
        rest = _POINTS_PER_SPREAD.get(rated.name, _POINTS_PER_SPREAD_ELSE) * rated.difficulty
        features += rows
        rests.append(rest if rated.is_own else rest - (named - named.mean()))
        weights += [_WEIGHT.get(rated.name, _WEIGHT_ELSE)] * len(rows)
    strength = np.array([[row.strength] for row in features])
    names = list(features[0].figures)
    raw: Block = np.array([[row.figures[name] for name in names] for row in features])
    mean, spread = raw.mean(axis=0), raw.std(axis=0) + 1e-3
    form: Block = strength * np.clip((raw - mean) / spread, -CLIP_AT, CLIP_AT) / math.sqrt(len(names))
    said: Block = strength * np.stack([row.words for row in features])
    kernel = _FORM_PRIOR * form @ form.T + _WORDS_PRIOR * said @ said.T
    shares = np.linalg.solve(kernel + np.diag(1 / np.array(weights)), np.concatenate(rests))
    of_form: Block = _FORM_PRIOR * form.T @ shares / math.sqrt(len(names))
    of_words: Block = _WORDS_PRIOR * said.T @ shares
    unit = float(np.abs(of_words).max()) / _BYTE
    return Weights(
        form={
            name: (round(m, 4), round(s, 4), round(points, 4))
            for name, m, s, points in zip(names, mean.tolist(), spread.tolist(), of_form.tolist(), strict=True)
        },
        words=np.round(of_words / unit).astype(np.int8),
        points_per_unit=unit,
    )


@dataclass(frozen=True)
class _Features:
    figures: dict[str, float]
    strength: float
    """Factor applied to figures and words, 0 to 1."""
    words: "Block"
    named: float


def _features(text: str) -> _Features:
    reading = read_task(text)
    named = name_factors(reading, infer_task_type(text))
    points = {factor.name: factor.contribution for factor in named.factors}
    words = np.zeros(BUCKETS)
    for _, bucket, count in word_buckets(reading):
        words[bucket] += count
    length = math.sqrt(sum(count * count for _, _, count in word_buckets(reading))) or 1.0
    strength = strength_of(reading) * (1 - named.triviality)
    return _Features(form_of(text, reading, points), strength, words / length, sum(points.values()))


def read_sets(rated: Sequence[str], solved: Sequence[str]) -> list[RatedSet]:
    """Load the sets, merging ratings and outcomes of the same one. Raises ValueError for an unknown set, or OSError."""
    own = OWN_TASKS.read_bytes()
    texts = [row["text"] for row in rows_of(own)]
    by_name = {"own_tasks": RatedSet("own_tasks", texts, np.zeros(len(texts)), _checksum(own), is_own=True)}
    for place in solved:
        source, _, domain = place.partition("#")
        name, content = _name_of(source), _content(source)
        rows = [row for row in rows_of(content) if not domain or row["domain"] == domain]
        missed = [1 - _mean(float(o["correct"]) for o in row["outcomes"].values()) for row in rows]
        by_name[name] = RatedSet(name, [row["prompt"] for row in rows], _standard(missed), _checksum(content))
    for place in rated:
        name, content = _name_of(place), _content(place)
        rows = rows_of(content)
        said = _standard([float(row["difficulty"]) for row in rows])
        known = by_name.get(name)
        checksum = _checksum(content)
        if known is not None:
            of_text = dict(zip(known.texts, known.difficulty.tolist(), strict=True))
            missed = np.array([of_text.get(row["text"], 0.0) for row in rows])
            said = _standard((said + _SHARE_OF_SOLVED * missed).tolist())
            checksum = f"{checksum} {known.checksum}"
        by_name[name] = RatedSet(name, [row["text"] for row in rows], said, checksum)
    return list(by_name.values())


def _name_of(place: str) -> str:
    name = Path(place.partition("?")[0]).name.removesuffix(".gz").removesuffix(".jsonl")
    known = next((known for known in LICENCES if name.endswith(known)), None)
    if known is None:
        raise ValueError(f"{place}: weights may be made of {', '.join(LICENCES)} only; LICENCES says why.")
    return known


def _content(place: str) -> bytes:
    if place.startswith(("http://", "https://")):
        with urllib.request.urlopen(place, timeout=120) as response:  # noqa: S310 - one of these two schemes
            return response.read()
    return Path(place).read_bytes()


def _checksum(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _mean(values: Any) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


def _standard(values: Sequence[float]) -> "Block":
    block = np.array(values)
    return (block - block.mean()) / (block.std() or 1.0)


def as_json(weights: Weights, sets: Sequence[RatedSet], made: dt.date) -> str:
    """The content of the weights file."""
    content = {
        "about": "Made by evaluation/fit_complexity.py; points of complexity, see tools/routing/correction.py.",
        "made": made.isoformat(),
        "sources": [
            {
                "name": LICENCES[rated.name][0],
                "licence": LICENCES[rated.name][1],
                "tasks": len(rated.texts),
                "checksum": rated.checksum,
            }
            for rated in sets
        ],
        "form": {
            name: {"mean": mean, "spread": spread, "points": points}
            for name, (mean, spread, points) in weights.form.items()
        },
        "points_per_unit": weights.points_per_unit,
        "words": base64.b64encode(weights.words.tobytes()).decode(),
    }
    return json.dumps(content, indent=1) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rated", action="append", default=[], help="rows of text and difficulty")
    parser.add_argument("--solved", action="append", default=[], help="rows of prompt and outcomes; FILE#domain")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    chosen = parser.parse_args()
    try:
        sets = read_sets(chosen.rated, chosen.solved)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    chosen.out.write_text(as_json(fit(sets), sets, dt.datetime.now(dt.UTC).date()), encoding="utf-8")
    sys.stdout.write(f"{chosen.out}: {sum(len(rated.texts) for rated in sets)} tasks of {len(sets)} sets\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
