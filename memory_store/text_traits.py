"""Cheap numeric traits of a text: length, lines, digits, symbols and the size of stated bounds."""

import math
import re
from collections.abc import Sequence
from functools import lru_cache

FLOOR: Sequence[float] = (0.2, 0.4, 0.3, 0.3, 0.4, 0.4, 0.3, 2.0, 0.5, 0.4)
"""Minimum standard deviation that matters for each trait; the last is for complexity."""

_DIGITS = "0123456789"
_POWER_OF_TEN = re.compile(r"10\s?(?:\^|\*\*)\s?\{?(\d{1,2})")
_AT_MOST = ("<=", "≤", "\\le")
_READ = 12_000
"""Characters read; the rest adds nothing."""


@lru_cache(maxsize=2_048)
def traits_of(text: str) -> tuple[float, ...]:
    """Logarithms of counts, mean word length and the largest power of ten.

    In the order of `FLOOR`, without complexity.
    """
    read = text[:_READ]
    spaces = read.count(" ") + read.count("\n") + 1
    return (
        math.log1p(len(text)),
        len(read) / spaces,
        math.log1p(sum(map(read.count, _DIGITS))),
        math.log1p(read.count("\n")),
        math.log1p(read.count("`")),
        math.log1p(read.count("$")),
        math.log1p(read.count("(")),
        float(max(map(int, _POWER_OF_TEN.findall(read)), default=0)),
        math.log1p(sum(map(read.count, _AT_MOST))),
    )
