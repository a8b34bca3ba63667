"""Finds search/replace blocks and unified diffs in a reply, and parses them as edits."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .fences import dedented

# The format that Aider made common (https://aider.chat/docs/more/edit-formats.html, seen 2026-11-25); Cline writes
# hyphens and plus signs instead. Longer marks enclose text that itself contains marks.
_OPEN = re.compile(r"(?P<indent>[ \t]*)(?P<mark><{5,}|-{5,})[ \t]*SEARCH\b:?[ \t]*(?P<path>\S*)[ \t]*", re.IGNORECASE)
_DIVIDER = re.compile(r"[ \t]*(?P<mark>={5,})[ \t]*")
_CLOSE = re.compile(r"[ \t]*(?P<mark>>{5,}|\+{5,})[ \t]*REPLACE\b[ \t]*", re.IGNORECASE)

_HUNK = re.compile(r"@@.*")

# OpenAI's models are trained on their own format (https://github.com/openai/codex, apply_patch instructions, seen
# 2026-11-25): unified hunks without line numbers, with a header line per file.
_PATCHED = re.compile(r"\*\*\* (?P<what>Update|Add|Delete) File: (?P<path>\S.*?)\s*")
_PATCH_FRAME = re.compile(r"\*\*\* (?:Begin Patch|End Patch|End of File)\s*")


@dataclass(frozen=True)
class Block:
    """A search/replace block, well-formed or not."""

    first_line: int
    last_line: int
    """Line numbers in the reply, counted from 0, of the opening and closing marks."""
    path: str | None
    """The path after the opening mark, where models rarely put it."""
    search: str
    replace: str
    fault: str | None
    """Why it cannot be parsed. None: it is well-formed."""


@dataclass(frozen=True)
class Hunk:
    """One hunk of a diff."""

    path: str | None
    is_new_file: bool
    search: str
    replace: str
    fault: str | None = None


def find_blocks(lines: Sequence[str]) -> list[Block]:
    """The search/replace blocks of a reply, in order, inside and outside fences."""
    found: list[Block] = []
    last = -1
    for number, line in enumerate(lines):
        if number > last and (opening := _OPEN.fullmatch(line)) is not None:
            found.append(_block(lines, number, opening))
            last = found[-1].last_line
    return found


def _block(lines: Sequence[str], begin: int, opening: re.Match[str]) -> Block:
    width = len(opening["mark"])
    closings: list[tuple[int, int]] = []
    for number in range(begin + 1, len(lines)):
        if (again := _OPEN.fullmatch(lines[number])) is not None and len(again["mark"]) == width:
            break
        if (closing := _CLOSE.fullmatch(lines[number])) is not None:
            closings.append((len(closing["mark"]), number))
            if closings[-1][0] == width:
                break
    path = opening["path"] or None
    if not closings:
        return Block(begin, begin, path, "", "", "has no `>>>>>>> REPLACE` line: write the whole block again")
    end = next((number for size, number in closings if size == width), closings[0][1])
    dividers = _dividers(lines, begin, end, width)
    if len(dividers) != 1:
        return Block(begin, end, path, "", "", _FAULTS[bool(dividers)])
    inside = dedented(lines[begin + 1 : end], len(opening["indent"]))
    middle = dividers[0] - begin - 1
    return Block(begin, end, path, text_of(inside[:middle]), text_of(inside[middle + 1 :]), None)


_FAULTS = {
    False: "has no `=======` line between the text to search and its replacement",
    True: (
        "has several `=======` lines: where the text itself holds such a line, make all three marks longer"
        " (`<<<<<<<<< SEARCH`, `=========`, `>>>>>>>>> REPLACE`)"
    ),
}


def _dividers(lines: Sequence[str], begin: int, end: int, width: int) -> list[int]:
    """The divider lines of a block: those as long as its opening mark, or all if there is none."""
    found = [(len(m["mark"]), n) for n in range(begin + 1, end) if (m := _DIVIDER.fullmatch(lines[n])) is not None]
    of_its_width = [number for size, number in found if size == width]
    return of_its_width or [number for _, number in found]


_HEAD_LINES = 6


def is_diff(lines: Sequence[str], language: str) -> bool:
    """Whether a fence is a unified diff, by its tag or its first lines."""
    if language in ("diff", "patch"):
        return True
    head = [line for line in lines if line.strip()][:_HEAD_LINES]
    if not any(_is_header(head, at) or _PATCH_FRAME.fullmatch(head[at]) for at in range(len(head))):
        return False
    return any(line.startswith(("@@", "*** ")) for line in lines)


def read_diff(lines: Sequence[str]) -> Iterator[Hunk]:
    """The hunks of a unified diff, in order; line numbers are ignored, because models make them up."""
    path, is_new, body, at = None, False, list[str](), 0
    while at < len(lines):
        line = lines[at]
        if _is_header(lines, at):
            yield from _hunk(path, body, is_new=is_new)
            old, path = _header_path(lines[at]), _header_path(lines[at + 1])
            is_new, body = old is None, []
            if path is None:
                yield Hunk(old, False, "", "", _DELETES)
            at += 2
            continue
        if (patched := _PATCHED.fullmatch(line)) is not None:
            yield from _hunk(path, body, is_new=is_new)
            path, is_new, body = patched["path"], patched["what"] == "Add", []
            if patched["what"] == "Delete":
                yield Hunk(path, False, "", "", _DELETES)
        elif line.startswith("diff --git ") or _HUNK.fullmatch(line):
            yield from _hunk(path, body, is_new=is_new)
            body = []
        elif not (_PATCH_FRAME.fullmatch(line) or (line.startswith(_BETWEEN) and not body)):
            body.append(line)
        at += 1
    yield from _hunk(path, body, is_new=is_new)


_DELETES = "deletes the file, which cannot be done here"
_BETWEEN = (
    "index ",
    "new file mode",
    "old mode",
    "new mode",
    "similarity index",
    "rename ",
    "deleted file mode",
    "===",
)


def _hunk(path: str | None, body: Sequence[str], *, is_new: bool) -> Iterator[Hunk]:
    lines = list(body)
    while lines and not lines[-1]:
        lines.pop()
    while lines and not lines[0]:
        lines.pop(0)
    if not lines:
        return
    strange = next((line for line in lines if line and line[0] not in " +-\\"), None)
    if strange is not None:
        shown = strange if len(strange) <= 80 else f"{strange[:80]}…"
        yield Hunk(path, is_new, "", "", f"has a line that begins with none of ` `, `+` and `-`: `{shown}`")
        return
    before = [line[1:] for line in lines if not line or line[0] in " -"]
    after = [line[1:] for line in lines if not line or line[0] in " +"]
    yield Hunk(path, is_new, text_of(before), text_of(after))


def _is_header(lines: Sequence[str], at: int) -> bool:
    return at + 1 < len(lines) and lines[at].startswith("--- ") and lines[at + 1].startswith("+++ ")


def _header_path(line: str) -> str | None:
    path = line[4:].partition("\t")[0].strip().strip('"')
    if path == "/dev/null":
        return None
    return path[2:] if path.startswith(("a/", "b/")) else path


def text_of(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
