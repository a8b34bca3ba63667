"""The files that a mined task has: the project before its commit, in which the tests are those after it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .choosing import CommitCandidate, Dropped
from .commit import Entry
from .git import History
from .intent import SourceChange
from .own_packages import stand_ins

FILES_AT_MOST = 4_000
BYTES_AT_MOST = 24_000_000
"""Of all files of a project together. Ours: it is unpacked for each answer."""
_FILE_BYTES_AT_MOST = 1_000_000
_PATH_CHARACTERS_AT_MOST = 240


@dataclass(frozen=True)
class Scene:
    """What a candidate is about, as texts."""

    files: Mapping[str, str]
    """By path: all that is unpacked for an answer."""
    changes: tuple[SourceChange, ...]
    tests: Mapping[str, str]
    """As the commit left them; they are among `files`."""
    tests_before: Mapping[str, str]
    """Those of them that there were."""


@dataclass
class Texts:
    """What was read of a history, each text once: successive trees share most of theirs."""

    history: History
    known: dict[str, str | None] = field(default_factory=dict[str, str | None])
    """By the id of the content. None: it is not text in UTF-8, too large, or not there."""

    async def read(self, ids: Iterable[str]) -> Mapping[str, str | None]:
        wanted = [one for one in dict.fromkeys(ids) if one not in self.known]
        blobs = await self.history.blobs(wanted)
        self.known |= {one: _text(blobs.get(one)) for one in wanted}
        return self.known


async def scene_of(candidate: CommitCandidate, texts: Texts) -> Scene | Dropped:
    """The files of a candidate, or why it is no task."""
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
    return Scene({**stand_ins(files), **files}, tuple(changes), tests, tests_before)


async def _unread(candidate: CommitCandidate, path: str, content: str | None, texts: Texts) -> Dropped:
    """Why a file whose content has this id could not be read."""
    is_there = content is not None and await texts.history.holds(content)
    return Dropped(candidate.commit, "not text" if is_there else "not in the clone", path)


def is_safe(path: str) -> bool:
    """Whether a path of somebody's tree may be written below a folder of ours, on any system.

    Nothing that begins with a dot is: it steers tools, and no test needs it.
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
    """The files without those that cannot stand beside others: where one is a folder, or letters differ by case."""
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
