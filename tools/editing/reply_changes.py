"""Parses the file changes in a model's reply: whole files and edits, each with its path if given."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ..checking.languages import guess_language
from .block_paths import is_quotation, path_in_comment, path_in_info, path_in_line
from .blocks import Block, find_blocks, is_diff, read_diff, text_of
from .fences import SESSION, UNTAGGED, Fence, find_fences


@dataclass(frozen=True)
class Part:
    """A whole file, from a fence."""

    path: str | None
    """As the reply gives it. None: it gives none."""
    language: str | None
    """The language of its fence. None: no language tag."""
    text: str
    heading: str = ""
    """The comment that gave the path, removed from the text; it may be part of the existing file."""
    is_whole_reply: bool = False
    """True: the whole reply as a Markdown file; it may instead be prose about one."""


@dataclass(frozen=True)
class Edit:
    """Lines to find in a file and their replacement."""

    path: str | None
    """As the reply gives it. None: it gives none."""
    search: str
    """Whole lines. Empty: a new file."""
    replace: str
    """Whole lines. Empty: the lines are deleted."""


@dataclass(frozen=True)
class ReplyChanges:
    parts: tuple[Part, ...]
    """Parts without a path are joined into one per language."""
    edits: tuple[Edit, ...]
    faults: tuple[str, ...]
    """What was meant as a file or an edit and cannot be read, each as a message to the model."""


def read_changes(text: str, fences: Sequence[Fence]) -> ReplyChanges:
    """The changes in a reply, in order.

    text: the reply, visible characters only, without thinking. fences: the fences in it.
    """
    given = text.split("\n")
    lines = _without_file_tags(list(given))
    blocks = find_blocks(lines)
    if blocks or lines != given:
        masked = list(lines)
        for block in blocks:
            masked[block.first_line : block.last_line + 1] = [_MASK] * (block.last_line + 1 - block.first_line)
        fences = find_fences(masked)
    reading = _Reading(lines)
    for item in sorted([*fences, *_outside(blocks, fences)], key=lambda item: item.first_line):
        if isinstance(item, Block):
            reading.take_block(item, reading.path_before(item.first_line, ""))
        else:
            reading.take_fence(item, [block for block in blocks if _is_inside(block, item)])
    parts = [*reading.parts, *_joined(reading.pathless)]
    reading.faults += _broken_documents(fences)
    reading.faults += _unclosed_tags(lines, fences)
    if not fences and not blocks:
        parts, reading.edits = _unfenced(text, reading)
    if _is_document(text) and not reading.edits and all(p.path is None and p.language != "markdown" for p in parts):
        parts = [*parts, Part(None, "markdown", text + "\n", is_whole_reply=True)]
    return ReplyChanges(tuple(parts), tuple(reading.edits), tuple(reading.faults))


# Replaces the lines of search/replace blocks, whose text may contain fences, while fences are searched.
_MASK = "\x00"


@dataclass
class _Reading:
    """The changes parsed from a reply so far."""

    lines: Sequence[str]
    parts: list[Part] = field(default_factory=list[Part])
    pathless: list[Fence] = field(default_factory=list[Fence])
    edits: list[Edit] = field(default_factory=list[Edit])
    faults: list[str] = field(default_factory=list[str])
    last_line: int = -1
    """The last line that has been parsed."""
    path_of_last_edit: str | None = None

    def path_before(self, line: int, language: str) -> str | None:
        """The path in the last nonblank line before, at most two blank lines away."""
        for number in range(line - 1, max(self.last_line, line - 4), -1):
            if self.lines[number].strip():
                return path_in_line(self.lines[number], language) or path_in_comment(self.lines[number], language)
        return None

    def take_block(self, block: Block, path: str | None) -> None:
        path = block.path or path or self.path_of_last_edit
        self.last_line = block.last_line
        if block.fault is not None:
            self.faults.append(f"{_place(path)}: a search/replace block {block.fault}.")
            return
        self.edits.append(Edit(path, block.search, block.replace))
        self.path_of_last_edit = path

    def take_fence(self, fence: Fence, blocks: Sequence[Block]) -> None:
        path = path_in_info(fence.info) or self.path_before(fence.first_line, fence.language)
        self.last_line = fence.first_line
        if not fence.is_closed and (path is not None or blocks or fence.language not in _BESIDE):
            self.faults.append(f"{_place(path)}: {_NOT_CLOSED}")
        if blocks:
            for block in blocks:
                self.take_block(block, self.path_before(block.first_line, fence.language) or path)
        elif is_diff(fence.lines, fence.language):
            self.take_diff(fence.lines, path)
        elif fence.is_closed and not is_quotation(fence.info):
            self._take_file(fence, path)
        self.last_line = fence.last_line

    def take_diff(self, lines: Sequence[str], path: str | None) -> None:
        for hunk in read_diff(lines):
            named = hunk.path or path
            if hunk.fault is not None:
                self.faults.append(f"{_place(named)}: the diff {hunk.fault}.")
            elif hunk.is_new_file:
                self.parts.append(Part(named, None, hunk.replace))
            elif not hunk.search:
                self.faults.append(f"{_place(named)}: a hunk of the diff has no line that is in the file: add context.")
            else:
                self.edits.append(Edit(named, hunk.search, hunk.replace))

    def _take_file(self, fence: Fence, path: str | None) -> None:
        lines, heading = list(fence.lines), ""
        if path is None and lines and (path := path_in_comment(lines[0], fence.language)) is not None:
            heading = lines.pop(0) + "\n"
        if path is None:
            if fence.language != SESSION:
                self.pathless.append(fence)
        else:
            self.parts.append(Part(path, fence.language or None, text_of(lines), heading))


# Languages of fences that may be unclosed without affecting files: commands and output.
_BESIDE = ("bash", "text", "output", SESSION)

_NOT_CLOSED = "the fence was never closed, so its end may be missing. Give it again, whole."

# A sentence that introduces or follows code, never part of code.
_SENTENCE = re.compile(r"[A-Z][\w',-]*(?: [\w`'\",()-]+){2,}[.:!?]?")


def _unfenced(text: str, reading: _Reading) -> tuple[list[Part], list[Edit]]:
    """A reply without fences: a diff, or code if it looks like code."""
    if is_diff(reading.lines, ""):
        reading.take_diff(reading.lines, None)
        return reading.parts, reading.edits
    language = guess_language(text)
    lines = list(reading.lines)
    if language is None or any(_SENTENCE.fullmatch(line.strip()) for line in (lines[0], lines[-1])):
        return [], []
    path = path_in_comment(lines[0], language)
    heading = lines.pop(0) + "\n" if path is not None else ""
    return [Part(path, language, text_of(lines), heading)], []


def _is_document(text: str) -> bool:
    """Whether the reply itself may be a Markdown file: it begins with a title."""
    return re.match(r"# \S.*(?:\n|\Z)", text) is not None


def _joined(fences: Sequence[Fence]) -> Iterator[Part]:
    """One part per language; a single fence keeps its outer blank lines."""
    by_language: dict[str, list[Fence]] = {}
    for fence in fences:
        by_language.setdefault(fence.language, []).append(fence)
    for language, of_it in by_language.items():
        lines = of_it[0].lines if len(of_it) == 1 else "\n\n".join(f.code.strip("\n") for f in of_it).split("\n")
        yield Part(None, language or None, text_of(lines))


def _broken_documents(fences: Sequence[Fence]) -> Iterator[str]:
    """Reports Markdown files cut off by a fence of their own, which leaves an untagged fence after them."""
    for fence, behind in pairwise(fences):
        if fence.language == "markdown" and behind.language == UNTAGGED and behind.mark == fence.mark:
            yield "A Markdown file ends at a fence of its own: put it into a longer one (````) and give it again."


def _outside(blocks: Sequence[Block], fences: Sequence[Fence]) -> list[Block]:
    return [block for block in blocks if not any(_is_inside(block, fence) for fence in fences)]


def _is_inside(block: Block, fence: Fence) -> bool:
    return fence.first_line < block.first_line <= fence.last_line


# Our prompts give files between tags, and some models reply in the same form.
_FILE_TAG = re.compile(r"<file(?P<digest>-[0-9a-f]{8})?\s+(?:path|name)=\"(?P<path>[^\"]+)\"[^>]*>\s*")


def _without_file_tags(lines: list[str]) -> list[str]:
    """The reply with file tags like those of our prompts replaced by fences."""
    at = 0
    while at < len(lines):
        opening = _FILE_TAG.fullmatch(lines[at])
        end = _end_of_tag(lines, at, opening["digest"] or "") if opening is not None else None
        if opening is None or end is None:
            at += 1
            continue
        inside = lines[at + 1 : end]
        fences = find_fences(inside)
        filled = [number for number, line in enumerate(inside) if line.strip()]
        if len(fences) == 1 and (fences[0].first_line, fences[0].last_line) == (filled[0], filled[-1]):
            lines[at], lines[end] = f"`{opening['path']}`", ""
        else:
            longest = max((len(run) for run in re.findall(r"`{3,}", "\n".join(inside))), default=2)
            lines[at], lines[end] = f'{"`" * (longest + 1)} path="{opening["path"]}"', "`" * (longest + 1)
        at = end + 1
    return lines


def _unclosed_tags(lines: Sequence[str], fences: Sequence[Fence]) -> Iterator[str]:
    """Reports opening file tags that are never closed."""
    inside = {number for fence in fences for number in range(fence.first_line, fence.last_line + 1)}
    for number, line in enumerate(lines):
        if number not in inside and (tag := _FILE_TAG.fullmatch(line)) is not None:
            yield f"{_place(tag['path'])}: its tag was never closed. Give the file again, whole, in a fence."


def _end_of_tag(lines: Sequence[str], begin: int, digest: str) -> int | None:
    """The line that closes a tag. None: there is none before the next tag opens."""
    for number in range(begin + 1, len(lines)):
        if lines[number].strip() in (f"</file{digest}>", "</file>"):
            return number
        if _FILE_TAG.fullmatch(lines[number]):
            return None
    return None


def _place(path: str | None) -> str:
    return f"`{path}`" if path else "A block without a path"
