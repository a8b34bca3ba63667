"""Journals of the files written for each task, for undo and crash recovery.

Each task has a folder in the data folder, readable by its user only, which appears atomically before the first file is
touched. It holds a plan, and every file's old and new content.
"""

import contextlib
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ...profiles.durable_files import sync, write_and_sync

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

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
        with contextlib.suppress(FileNotFoundError):
            (self.folder / _PLAN).unlink()
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass
class Journals:
    """All journals of a data folder."""

    folder: Path
    at_step: Step = lambda _: None
    notices: list[str] = field(default_factory=list[str])
    """Messages about tasks recovered at startup, for the next answer."""

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
        if Path(task_id).name != task_id:  # rejects paths
            return None
        folder = self.folder / task_id
        try:
            return Journal(folder, WritePlan.model_validate_json((folder / _PLAN).read_bytes()))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def all(self) -> list[Journal]:
        """Oldest first."""
        try:
            names = [path.name for path in self.folder.iterdir() if not path.name.startswith(_UNFINISHED)]
        except FileNotFoundError:
            return []
        found = [journal for name in names if (journal := self.find(name)) is not None]
        return sorted(found, key=lambda journal: journal.plan.at)

    def forget(self, task_ids: Collection[str] | None) -> None:
        """Delete the journals of these tasks, which can then no longer be undone. None: all tasks."""
        for journal in self.all():
            if task_ids is None or journal.plan.task_id in task_ids:
                journal.drop()

    def unfinished(self) -> list[tuple[str, Path]]:
        """Task ids and folders of incomplete journals, for which no file was written."""
        try:
            paths = list(self.folder.glob(f"{_UNFINISHED}*"))
        except FileNotFoundError:
            return []
        return [(path.name.removeprefix(_UNFINISHED), path) for path in paths]


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
