"""Gives the forms of an English word one stem, so that `parses`, `parsing` and `parser` count as one word.

By endings alone, so it is wrong at times; what counts is that it is wrong the same way every time.
"""

_ENDINGS = ("ations", "ation", "ings", "ing", "ies", "ers", "ed", "es", "er", "s")
"""The longest first."""
_SHORTEST_STEM = 3


def stem(word: str) -> str:
    """The stem of a word in lower case; words of other scripts are left alone."""
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
