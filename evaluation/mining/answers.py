"""Known answers to a mined task, formatted like a model's replies: the commit's own, and wrong ones derived from it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from .intent import SourceChange

_LEAST_FENCE = 3
PARTIAL_ANSWERS_AT_MOST = 3
"""Partial answers that are tried."""


@dataclass(frozen=True)
class PartialAnswer:
    """An answer that leaves out part of the change."""

    slip: str
    reply: str


def reference_answer(changes: Sequence[SourceChange]) -> str:
    """The reference answer: all changed files as the commit left them."""
    return reply({change.path: change.after for change in changes})


def unchanged_answer(changes: Sequence[SourceChange], target: str) -> str:
    """An answer that changes nothing: the target as before, or a comment only if it is a new file."""
    (change,) = (change for change in changes if change.path == target)
    return reply({target: "# Nothing yet.\n" if change.before is None else change.before})


def partial_answers(changes: Sequence[SourceChange]) -> Iterator[PartialAnswer]:
    """The change without one of its files, or, if it has only one, without one of its hunks."""
    if len(changes) > 1:
        for left_out in changes[:PARTIAL_ANSWERS_AT_MOST]:
            rest = {change.path: change.after for change in changes if change is not left_out}
            yield PartialAnswer(f"leaves out {left_out.path}", reply(rest))
        return
    (change,) = changes
    if change.before is None:
        return
    before, after = change.before.splitlines(keepends=True), change.after.splitlines(keepends=True)
    places = [code for code in SequenceMatcher(None, before, after, autojunk=False).get_opcodes() if code[0] != "equal"]
    if len(places) > 1:
        for _, first, last, begin, end in places[:PARTIAL_ANSWERS_AT_MOST]:
            text = "".join([*after[:begin], *before[first:last], *after[end:]])
            yield PartialAnswer(f"leaves out the change at line {begin + 1}", reply({change.path: text}))


def lines_changed(changes: Sequence[SourceChange]) -> int:
    """The number of lines added plus the number removed."""
    total = 0
    for change in changes:
        before, after = (change.before or "").splitlines(), change.after.splitlines()
        for kind, first, last, begin, end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
            total += 0 if kind == "equal" else last - first + end - begin
    return total


def reply(files: Mapping[str, str]) -> str:
    """A reply with whole files, each in a fence longer than any run of backticks in it."""
    parts: list[str] = []
    for path, text in files.items():
        longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
        fence = "`" * max(_LEAST_FENCE, longest + 1)
        parts.append(f"{path}\n{fence}python\n{text.removesuffix(chr(10))}\n{fence}\n")
    return "\n".join(parts)
