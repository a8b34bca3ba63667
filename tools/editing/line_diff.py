"""Compares texts line by line."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

_THOROUGH_UP_TO = 25_000_000
"""Pairs of lines that may be compared exactly; above this, frequent lines are not used as anchors."""


@dataclass(frozen=True)
class CommonRun:
    """A run of lines common to both texts."""

    before: int
    """First line in the first text, counted from 0."""
    after: int
    lines: int


@dataclass(frozen=True)
class LineCount:
    added: int
    removed: int


def common_runs(before: Sequence[str], after: Sequence[str]) -> list[CommonRun]:
    """The common runs, in order."""
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    first, second = before[start : len(before) - end], after[start : len(after) - end]
    is_coarse = len(first) * len(second) > _THOROUGH_UP_TO
    blocks = SequenceMatcher(None, first, second, autojunk=is_coarse).get_matching_blocks()
    runs = [
        CommonRun(0, 0, start),
        *(CommonRun(block.a + start, block.b + start, block.size) for block in blocks),
        CommonRun(len(before) - end, len(after) - end, end),
    ]
    return [run for run in runs if run.lines]


def lines_of(text: str) -> list[str]:
    """The lines with their line ends, split at \\n only; the last line may have none."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def unified_diff(text_before: str, text_after: str, name_before: str, name_after: str) -> str:
    """A unified diff for patch(1) and git; empty if the texts are equal."""
    diff = difflib.unified_diff(lines_of(text_before), lines_of(text_after), name_before, name_after)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in diff)


def diff_of_empty_file(path: str) -> str:
    """The diff that creates an empty file, which has no lines to show; for git, and for patch(1) since 2.7."""
    return f"diff --git a/{path} b/{path}\nnew file mode 100644\n"


def count_lines(text_before: str, text_after: str) -> LineCount:
    """The number of added and removed lines; a changed line counts as both, as does one that loses its line end."""
    before, after = lines_of(text_before), lines_of(text_after)
    kept = sum(run.lines for run in common_runs(before, after))
    return LineCount(added=len(after) - kept, removed=len(before) - kept)
