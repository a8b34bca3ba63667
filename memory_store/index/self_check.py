"""Checks that an index finds its own vectors."""

import random
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from .. import embeddings
from .errors import NotFindable
from .register import Register, entry_of
from .vector_index import VectorIndex

if TYPE_CHECKING:
    from ..ledger import Ledger

SAMPLE = 50
# Search is approximate: of 50,000 tasks that differ only in a number it missed one in 60 (measured 2026-11-25),
# which the keeper compensates for. A damaged index misses a quarter or more.
_MISSES_ALLOWED = 5
_SAME = 0.999


async def check_findable(
    index: VectorIndex, ledger: "Ledger", embedder: str, register: Register, held: AbstractSet[str]
) -> None:
    """Search for a sample of the entries in `held`. Raises NotFindable when too many do not find themselves."""
    entries = sorted(held & register.entries)
    chosen = random.sample(entries, min(SAMPLE, len(entries)))
    tasks = [register.tasks(entry)[0] for entry in chosen]
    misses = 0
    for blob in (await embeddings.blobs_of(ledger, embedder, tasks)).values():
        found = await index.nearest(embeddings.decode([blob])[0], 3)
        is_found = any(match.id == entry_of(blob) for match in found) or (found and found[0].similarity >= _SAME)
        misses += not is_found
    if misses > _MISSES_ALLOWED:
        raise NotFindable(misses, len(chosen))
