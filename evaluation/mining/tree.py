"""The files of a mined task: the project before its commit, with the tests as of the commit."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .choosing import CommitCandidate, Dropped
from .commit import Entry
from .git import History
from .intent import SourceChange
from .own_packages import stand_ins

FILES_AT_MOST = 4_000
BYTES_AT_MOST = 24_000_000
"""Limit on a project's total size. Our choice, as it is unpacked for each answer."""
_FILE_BYTES_AT_MOST = 1_000_000
_PATH_CHARACTERS_AT_MOST = 240


@dataclass(frozen=True)
class CandidateContent:
    """The texts of a candidate's files."""

    files: Mapping[str, str]
    """Everything unpacked for an answer, by path."""
    changes: tuple[SourceChange, ...]
    tests: Mapping[str, str]
    """As the commit left them, by path; also in `files`."""
    tests_before: Mapping[str, str]
    """The previous versions of those that existed before."""


@dataclass
class TextCache:
    """A cache of file contents, since successive trees share most of theirs."""

    history: History
    known: dict[str, str | None] = field(default_factory=dict[str, str | None])
    """By blob id. None: not UTF-8 text, too large, or not in the clone."""

    async def read(self, ids: Iterable[str]) -> Mapping[str, str | None]:
        wanted = [one for one in dict.fromkeys(ids) if one not in self.known]
        blobs = await self.history.blobs(wanted)
        self.known |= {one: _text(blobs.get(one)) for one in wanted}
        return self.known


async def read_candidate(candidate: CommitCandidate, texts: TextCache) -> CandidateContent | Dropped:
    """The texts of a candidate's files, or the reason that it is no task."""
    commit = candidate.commit
    entries = _kept(await texts.history.tree(commit.parents[0]))
    size_bytes = sum(entry.size_bytes for entry in entries)
    if len(entries) > FILES_AT_MOST or size_bytes > BYTES_AT_MOST:
        return Dropped(commit, "project too large", f"{len(entries):,} files, {size_bytes / 1e6:.0f} MB")
    changed = [*candidate.sources, *candidate.tests, *candidate.given]
    ids = [entry.id for entry in entries]
    ids += [content for delta in changed for content in (delta.before, delta.after) if content is not None]
    text_of = await texts.read(ids)

    files = {entry.path: text for entry in entries if (text := text_of[entry.id]) is not None}
    changes: list[SourceChange] = []
    for delta in candidate.sources:
        before = None if delta.before is None else text_of[delta.before]
        after = text_of[delta.after or ""]
        if delta.before is not None and before is None:
            return await _unread(candidate, delta.path, delta.before, texts)
        if after is None:
            return await _unread(candidate, delta.path, delta.after, texts)
        changes.append(SourceChange(delta.path, before, after))
    tests: dict[str, str] = {}
    tests_before: dict[str, str] = {}
    for delta in candidate.tests:
        text = text_of[delta.after or ""]
        if text is None:
            return await _unread(candidate, delta.path, delta.after, texts)
        tests[delta.path] = text
        if delta.before is not None and (old := text_of[delta.before]) is not None:
            tests_before[delta.path] = old
    for delta in candidate.given:
        files.pop(delta.path, None)
        if is_safe(delta.path) and delta.after is not None and (text := text_of[delta.after]) is not None:
            files[delta.path] = text
    files = _without_clashes({**files, **{c.path: c.before for c in changes if c.before is not None}, **tests})
    if missing := [path for path in (*tests, *(c.path for c in changes if c.before is not None)) if path not in files]:
        return Dropped(commit, "names that cannot be given", missing[0])
    return CandidateContent({**stand_ins(files), **files}, tuple(changes), tests, tests_before)


async def _unread(candidate: CommitCandidate, path: str, content: str | None, texts: TextCache) -> Dropped:
    """The reason that a blob could not be read."""
    is_there = content is not None and await texts.history.holds(content)
    return Dropped(candidate.commit, "not text" if is_there else "not in the clone", path)


def is_safe(path: str) -> bool:
    """Whether a path from an untrusted tree may be written below one of our folders, on any system.

    Paths with a part that begins with a dot are excluded: such files configure tools, and tests do not need them.
    """
    return (
        len(path) <= _PATH_CHARACTERS_AT_MOST
        and path.isprintable()
        and not any(mark in path for mark in '\\:*?"<>|')
        and all(part and not part.startswith(".") for part in path.split("/"))
    )


def _kept(entries: Iterable[Entry]) -> list[Entry]:
    return [
        entry for entry in entries
        if entry.is_regular and entry.size_bytes <= _FILE_BYTES_AT_MOST and is_safe(entry.path)
    ]  # fmt: skip


def _without_clashes(files: Mapping[str, str]) -> dict[str, str]:
    """The files without conflicting paths: those equal to another's folder, and those that differ only by case."""
    folders = {path[:end].casefold() for path in files for end, letter in enumerate(path) if letter == "/"}
    found: dict[str, str] = {}
    for path in sorted(files):
        if path.casefold() not in folders:
            found.setdefault(path.casefold(), path)
    return {path: files[path] for path in found.values()}


def _text(data: bytes | None) -> str | None:
    if data is None or b"\0" in data:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None
