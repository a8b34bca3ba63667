"""The default embedder: hashed words and character n-grams. It downloads nothing and sends nothing.

It matches words regardless of order, case, identifier style (`user_name`, `userName`) and inflection (`parse`,
`parser`), and partially matches words that share n-grams. It knows no synonyms, so it misses paraphrases in
entirely different words.
"""

import math
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import anyio.to_thread

from .stems import stem
from .stop_words import STOP_WORDS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ..index.vector_index import Vectors

DIMENSIONS = 256
_VERSION = 1
"""To be incremented with every change that alters vectors."""
_SIMILAR_FROM = 0.5
"""Rewordings are above it (28 of 28 in the tests, the lowest at 0.70), unrelated tasks below (at most 0.31).

From about this value the outcomes of two tasks correlate: 0.05 to 0.5 on mixed work, contests and MMLU
(slightly lower, 0.01 on one kind of work). Short functions need 0.7, and for repository issues the text does not
predict outcomes at all.
"""

# Weights were measured (evaluation/bench/retrieval.py). Stems helped most with rewordings (the least similar
# pair rose from 0.56 to 0.69), n-grams with the kind of work. Word pairs distinguish `merge two sorted lists`
# from `sort two merged lists`. An IDF table from redistributable data sets was rejected: it gained 0.005 AUROC
# on mixed kinds of work, lost 0.06 on MMLU, and lowered the similarity of rewordings by 0.1.
_PIECES_WEIGHT = 1.0
_PIECE_LENGTHS = (3, 4, 5)
_PAIR_WEIGHT = 0.15
_STOP_WORD_WEIGHT = 0.1

# Splits camel and snake case: HTTPServer, parse_v2, naïve.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")
_STOP_STEMS = frozenset(map(stem, STOP_WORDS))
_HEAD, _TAIL = 12_000, 4_000
"""Characters read from the beginning and the end of a longer text."""
_KNOWN_WORDS = 4096
"""Cached word vectors, 1 kB each."""

_stem = lru_cache(maxsize=4 * _KNOWN_WORDS)(stem)


class LexicalEmbedder:
    """Implements `Embedder`."""

    id = f"lexical-{_VERSION}-{DIMENSIONS}"
    similar_from = _SIMILAR_FROM
    is_remote = False

    async def prepare(self) -> None:
        """See `Embedder`. Imports NumPy, which takes a tenth of a second."""
        await anyio.to_thread.run_sync(_warm_up)

    async def embed(self, texts: Sequence[str], *, local_only: bool = False) -> "Vectors":  # noqa: ARG002 - always local
        """See `Embedder`. All texts without words get the same vector."""
        return await anyio.to_thread.run_sync(embed, tuple(texts))

    async def aclose(self) -> None:
        """See `Embedder`."""


def embed(texts: Sequence[str]) -> "Vectors":
    """The texts' vectors, in order."""
    import numpy as np

    vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    for row, text in enumerate(texts):
        vectors[row] = _vector(text)
    return vectors


def words(text: str) -> list[str]:
    """The lowercase stems of a text's words, in order, with identifiers split into parts."""
    if len(text) > _HEAD + _TAIL:
        text = f"{text[:_HEAD]} {text[-_TAIL:]}"
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return [_stem(word.lower()) for word in _WORD.findall(text)]


def is_stop_word(word: str) -> bool:
    """Whether a word from `words` carries little meaning: grammar, politeness or a single letter."""
    return word in _STOP_STEMS or (len(word) == 1 and word.isascii() and word.isalpha())


def _vector(text: str) -> "npt.NDArray[np.float32]":
    import numpy as np

    in_order = words(text)
    if not in_order:
        return _unit(_word_vector(""))
    counts = Counter(in_order)
    weights = np.array(
        [(_STOP_WORD_WEIGHT if is_stop_word(word) else 1.0) * _dampened(n) for word, n in counts.items()],
        dtype=np.float32,
    )
    vector = weights @ np.stack([_word_vector(word) for word in counts])
    pairs = Counter(pairwise([word for word in in_order if not is_stop_word(word)]))
    for (first, second), n in pairs.items():
        place, sign = _place(f"{first} {second}")
        vector[place] += sign * _PAIR_WEIGHT * _dampened(n)
    return _unit(vector)


def _dampened(count: int) -> float:
    return 1.0 + math.log(count)


def _unit(vector: "npt.NDArray[np.float32]") -> "npt.NDArray[np.float32]":
    length = math.sqrt(float(vector @ vector))
    # Hashed features can cancel out; the text is then treated as having no words.
    return vector / length if length > 1e-6 else _unit(_word_vector(""))


@lru_cache(maxsize=_KNOWN_WORDS)
def _word_vector(word: str) -> "npt.NDArray[np.float32]":
    """The vector of a word and its n-grams, each hashed to one dimension. Cached, so it must not be modified."""
    import numpy as np

    vector = np.zeros(DIMENSIONS, dtype=np.float32)
    place, sign = _place(f"w {word}")
    vector[place] += sign
    pieces = _pieces(word)
    for piece in pieces:
        place, sign = _place(piece)
        vector[place] += sign * _PIECES_WEIGHT / math.sqrt(len(pieces))
    return vector


def _pieces(word: str) -> list[str]:
    # Scripts without spaces form long runs, in which two characters make a word.
    lengths = _PIECE_LENGTHS if word.isascii() else (2, 3)
    if len(word) < lengths[0]:
        return []
    bounded = f"<{word}>"
    return [bounded[at : at + n] for n in lengths for at in range(len(bounded) - n + 1)]


def _place(feature: str) -> tuple[int, float]:
    """The dimension and sign of a feature; the same on every machine, unlike `hash`."""
    # A CRC is linear, so similar features would collide systematically; the multiplication prevents that.
    mixed = (zlib.crc32(feature.encode("utf-8", "surrogatepass")) * 0x9E3779B1) & 0xFFFFFFFF
    mixed ^= mixed >> 15
    return mixed % DIMENSIONS, 1.0 if (mixed >> 16) & 1 else -1.0


def _warm_up() -> None:
    _vector("warm up")
