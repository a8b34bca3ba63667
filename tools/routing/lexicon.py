"""Looks up tables of cues in a reading, all tables in one pass."""

from collections.abc import Iterator, Mapping

from .reading import Reading, is_unspaced

_STEM_KEY = 3


class Lexicon:
    """Tables of comma-separated cues, by name.

    A cue is a word, a prefix (`migrat*`), or a phrase, whose last word may be a prefix. In scripts
    without spaces between words a cue matches anywhere.
    """

    def __init__(self, tables: Mapping[str, str]) -> None:
        self._names = tuple(tables)
        self._words: dict[str, list[str]] = {}
        self._stems: dict[str, list[tuple[str, str]]] = {}
        self._phrases: dict[str, list[tuple[str, str]]] = {}
        self._anywhere: list[tuple[str, str]] = []
        for name, cues in tables.items():
            for cue in cues.split(","):
                self._add(name, " ".join(cue.split()))

    def found(self, reading: Reading) -> Mapping[str, tuple[str, ...]]:
        """The distinct cues that occur, sorted, by table name; every table has an entry."""
        found: dict[str, set[str]] = {name: set() for name in self._names}
        for name, cue in self._occurring(reading):
            found[name].add(cue)
        return {name: tuple(sorted(cues)) for name, cues in found.items()}

    def _add(self, name: str, cue: str) -> None:
        if is_unspaced(cue):
            self._anywhere.append((name, cue))
        elif " " in cue:
            self._phrases.setdefault(cue.partition(" ")[0], []).append((name, cue))
        elif cue.endswith("*"):
            self._stems.setdefault(cue[:_STEM_KEY], []).append((name, cue[:-1]))
        else:
            self._words.setdefault(cue, []).append(name)

    def _occurring(self, reading: Reading) -> Iterator[tuple[str, str]]:
        for word in reading.distinct_words:
            for name in self._words.get(word, ()):
                yield name, word
            for name, stem in self._stems.get(word[:_STEM_KEY], ()):
                if word.startswith(stem):
                    yield name, stem
        yield from self._phrases_in(reading)
        if not reading.flow.isascii():
            yield from ((name, cue) for name, cue in self._anywhere if cue in reading.flow)

    def _phrases_in(self, reading: Reading) -> Iterator[tuple[str, str]]:
        flow, phrases = reading.flow, self._phrases
        at = 1
        for word in reading.words:
            for name, phrase in phrases.get(word, ()):
                if flow.startswith(phrase, at):
                    yield name, phrase
            at += len(word) + 1
