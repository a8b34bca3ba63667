"""Stems English words, so that `parses`, `parsing` and `parser` match.

It only strips suffixes, so stems are sometimes wrong, but consistently so.
"""

_ENDINGS = ("ations", "ation", "ings", "ing", "ies", "ers", "ed", "es", "er", "s")
"""Longest first."""
_SHORTEST_STEM = 3


def stem(word: str) -> str:
    """The stem of a lowercase word; non-ASCII words are unchanged."""
    if not word.isascii() or len(word) <= _SHORTEST_STEM:
        return word
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            word = word[: -len(ending)] + ("y" if ending == "ies" else "")
            break
    if len(word) > _SHORTEST_STEM:
        word = word.removesuffix("e")
    if len(word) > _SHORTEST_STEM and word[-1] == word[-2]:
        word = word[:-1]
    return word
