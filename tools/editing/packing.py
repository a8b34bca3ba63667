"""Packs the context for a model's window: whole files if they fit, else the most relevant parts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil

from ..asking.tokens import BYTES_PER_TOKEN, estimate_tokens
from ..some_names import some_names
from .context import ContextFile
from .relevance import MUST, OUTLINE, REFERRED, REFERRED_SIGNATURES, TARGET, Ranking, rank_pieces

_NAMES_SHOWN = 4


def room_in(window_tokens: int, output_tokens: int) -> int:
    """The tokens of a window available for the prompt. Leaves room for an answer twice as long as expected, if
    possible.

    output_tokens: the expected answer, thinking included.
    """
    return window_tokens - max(output_tokens, min(2 * output_tokens, window_tokens // 4), _LEAST_ANSWER_TOKENS)


_LEAST_ANSWER_TOKENS = 512
"""The minimum room for an answer."""


@dataclass(frozen=True)
class Packed:
    """The context for one model."""

    files: tuple[ContextFile, ...]
    """In the order given; excerpts mark omitted lines."""
    tokens: int
    """Estimated, including the tags around the files."""
    note: str | None
    """The files shown in part or left out, for the receipt. None: all files are whole."""


@dataclass(frozen=True)
class Packing:
    """The context of one task, to be packed for each model's window."""

    task: str
    files: tuple[ContextFile, ...]
    target: str | None = None
    """The file that the result goes into, as the caller named it."""

    @cached_property
    def whole_tokens(self) -> int:
        """Estimated tokens of all files, complete."""
        return sum(map(_tokens, self.files))

    @cached_property
    def min_tokens(self) -> int:
        """Estimated tokens of the required parts; parses every file."""
        if not self.files:
            return 0
        selection = self._selection()
        selection.take_at(MUST, room=None)
        return min(self.whole_tokens, selection.tokens)

    def pack(self, room_tokens: int | None) -> Packed:
        """As much as fits, most useful first, but at least the required parts.

        room_tokens: for all files together. None: unlimited.
        """
        if room_tokens is None or self.whole_tokens <= room_tokens:
            return Packed(self.files, self.whole_tokens, None)
        selection = self._selection()
        selection.take_at(MUST, room=None)
        for priority in (TARGET, REFERRED_SIGNATURES, REFERRED, OUTLINE):
            selection.take_at(priority, room=room_tokens)
        selection.take_whole_files(room=room_tokens)
        return selection.packed()

    @cached_property
    def _ranking(self) -> Ranking:
        return rank_pieces(self.task, self.files, self.target)

    @cached_property
    def _lines(self) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(file.text.removesuffix("\n").split("\n")) for file in self.files)

    def _selection(self) -> "_Selection":
        return _Selection(self.files, self._lines, self._ranking)


@dataclass
class _Selection:
    """The lines selected so far."""

    files: Sequence[ContextFile]
    lines: Sequence[Sequence[str]]
    ranking: Ranking
    tokens: int = 0
    """Estimated tokens of the selected lines with the tags; tends to overestimate."""
    taken: dict[int, set[int]] = field(default_factory=dict[int, set[int]])
    """Selected line numbers by file."""

    def take_at(self, priority: int, *, room: int | None) -> None:
        """Select the pieces of a priority, those of the most useful files first, as far as they fit."""
        place = {number: at for at, number in enumerate(self.ranking.order)}
        pieces = [piece for piece in self.ranking.pieces if piece.priority == priority]
        for piece in sorted(pieces, key=lambda piece: place[piece.file]):
            self._take(piece.file, piece.lines, room)

    def take_whole_files(self, *, room: int) -> None:
        """Select the rest of each file, most useful first, if all of it fits."""
        for number in self.ranking.order:
            self._take(number, range(len(self.lines[number])), room)

    def packed(self) -> Packed:
        files = [_shown(self.files[n], self.lines[n], self.taken[n]) for n in range(len(self.files)) if n in self.taken]
        left_out = [file.path for number, file in enumerate(self.files) if number not in self.taken]
        tokens = sum(map(_tokens, files))
        return Packed(tuple(files), tokens, _note(files, left_out))

    def _take(self, number: int, wanted: Sequence[int], room: int | None) -> None:
        lines, taken = self.lines[number], self.taken.get(number, set())
        new = sorted({line for line in wanted if line not in taken and line < len(lines)})
        if not new:
            return
        size = sum(len(lines[line].encode(errors="replace")) + 1 for line in new)
        cost = ceil(size / BYTES_PER_TOKEN) + _GAP_TOKENS * _more_gaps(taken, new, len(lines))
        if number not in self.taken:
            cost += _frame_tokens(self.files[number].path) + _GAP_TOKENS
        if room is None or self.tokens + cost <= room:
            self.tokens += cost
            self.taken.setdefault(number, set()).update(new)


_GAP_TOKENS = 10
"""Tokens of `[lines 1200-1300 left out]`."""


def _more_gaps(taken: set[int], new: Sequence[int], lines: int) -> int:
    """How many gaps between the selected lines the new lines add. Without selected lines, the whole file is one gap."""
    added = set(new)
    more = 0
    for line in new:
        if line - 1 not in added:  # a run of new lines begins within a gap
            more += (line > 0 and line - 1 not in taken) - 1
        if line + 1 not in added:
            more += line + 1 < lines and line + 1 not in taken
    return more


def _shown(file: ContextFile, lines: Sequence[str], taken: set[int]) -> ContextFile:
    """The file with the selected lines; omitted lines are replaced by a mark unless the mark would be longer."""
    if len(taken) == len(lines):
        return file
    shown: list[str] = []
    at = 0
    while at < len(lines):
        end = at
        while end < len(lines) and end not in taken:
            end += 1
        gap = lines[at:end]
        mark = f"[line {end} left out]" if len(gap) == 1 else f"[lines {at + 1}-{end} left out]"
        shown += gap if sum(len(line) + 1 for line in gap) <= len(mark) else [mark]
        if end < len(lines):
            shown.append(lines[end])
        at = end + 1
    text = "\n".join(shown) + ("\n" if file.text.endswith("\n") else "")
    return file if text == file.text else ContextFile(file.path, text, is_whole=False)


def _note(files: Sequence[ContextFile], left_out: Sequence[str]) -> str | None:
    in_part = [file.path for file in files if not file.is_whole]
    whole = len(files) - len(in_part)
    if not in_part and not left_out:
        return None
    counts = [f"{whole} {'file' if whole == 1 else 'files'} whole"]
    if in_part:
        counts.append(f"{len(in_part)} in part ({some_names(in_part, _NAMES_SHOWN)})")
    if left_out:
        counts.append(f"{len(left_out)} left out: {some_names(left_out, _NAMES_SHOWN)}")
    return f"context: {', '.join(counts)}"


def _tokens(file: ContextFile) -> int:
    return estimate_tokens(file.text) + _frame_tokens(file.path)


def _frame_tokens(path: str) -> int:
    """Tokens of the tags around a file."""
    return ceil((_FRAME_BYTES + len(path.encode(errors="replace"))) / BYTES_PER_TOKEN)


_FRAME_BYTES = 60
