"""Groups remembered tasks that are the same task recorded again and count as one piece of evidence.

Two tasks are duplicates when both their vectors and their content words nearly coincide. Case, punctuation,
word order and polite phrases do not matter; a different name, number or noun does. Where the ledger keeps
no full text, vectors alone decide, with a stricter threshold.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .embedding.lexical import is_stop_word, words

if TYPE_CHECKING:
    from .index.vector_index import Vectors

_VECTORS_COINCIDE = 0.95
_VECTORS_COINCIDE_WITHOUT_TEXT = 0.97
_WORDS_COINCIDE = 0.95
"""Minimum share of words in common, so one word distinguishes short tasks but not long ones."""


def group_duplicates(ids: Sequence[str], vectors: "Vectors", texts: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    """The ids grouped by task, in their given order.

    vectors: one row per id. texts: full texts by id, where known.
    """
    leader: dict[str, str] = {task_id: task_id for task_id in ids}

    def leader_of(task_id: str) -> str:
        while leader[task_id] != task_id:
            task_id = leader[task_id]
        return task_id

    content = _Content(texts)
    alike = vectors @ vectors.T
    close: list[tuple[int, int]] = list(
        zip(*(part.tolist() for part in (alike >= _VECTORS_COINCIDE).nonzero()), strict=True)
    )
    for row, column in close:
        if row >= column:
            continue
        first, second = leader_of(ids[row]), leader_of(ids[column])
        if first != second and content.coincides(ids[row], ids[column], float(alike[row, column])):
            leader[second] = first
    groups: dict[str, list[str]] = {}
    for task_id in ids:
        groups.setdefault(leader_of(task_id), []).append(task_id)
    return tuple(tuple(group) for group in groups.values())


class _Content:
    """The content words of each task, computed on demand, since few pairs need them."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        self._of_text: dict[str, frozenset[str]] = {}

    def coincides(self, first: str, second: str, similarity: float) -> bool:
        if first not in self._texts or second not in self._texts:
            return similarity >= _VECTORS_COINCIDE_WITHOUT_TEXT
        one, other = self._texts[first], self._texts[second]
        if one == other:
            return True
        ours, theirs = self._words(one), self._words(other)
        return len(ours & theirs) >= _WORDS_COINCIDE * len(ours | theirs)

    def _words(self, text: str) -> frozenset[str]:
        known = self._of_text.get(text)
        if known is None:
            known = self._of_text[text] = frozenset(word for word in words(text) if not is_stop_word(word))
        return known
