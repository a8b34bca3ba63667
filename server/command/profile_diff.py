"""Formats proposals as a diff: for each profile the removed and added facts, and their evidence."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from ...profiles.measured import Tally
from ...profiles.proposal import Evidence, Fact, Proposal
from ...tools.guarding.text import plain

_LONGEST = 200
"""Characters of one value shown; a vendor's listing may contain longer ones."""


@dataclass(frozen=True)
class Line:
    kind: Literal["profile", "removed", "added", "evidence", "warning"]
    text: str
    """One line, without terminal control characters."""


def diff(proposals: Sequence[Proposal]) -> Iterator[Line]:
    """The lines, by profile in the order given."""
    for profile, changes in groupby(proposals, key=lambda p: p.profile):
        yield Line("profile", _shown(profile))
        for change in changes:
            name = ".".join(change.place)
            before, after = _leaves(change.before, name), _leaves(change.after, name)
            if not change.place:
                yield Line("added", "a new profile")
            for place in dict.fromkeys([*before, *after]):
                if before.get(place) == after.get(place):
                    continue
                if place in before and before[place] is not None:
                    yield Line("removed", f"{_shown(place)}: {_value(before[place])}")
                if place in after:
                    yield Line("added", f"{_shown(place)}: {_value(after[place])}")
            yield Line("evidence", in_words(change.evidence))
            for warning in change.warnings:
                yield Line("warning", _shown(warning, longest=1_000))


def in_words(evidence: Evidence) -> str:
    """The evidence in one line: note, sample size, interval, source and date."""
    parts = [] if evidence.n is None else [f"n {evidence.n}"]
    if evidence.interval is not None:
        low, high = evidence.interval
        parts.append(f"95% interval {low:.3g} to {high:.3g}")
    parts += [evidence.source, evidence.seen.isoformat()]
    note = f"{evidence.note.rstrip('.')}; " if evidence.note else ""
    return _shown(note + ", ".join(parts), longest=1_000)


def _leaves(fact: Fact, name: str) -> dict[str, Fact]:
    """The leaf values of a nested fact, by dotted name; a tally counts as a leaf."""
    if not isinstance(fact, dict) or _is_tally(fact):
        return {name: fact}
    found: dict[str, Fact] = {}
    for key, inner in fact.items():
        found |= _leaves(inner, f"{name}.{key}" if name else key)
    return found


def _is_tally(fact: Mapping[str, Fact]) -> bool:
    return fact.keys() == Tally.model_fields.keys()


def _value(fact: Fact) -> str:
    if isinstance(fact, dict) and _is_tally(fact):
        tally = Tally.model_validate(fact)
        return (
            f"{tally.passed:.3g} of {tally.n:.3g} ({tally.share:.0%}; 95% interval {tally.at_least:.0%} to"
            f" {tally.at_most:.0%})"
        )
    if fact is None:
        return "nothing"
    if isinstance(fact, list):
        return _shown("[" + ", ".join(map(str, fact)) + "]", longest=1_000)
    return f"{fact:.6g}" if isinstance(fact, float) else _shown(str(fact))


def _shown(text: str, longest: int = _LONGEST) -> str:
    line = " ".join(plain(text[: longest + 1]).split())
    return line if len(line) <= longest else line[:longest] + "…"
