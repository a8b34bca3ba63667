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
    known = await texts.read(ids)
    text_of = {one: text for one in ids if (text := known[one]) is not None}
    if (unread := _first_unread(candidate, text_of)) is not None:
        path, content = unread
        return Dropped(commit, "not text" if await texts.history.holds(content) else "not in the clone", path)

    changes = [SourceChange(d.path, text_of.get(d.before or ""), text_of[d.after or ""]) for d in candidate.sources]
    tests = {d.path: text_of[d.after or ""] for d in candidate.tests}
    tests_before = {d.path: text_of[d.before] for d in candidate.tests if d.before in text_of}
    given = {d.path: text_of[d.after] for d in candidate.given if d.after in text_of and is_safe(d.path)}
    replaced = {d.path for d in candidate.given}
    files = {e.path: text_of[e.id] for e in entries if e.id in text_of and e.path not in replaced}
    sources = {c.path: c.before for c in changes if c.before is not None}
    files = _without_clashes({**files, **given, **sources, **tests})
    if missing := [path for path in (*tests, *sources) if path not in files]:
        return Dropped(commit, "names that cannot be given", missing[0])
    return CandidateContent({**stand_ins(files), **files}, tuple(changes), tests, tests_before)


def _first_unread(candidate: CommitCandidate, text_of: Mapping[str, str]) -> tuple[str, str] | None:
    """Path and blob id of the first text that a task needs and that was not read. None: all were."""
    needed = [(delta.path, content) for delta in candidate.sources for content in (delta.before, delta.after)]
    needed += [(delta.path, delta.after) for delta in candidate.tests]
    return next(((path, one) for path, one in needed if one is not None and one not in text_of), None)


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
