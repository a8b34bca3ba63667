"""Writes a change to disk atomically, and rolls it back.

At every step the journal can tell for each file whether it has its old or its new content. It does not protect against
another process that writes a file between the last check and the replacement, nor keep metadata that `file_metadata.py`
does not copy.
"""

import contextlib
import errno
import os
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

from .change import Change, FileWrite
from .folder import CurrentFile, Folder, folder_below
from .journal import Entry, Journal, Journals, WritePlan, digest, identity

UNDOING, UNDONE = "undoing", "undone"
"""Marks of a journal whose rollback has begun, and is complete except for the files stored with the second mark."""

_REMEDIES = {
    errno.ENOSPC: "The disk is full: make room",
    errno.EDQUOT: "Your quota of the disk is used up: make room",
    errno.EROFS: "The disk is read-only: mount it writable",
    errno.EACCES: "Make its folder writable",
    errno.EPERM: "Make its folder writable",
    errno.ENOENT: "Its folder is gone: recreate it",
    errno.ENOTDIR: "Its folder is a link or a file: name the real path",
    errno.ELOOP: "It is a link now: name the real path",
}


class NotApplied(Exception):
    """Nothing was written. The message says why and what to do."""


@dataclass(frozen=True)
class Rollback:
    """The result of rolling back a task, by file."""

    restored: tuple[str, ...]
    left: tuple[str, ...]
    """Files changed by somebody else since, which were left alone."""


def apply_change(change: Change, task_id: str, journals: Journals, at: float) -> None:
    """Write all files of a change, or none. at: now, in seconds since 1970 UTC. Raises NotApplied."""
    try:
        with journals.locked():
            for file in change.files:
                _require_writable(file)
            plan = _plan(change, task_id, at)
            journal = journals.begin(plan, [(file.before, file.after) for file in change.files])
            try:
                _write(change.files, journal, journals)
            except (OSError, NotApplied) as error:
                _give_up(journal, error)
            journals.at_step("written")
    except OSError as error:
        raise NotApplied(f"Nothing was written: {_why(error, journals.folder)}, then call again.") from error


def roll_back(journal: Journal) -> Rollback:
    """Restore every file that is still as the task wrote it; idempotent. Raises OSError.

    Also completes the rollback of an interrupted task, whose unwritten files still have their old content.
    """
    if (root := journal.missing_root()) is not None:
        raise FileNotFoundError(errno.ENOENT, "the project folder is missing or empty", root)
    restored: list[str] = []
    left: list[str] = []
    for number, entry in reversed(list(enumerate(journal.plan.files))):
        with _folder_of(entry) as folder:
            if folder is None:
                if entry.before is not None:
                    left.append(entry.path)
                continue
            folder.remove(entry.temporary)
            name = PurePath(entry.relative).name
            now = _look(folder, name)
            found = digest(now.data) if isinstance(now, CurrentFile) else None
            if now is not False and found == entry.before:
                continue
            if now is False or found != entry.after:
                left.append(entry.path)
                continue
            _restore(folder, name, entry, journal.before(number))
            restored.append(entry.path)
    _remove_made_folders(journal)
    return Rollback(tuple(reversed(restored)), tuple(reversed(left)))


def _plan(change: Change, task_id: str, at: float) -> WritePlan:
    entries = (
        Entry(
            path=file.path,
            root=str(file.root),
            relative=file.relative.as_posix(),
            temporary=f".chargehand-{task_id[:16]}-{number}",
            before=digest(file.before),
            after=digest(file.after) or "",
            added=file.lines.added,
            removed=file.lines.removed,
        )
        for number, file in enumerate(change.files)
    )
    missing = {
        (str(file.root), parent.as_posix()): None
        for file in change.files
        for parent in reversed(file.relative.parents)
        if not os.path.lexists(file.root / parent)
    }
    return WritePlan(
        task_id=task_id,
        at=at,
        files=tuple(entries),
        made_folders=tuple(missing),
        folders={str(file.root): identity(file.root) for file in change.files},
    )


