"""Journals of the files written for each task, for undo and crash recovery.

Each task has a folder in the data folder, readable by its user only, which appears atomically before the first file is
touched. It holds a plan, and every file's old and new content.
"""

import contextlib
import errno
import hashlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ...profiles.durable_files import sync, write_and_sync
from ..errors import CallerError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

logger = logging.getLogger(__name__)

FOLDER = "undo"
KEPT_DAYS = 30
"""Days after which a task can no longer be undone."""

_PLAN, _LOCK = "plan.json", "lock"
_UNFINISHED = "new-"

Step = Callable[[str], None]
"""Called with the name of each step before it begins; crash tests end the process there."""


class Entry(BaseModel):
    """One file of a task."""

    model_config = ConfigDict(frozen=True)

    path: str
    """As the caller named it."""
    root: str
    relative: str
    """From the root, with slashes."""
    temporary: str
    """Its temporary name until it is complete."""
    before: str | None
    """SHA-256 of the old content. None: the file did not exist."""
    after: str
    added: int
    removed: int


class WritePlan(BaseModel):
    model_config = ConfigDict(frozen=True)

    task_id: str
    at: float
    """Seconds since 1970 UTC."""
    files: tuple[Entry, ...]
    made_folders: tuple[tuple[str, str], ...] = ()
    """Root and relative path of the folders to create, outermost first."""
    folders: Mapping[str, tuple[int, int]] = {}
    """Device and inode of each root."""


