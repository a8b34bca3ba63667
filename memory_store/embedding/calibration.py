"""Calibrates an embedder's similarity threshold for `the same kind of work`.

The range of cosines differs between models: unrelated texts are at 0.1 for one, at 0.6 for another. So each
embeds a few pairs of paraphrased tasks, and the threshold is set halfway between paraphrases and unrelated tasks.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..index.vector_index import Vectors

PARAPHRASES: tuple[tuple[str, str], ...] = (
    ("Write a function that counts the vowels in a sentence.", "Implement a vowel counter for sentences."),
    (
        "Fix the crash when the settings file is missing.",
        "The program crashes if there is no settings file. Repair that.",
    ),
    ("Add pagination to the list of orders in the REST API.", "The REST endpoint for orders should return pages."),
    ("Write unit tests for the password strength checker.", "Cover the password strength check with unit tests."),
    ("Translate the matrix multiplication from C to Rust.", "Port the C code that multiplies matrices to Rust."),
    ("Explain in docstrings what the scheduler's methods do.", "Document the methods of the scheduler class."),
)

_UNRELATED_QUANTILE = 0.95


def probe_texts() -> list[str]:
    """The texts to embed: the first versions of all tasks, then their paraphrases."""
    return [first for first, _ in PARAPHRASES] + [again for _, again in PARAPHRASES]


def similar_from(vectors: "Vectors") -> float:
    """The threshold, from the vectors of `probe_texts`."""
    import numpy as np

    count = len(PARAPHRASES)
    cosines = vectors[:count] @ vectors[count:].T
    same = np.diag(cosines)
    others = cosines[~np.eye(count, dtype=bool)]
    halfway = (float(same.mean()) + float(np.quantile(others, _UNRELATED_QUANTILE))) / 2
    # An embedder that cannot tell them apart must not make all tasks similar.
    return min(0.95, max(0.05, halfway))
