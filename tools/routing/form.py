"""Numeric features of a task's text, for the weights that were fitted on human ratings of tasks."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from .reading import Reading


def form_of(task: str, reading: Reading, points: Mapping[str, float]) -> dict[str, float]:
    """The features by name. points: contributions of the scorer's own factors, by name."""
    text, words = reading.own_text, reading.words
    count = len(words) + 1
    symbols = sum(len(word) == 1 and word.isascii() for word in reading.distinct_words)
    exponents = [int(digits) for digits in _EXPONENT.findall(task)]
    sentences = sum(map(text.count, _SENTENCE_ENDS)) + 1
    figures = {f"points:{name}": points.get(name, 0.0) for name in FACTORS}
    figures |= {
        "words": math.log1p(len(words)),
        "characters": math.log1p(len(text)),
        "pasted lines": math.log1p(reading.pasted_lines),
        "list items": math.log1p(reading.list_items),
        "largest bound": float(max(exponents, default=0)),
        "smallest bound": float(min(exponents, default=0)),
        "largest number": float(max(map(len, _NUMBER.findall(text)), default=0)),
        "symbols": math.log1p(symbols),
        "symbols per word": 10 * symbols / count,
        "distinct words": math.log1p(len(reading.distinct_words)),
        "distinct words per word": len(reading.distinct_words) / count,
        "letters per word": (len(reading.flow) - count) / count,
        "digits": math.log1p(sum(map(text.count, _DIGITS))),
        "comparisons": math.log1p(sum(map(task.count, _COMPARISONS))),
        "subscripts": math.log1p(task.count("_")),
        "quotes": math.log1p(task.count('"')),
        "brackets": math.log1p(task.count("(")),
        "backticks": math.log1p(task.count("`")),
        "addresses": math.log1p(task.count("://")),
        "errors": math.log1p(sum(map(task.count, _ERRORS))),
        "sentences": math.log1p(sentences),
        "words per sentence": count / sentences / 10,
    }
    counted = Counter(words)
    for name, some in _SHARES.items():
        figures[f"share of {name}"] = 30 * sum(counted[word] for word in some) / count
    return figures


FACTORS: Sequence[str] = (
    "task_type",
    "length",
    "names",
    "scope",
    "system",
    "requirements",
    "substantial",
    "performance",
    "concurrency",
    "security",
    "integrity",
    "algorithms",
    "graphs",
    "counting",
    "quantities",
    "pasted_text",
)
"""The scorer's own factors that also serve as features."""

_SHARES: Mapping[str, Sequence[str]] = {
    name: name.split()
    for name in (
        "each", "if when", "can", "any", "such", "string", "or and", "you your", "the", "of", "is", "following",
        "return", "print",
    )
}  # fmt: skip
_EXPONENT = re.compile(r"\b10\s?(?:\^|\*\*)\s?\{?(\d{1,2})")
_NUMBER = re.compile(r"\b\d{4,18}\b")
_DIGITS = "0123456789"
_COMPARISONS = ("<", ">", "=", "≤", "≥", "\\le")
_SENTENCE_ENDS = (". ", ".\n", "? ", "?\n", "! ", "!\n")
_ERRORS = ("Traceback", "Exception", "Error")