class JournalUnusable(CallerError):
    """A journal, or the folder of all, cannot be used; the message names it and the remedy."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"{path} cannot be used ({why}), so what is recorded there can be neither undone nor forgotten. Make it"
            " readable and writable for you, or delete it."
        )


@dataclass(frozen=True)
class Journal:
    """The writes of one task, planned or done."""

    folder: Path
    plan: WritePlan

    @property
    def begun_s(self) -> float:
        """When the journal was written, in seconds since 1970 UTC. Raises OSError."""
        return (self.folder / _PLAN).stat().st_mtime

    def missing_root(self) -> str | None:
        """The first root that is missing or empty, because it was renamed or is not mounted. None: all exist."""
        roots = dict.fromkeys(entry.root for entry in self.plan.files)
        return next((root for root in roots if _is_away(root, self.plan.folders.get(root))), None)

    def before(self, number: int) -> bytes | None:
        """The old content of the file with that number. None: it did not exist."""
        return None if self.plan.files[number].before is None else (self.folder / f"{number}.before").read_bytes()

    def after(self, number: int) -> bytes:
        return (self.folder / f"{number}.after").read_bytes()

    def has(self, mark: str) -> bool:
        return (self.folder / mark).exists()

    def put(self, mark: str, files: Sequence[str] = ()) -> None:
        """Set a mark, with the files that it applies to; it is on disk when this returns."""
        write_and_sync(self.folder / mark, json.dumps(files).encode() if files else b"")
        sync(self.folder)

    def files_at(self, mark: str) -> Sequence[str]:
        """The files stored with a mark that is set."""
        return json.loads((self.folder / mark).read_bytes() or b"[]")

    def drop(self) -> None:
        """Delete the journal, beginning with the plan, without which the rest is ignored."""
        with contextlib.suppress(OSError):
            _drop(self.folder)


@dataclass
class Journals:
    """All journals of a data folder."""

    folder: Path
    at_step: Step = lambda _: None
    notices: list[str] = field(default_factory=list[str])
    """Messages about tasks recovered at startup, for the next answer."""
    _noted: set[str] = field(default_factory=set[str])

    def take_notices(self) -> list[str]:
        """Return the messages and clear them."""
        notices, self.notices = self.notices, []
        return notices

    @contextlib.contextmanager
    def locked(self) -> Generator[None]:
        """Hold the lock that serializes writes and undos of all processes on this data folder. Raises OSError."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if sys.platform == "win32":
                msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
            else:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def begin(self, plan: WritePlan, contents: Sequence[tuple[bytes | None, bytes]]) -> Journal:
        """Create the journal of a change, complete on disk. Raises OSError and leaves nothing behind then.

        contents: the old and the new content of each file.
        """
        unfinished = self.folder / f"{_UNFINISHED}{plan.task_id}"
        try:
            unfinished.mkdir(mode=0o700)
            for number, (before, after) in enumerate(contents):
                if before is not None:
                    write_and_sync(unfinished / f"{number}.before", before)
                write_and_sync(unfinished / f"{number}.after", after)
            write_and_sync(unfinished / _PLAN, plan.model_dump_json().encode())
            sync(unfinished)
            self.at_step("journal")
            unfinished.rename(self.folder / plan.task_id)
            sync(self.folder)
        except OSError:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        return Journal(self.folder / plan.task_id, plan)

    def find(self, task_id: str) -> Journal | None:
        """The journal of a task. None: there is none. Raises JournalUnusable."""
        if Path(task_id).name != task_id:  # rejects paths
            return None
        folder = self.folder / task_id
        try:
            return Journal(folder, WritePlan.model_validate_json((folder / _PLAN).read_bytes()))
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            if self.folder.is_dir():
                return None
            raise JournalUnusable(self.folder, "it is not a folder") from None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return None
            raise JournalUnusable(folder, error.strerror or str(error)) from error
        except ValidationError as error:
            raise JournalUnusable(folder / _PLAN, "it is damaged") from error

    def all(self) -> list[Journal]:
        """Oldest first. Those that cannot be read are left out, and named once in `notices`."""
        found: list[Journal] = []
        try:
            names = self._names()
        except JournalUnusable as error:
            self._note(error)
            return found
        for name in names:
            try:
                journal = self.find(name)
            except JournalUnusable as error:
                self._note(error)
            else:
                found += [journal] if journal else []
        return sorted(found, key=lambda journal: journal.plan.at)

    def _names(self) -> list[str]:
        try:
            return [path.name for path in self.folder.iterdir() if not path.name.startswith(_UNFINISHED)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise JournalUnusable(self.folder, error.strerror or str(error)) from error

    def _note(self, error: JournalUnusable) -> None:
        if str(error) not in self._noted:
            self._noted.add(str(error))
            self.notices.append(str(error))
            logger.warning("%s", error)

    def forget(self, task_ids: Collection[str] | None) -> None:
        """Delete the journals of these tasks, which can then no longer be undone. None: all tasks.

        Raises JournalUnusable for one that cannot be deleted, after the others.
        """
        kept: JournalUnusable | None = None
        for name in self._names():
            if name == _LOCK or (task_ids is not None and name not in task_ids):
                continue
            try:
                _drop(self.folder / name)
            except OSError as error:
                kept = JournalUnusable(self.folder / name, error.strerror or str(error))
        if kept is not None:
            raise kept

    def unfinished(self) -> list[tuple[str, Path]]:
        """Task ids and folders of incomplete journals, for which no file was written."""
        try:
            paths = list(self.folder.glob(f"{_UNFINISHED}*"))
        except OSError:  # `all` says so
            return []
        return [(path.name.removeprefix(_UNFINISHED), path) for path in paths]


def _drop(folder: Path) -> None:
    """Delete the folder of a journal. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        (folder / _PLAN).unlink()
    shutil.rmtree(folder)


def identity(folder: str | Path) -> tuple[int, int]:
    """Device and inode, which distinguish folders of the same path. Raises OSError."""
    found = os.stat(folder)  # noqa: PTH116 - as below
    return found.st_dev, found.st_ino


def _is_away(root: str, known: tuple[int, int] | None) -> bool:
    """Whether the folder is missing, or is an empty mount point whose volume is not mounted."""
    if not os.path.isdir(root):  # noqa: PTH112 - Path.is_dir raises for a dead mount
        return True
    # A different identity alone says little: a project copied back has one, and some mounts get one each time.
    try:
        return known is not None and known != identity(root) and not os.listdir(root)  # noqa: PTH208 - as above
    except OSError:
        return True


def digest(data: bytes | None) -> str | None:
    """SHA-256 of the content. None: there is no file."""
    return None if data is None else hashlib.sha256(data).hexdigest()
