"""Converts external embeddings to the ledger's form: float32, unit length."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..index.vector_index import Vectors


def unit_rows(rows: Sequence[Any]) -> "Vectors":
    """The normalized vectors, one per row. Raises ValueError unless the input is a table of finite numbers without
    zero rows."""
    import numpy as np

    vectors = np.asarray(rows, dtype=np.float32)
    if vectors.ndim != 2 or not vectors.shape[1] or not np.isfinite(vectors).all():
        raise ValueError("not a table of finite numbers")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not lengths.all():
        raise ValueError("a vector without a direction")
    return vectors / lengths
