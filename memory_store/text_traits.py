"""The form of a text in a few figures: how long, how many lines, digits and signs, how large the bounds it sets.

Cheap, and no reading.
"""

import math
import re
from collections.abc import Sequence
from functools import lru_cache

FLOOR: Sequence[float] = (0.2, 0.4, 0.3, 0.3, 0.4, 0.4, 0.3, 2.0, 0.5, 0.4)
"""The least spread of each figure, complexity last, that makes a difference between texts of one kind."""

_DIGITS = "0123456789"
_POWER_OF_TEN = re.compile(r"10\s?(?:\^|\*\*)\s?\{?(\d{1,2})")
_AT_MOST = ("<=", "≤", "\\le")
_READ = 12_000
"""Characters; what follows says no more of the form."""


@lru_cache(maxsize=2_048)
def traits_of(text: str) -> tuple[float, ...]:
    """Logarithms of counts, the mean length of a word, the greatest power of ten.

    In the order of `FLOOR`, complexity left out.
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
