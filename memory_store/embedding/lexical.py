"""The default embedder: hashed words and pieces of words. Nothing is downloaded, nothing leaves.

It sees which words two texts share, in any order, case or spelling of identifiers (`user_name`,
`userName`) and form of a word (`parse`, `parser`), and half-sees words of which only a piece is the
same. It knows no synonyms: a task told in quite other words is another task to it.
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
"""To be raised with every change after which a text gets another vector."""
_SIMILAR_FROM = 0.5
"""Rewordings lie above (28 of 28 in the tests, the least 0.70), unrelated tasks below (at most 0.31).

From about here up the outcomes of two tasks go together: correlation 0.05 to 0.5 on mixed work, contests
and MMLU (half a step lower it is 0.01 on one kind of work). Short functions need 0.7, and of repository
issues the text tells nothing at all.
"""

# Weights by measurement (evaluation/bench/retrieval.py). Stems did most for rewordings (the least similar
# pair from 0.56 to 0.69), pieces for finding the kind of work. Word pairs tell `merge two sorted lists`
# from `sort two merged lists`. An IDF table drawn from the sets that may be shipped was left out: it
# gained 0.005 AUROC on mixed kinds of work, lost 0.06 on MMLU, and moved rewordings 0.1 apart.
_PIECES_WEIGHT = 1.0
_PIECE_LENGTHS = (3, 4, 5)
_PAIR_WEIGHT = 0.15
_STOP_WORD_WEIGHT = 0.1

# Camel and snake case fall apart: HTTPServer, parse_v2, naïve.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")
_STOP_STEMS = frozenset(map(stem, STOP_WORDS))
_HEAD, _TAIL = 12_000, 4_000
"""Of a longer text only its beginning and end are read, in characters."""
_KNOWN_WORDS = 4096
"""As many words' vectors are kept, 1 kB each."""

_stem = lru_cache(maxsize=4 * _KNOWN_WORDS)(stem)


class LexicalEmbedder:
    """Implements `Embedder`."""

    id = f"lexical-{_VERSION}-{DIMENSIONS}"
    dimensions = DIMENSIONS
    similar_from = _SIMILAR_FROM
    leaves = False

    async def prepare(self) -> None:
        """See `Embedder`. Imports NumPy, which takes a tenth of a second."""
        await anyio.to_thread.run_sync(_warm_up)

    async def embed(self, texts: Sequence[str], *, local_only: bool = False) -> "Vectors":  # noqa: ARG002 - it never leaves
        """See `Embedder`. A text without a word gets a vector too, the same for all such texts."""
        return await anyio.to_thread.run_sync(embed, tuple(texts))

    async def aclose(self) -> None:
        """See `Embedder`."""


def embed(texts: Sequence[str]) -> "Vectors":
    """The vectors of the texts, in their order."""
    import numpy as np

    vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    for row, text in enumerate(texts):
        vectors[row] = _vector(text)
    return vectors


def words(text: str) -> list[str]:
    """The words of a text in order: in lower case, identifiers in their parts, each form by its stem."""
    if len(text) > _HEAD + _TAIL:
        text = f"{text[:_HEAD]} {text[-_TAIL:]}"
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return [_stem(word.lower()) for word in _WORD.findall(text)]


def is_stop_word(word: str) -> bool:
    """Whether a word, of those `words` gives, says little: grammar, politeness, a letter by itself."""
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
    # Hashed features can cancel each other; what is left then is as good as no word.
    return vector / length if length > 1e-6 else _unit(_word_vector(""))


@lru_cache(maxsize=_KNOWN_WORDS)
def _word_vector(word: str) -> "npt.NDArray[np.float32]":
    """A word and its pieces, each hashed to one place. Not to be written to: it is shared."""
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
    # Scripts without spaces between words arrive in long runs; there two signs are a word.
    lengths = _PIECE_LENGTHS if word.isascii() else (2, 3)
    if len(word) < lengths[0]:
        return []
    bounded = f"<{word}>"
    return [bounded[at : at + n] for n in lengths for at in range(len(bounded) - n + 1)]


def _place(feature: str) -> tuple[int, float]:
    """Where a feature counts, and its sign; the same on every machine, unlike `hash`."""
    # A CRC is linear, so features alike would fall alike; a multiplication breaks that up.
    mixed = (zlib.crc32(feature.encode("utf-8", "surrogatepass")) * 0x9E3779B1) & 0xFFFFFFFF
    mixed ^= mixed >> 15
    return mixed % DIMENSIONS, 1.0 if (mixed >> 16) & 1 else -1.0


def _warm_up() -> None:
    _vector("warm up")
