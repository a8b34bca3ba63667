"""Foreign embeddings in the form that the ledger keeps: float32, each of unit length."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..index.vector_index import Vectors


def unit_rows(rows: Sequence[Any]) -> "Vectors":
    """The vectors, a row for each. Raises ValueError for what is not a table of numbers, or has no direction."""
    import numpy as np

    vectors = np.asarray(rows, dtype=np.float32)
    if vectors.ndim != 2 or not vectors.shape[1] or not np.isfinite(vectors).all():
        raise ValueError("not a table of finite numbers")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not lengths.all():
        raise ValueError("a vector without a direction")
    return vectors / lengths
