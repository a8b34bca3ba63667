"""Finds the similarity from which an embedder means `the same kind of work`, by asking it.

Models spread their cosines differently: what is unrelated to one is 0.1, to another 0.6. So each is
given a few tasks told twice, and the threshold is put halfway between those and the unrelated ones.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..index.vector_index import Vectors

TOLD_TWICE: tuple[tuple[str, str], ...] = (
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
    """What the embedder is to embed: first each task as told first, then each as told again."""
    return [first for first, _ in TOLD_TWICE] + [again for _, again in TOLD_TWICE]


def similar_from(vectors: "Vectors") -> float:
    """The threshold, from the vectors of `probe_texts`."""
    import numpy as np

    count = len(TOLD_TWICE)
    cosines = vectors[:count] @ vectors[count:].T
    same = np.diag(cosines)
    others = cosines[~np.eye(count, dtype=bool)]
    halfway = (float(same.mean()) + float(np.quantile(others, _UNRELATED_QUANTILE))) / 2
    # One that cannot tell them apart must not make everything similar.
    return min(0.95, max(0.05, halfway))
