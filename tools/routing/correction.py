"""Corrects the score by weights of a text's form and words, which were fitted on human ratings of tasks.

Made by `evaluation/fit_complexity.py` from datasets whose licences allow it; `complexity_weights.json` lists them.
The named factors are corrected, not replaced; short requests, absent from those datasets, are left alone.
"""

import base64
import json
import math
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from heapq import nlargest
from itertools import pairwise
from pathlib import Path

from .reading import Reading

WEIGHTS = Path(__file__).with_name("complexity_weights.json")
BUCKETS = 8192
"""Number of buckets that words and word pairs are hashed into."""
CLIP_AT = 3.0
"""Features are clipped to this many standard deviations from the mean."""
MOST_POINTS = 2.0
"""Maximum that form, or words, can add or subtract."""

_MOST_NAMED = 4
_WORDS_READ = 600
# No correction up to the first number of words, full correction from the second.
_FROM_WORDS, _FULLY_WORDS = 20, 60


@dataclass(frozen=True)
class Correction:
    """Points of complexity, with the signs that contribute most, largest first."""

    form: float
    form_signs: tuple[str, ...]
    words: float
    word_signs: tuple[str, ...]


@dataclass(frozen=True)
class _Weights:
    form: Mapping[str, tuple[float, float, float]]
    """By feature: mean, standard deviation, and points per standard deviation above the mean."""
    words: "array[int]"
    points_per_unit: float


def correct(reading: Reading, figures: Mapping[str, float]) -> Correction:
    """The correction to the score of a text. figures: its features, from `form_of`."""
    weights = _weights()
    strength = strength_of(reading)
    form = {
        name: strength * points * min(CLIP_AT, max(-CLIP_AT, (figures[name] - mean) / spread))
        for name, (mean, spread, points) in weights.form.items()
    }
    counted = word_buckets(reading)
    length = math.sqrt(math.fsum(value * value for _, _, value in counted)) or 1.0
    scale = strength * weights.points_per_unit / length
    words = [(term, scale * value * weights.words[bucket]) for term, bucket, value in counted]
    return Correction(
        form=_within(math.fsum(form.values())),
        form_signs=_weightiest(form.items()),
        words=_within(math.fsum(points for _, points in words)),
        word_signs=_weightiest(words),
    )


def strength_of(reading: Reading) -> float:
    """How strongly a text of this length is corrected, 0 to 1."""
    return min(1.0, max(0.0, (reading.length - _FROM_WORDS) / (_FULLY_WORDS - _FROM_WORDS)))


def word_buckets(reading: Reading) -> list[tuple[str, int, float]]:
    """The text's words and word pairs, each with its bucket and 1 + ln(count)."""
    words = reading.words[:_WORDS_READ]
    counts = Counter(words)
    counts.update(map(" ".join, pairwise(words)))
    return [(term, _bucket(term), 1.0 + math.log(count)) for term, count in counts.items()]


def _bucket(term: str) -> int:
    return ((zlib.crc32(term.encode("utf-8", "surrogatepass")) * 0x9E3779B1) & 0xFFFFFFFF) >> 19


def _within(points: float) -> float:
    return min(MOST_POINTS, max(-MOST_POINTS, points))


def _weightiest(signs: Iterable[tuple[str, float]]) -> tuple[str, ...]:
    ordered = nlargest(_MOST_NAMED, signs, key=lambda sign: abs(sign[1]))
    return tuple(f"{name} {points:+.2f}" for name, points in ordered if abs(points) >= 0.01)


@cache
def _weights() -> _Weights:
    """The weights, read from the file on first use."""
    content = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return _Weights(
        form={name: (row["mean"], row["spread"], row["points"]) for name, row in content["form"].items()},
        words=array("b", base64.b64decode(content["words"])),
        points_per_unit=content["points_per_unit"],
    )
