"""Builds a git history from a project's released source packages: one commit each, with the release notes as message.

No code of a package is run and nothing is unpacked to disk: files go from the archive into a bare repository.
"""

import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from ...tools.errors import BadArgument
from .git import find_git, run_git
from .tree import is_safe

_NAME = re.compile(r"(?P<name>.+?)-(?P<version>\d[\w.!+]*)\.tar\.gz")
_NOTES = re.compile(r"(?i)(?:changelog|changes|history|news|releases?)(?:\.(?:md|rst|txt))?")
_MADE_BY_BUILDS = re.compile(r"(?:.*/)?(?:PKG-INFO|[^/]+\.egg-info/.*)")
_FILE_BYTES_AT_MOST = 1_000_000
_FILES_AT_MOST = 4_000
_NOTE_CHARACTERS_AT_MOST = 2_000


@dataclass(frozen=True)
class Release:
    name: str
    version: str
    made_at: int
    """Modification time of its newest file, in seconds since 1970 UTC."""
    files: Mapping[str, bytes]
    """Files allowed in a task, by path."""

    @property
    def notes(self) -> str:
        """Its changelog, which covers this and earlier releases; empty if it has none."""
        texts = [data for path, data in self.files.items() if _NOTES.fullmatch(path.rpartition("/")[2])]
        return max(texts, key=len, default=b"").decode("utf-8", "replace")


async def write_history(packages: Sequence[Path], folder: Path) -> Path:
    """Create a bare repository from source packages, oldest version first; return its path, named after the project.

    folder: its parent. Raises BadArgument for anything but a source package, and HistoryUnreadable.
    """
    releases = sorted([await anyio.to_thread.run_sync(_read, path) for path in packages], key=_order)
    git, repository = find_git(), folder / releases[0].name
    await run_git(git, ["init", "--quiet", "--bare", "--initial-branch=main", str(repository)], folder)
    stream = b"".join(_commits(releases))
    await run_git(git, ["fast-import", "--quiet"], folder, stream, git_dir=repository)
    return repository


def _read(path: Path) -> Release:
    named = _NAME.fullmatch(path.name)
    if named is None:
        raise BadArgument(f"--releases: {path.name} is not named like a source package, e.g. humanize-4.9.0.tar.gz.")
    try:
        with tarfile.open(path, "r:gz") as archive:
            members = [m for m in archive if m.isreg() and m.size <= _FILE_BYTES_AT_MOST][: _FILES_AT_MOST + 1]
            if len(members) > _FILES_AT_MOST:
                raise BadArgument(
                    f"--releases: {path.name} has more than {_FILES_AT_MOST:,} files. Name a smaller one."
                )
            files: dict[str, bytes] = {}
            for member in members:
                place = member.name.removeprefix("./").partition("/")[2]
                content = archive.extractfile(member)
                if content is not None and is_safe(place) and not _MADE_BY_BUILDS.fullmatch(place):
                    files[place] = content.read()
    except (OSError, tarfile.TarError, EOFError) as error:
        raise BadArgument(f"--releases: {path} cannot be read as a .tar.gz ({error}). Fetch it again.") from error
    made_at = int(max((member.mtime for member in members), default=0))
    return Release(named["name"], named["version"], max(0, made_at), files)


def _order(release: Release) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", release.version))


def _commits(releases: Sequence[Release]) -> Iterator[bytes]:
    """The input stream for `git fast-import`."""
    said = ""
    for release in releases:
        message = f"{release.name} {release.version}\n\n{_added(said, release.notes)}".strip().encode()
        said = release.notes
        yield b"commit refs/heads/main\n"
        yield f"committer Releases <releases@localhost> {release.made_at} +0000\n".encode()
        yield b"data %d\n%s\ndeleteall\n" % (len(message), message)
        for path, data in release.files.items():
            yield b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data)


def _added(before: str, after: str) -> str:
    """The lines that are new in the notes, clipped at the end of a line."""
    known = set(before.splitlines())
    fresh = "\n".join(line for line in after.splitlines() if not line.strip() or line not in known)
    fresh = re.sub(r"\n{3,}", "\n\n", fresh).strip()
    if len(fresh) <= _NOTE_CHARACTERS_AT_MOST:
        return fresh
    return fresh[:_NOTE_CHARACTERS_AT_MOST].rpartition("\n")[0]