def _require_writable(file: FileWrite) -> None:
    """Raises NotApplied if the file has changed since it was read, or is read-only."""
    try:
        with folder_below(file.root, file.relative.parent) as folder:
            now = folder.look(file.relative.name)
    except FileNotFoundError as error:
        if file.before is not None:
            raise NotApplied(f"Nothing was written: {_changed(file)}") from error
        return
    except OSError as error:
        raise NotApplied(f"Nothing was written: {_why(error, Path(file.path))}, then call again.") from error
    _require_unchanged(file, now)
    if now is not None and now.is_read_only:
        raise NotApplied(f"Nothing was written: {file.path} is read-only. Make it writable, then call again.")


def _write(files: Sequence[FileWrite], journal: Journal, journals: Journals) -> None:
    journals.at_step("folders")
    _make_folders(journal)
    for file, entry in zip(files, journal.plan.files, strict=True):
        journals.at_step(f"temporary {entry.path}")
        with _folder(file) as folder:
            now = folder.look(file.relative.name)
            _require_unchanged(file, now)
            folder.create(entry.temporary, file.after, now)
    for file, entry in zip(files, journal.plan.files, strict=True):
        journals.at_step(f"replace {entry.path}")
        with _folder(file) as folder:
            _require_unchanged(file, folder.look(file.relative.name))
            if file.before is None:
                folder.place_new(entry.temporary, file.relative.name)
            else:
                folder.replace(entry.temporary, file.relative.name)
    for file in files:
        journals.at_step(f"sync {file.path}")
        with _folder(file) as folder:
            folder.sync()


def _give_up(journal: Journal, error: OSError | NotApplied) -> None:
    """Roll back a change that cannot be completed. Raises NotApplied."""
    why = str(error) if isinstance(error, NotApplied) else f"{_why(error, journal.folder)}, then call again."
    try:
        taken = roll_back(journal)
    except OSError as worse:
        raise NotApplied(
            f"{why} It could not be restored either ({worse}); `chargehand undo {journal.plan.task_id}` tries again."
        ) from error
    if not taken.left:
        journal.drop()
    raise NotApplied(why if why.startswith("Nothing") else f"Nothing was written: {why}") from error


def _folder(file: FileWrite) -> AbstractContextManager[Folder]:
    return folder_below(file.root, file.relative.parent)


@contextlib.contextmanager
def _folder_of(entry: Entry) -> Generator[Folder | None]:
    """The folder of an entry. None: it no longer exists or is not a folder."""
    with contextlib.ExitStack() as opened:
        try:
            folder = opened.enter_context(folder_below(Path(entry.root), PurePath(entry.relative).parent))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise
            folder = None
        yield folder


def _look(folder: Folder, name: str) -> CurrentFile | Literal[False] | None:
    """The file; None: it does not exist; False: the name is not a regular file."""
    try:
        return folder.look(name)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.EISDIR, errno.ENXIO):
            return False
        raise


def _restore(folder: Folder, name: str, entry: Entry, before: bytes | None) -> None:
    if before is None:
        folder.remove(name)
    else:
        folder.create(entry.temporary, before, folder.look(name))
        folder.replace(entry.temporary, name)
    folder.sync()


def _make_folders(journal: Journal) -> None:
    for root, relative in journal.plan.made_folders:
        place = PurePath(relative)
        with folder_below(Path(root), place.parent) as above:
            above.make_folder(place.name)
            above.sync()


def _remove_made_folders(journal: Journal) -> None:
    for root, relative in reversed(journal.plan.made_folders):
        place = PurePath(relative)
        gone = contextlib.suppress(FileNotFoundError, NotADirectoryError)
        with gone, folder_below(Path(root), place.parent) as above:
            above.remove_folder_if_empty(place.name)


def _require_unchanged(file: FileWrite, now: CurrentFile | None) -> None:
    if digest(now.data if now else None) != digest(file.before):
        raise NotApplied(f"Nothing was written: {_changed(file)}")


def _changed(file: FileWrite) -> str:
    return (
        f"{file.path} was changed by somebody else since it was read for this task. Call again to run the task on the"
        " current file, or apply the code below yourself."
    )


def _why(error: OSError, path: Path) -> str:
    remedy = _REMEDIES.get(error.errno or 0, "Fix that")
    return f"{error.filename or path} cannot be written ({error.strerror or error}). {remedy}"
