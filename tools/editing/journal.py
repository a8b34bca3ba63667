"""What was written for each task, kept so that it can be taken back: after a crash, or when the user wishes so.

Each task has a folder in the data folder, readable by its user alone, that appears in one step before the
first file is touched: a plan, and every file as it was and as it becomes.
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
"""After so many days what a task wrote can no longer be taken back."""

_PLAN, _LOCK = "plan.json", "lock"
_UNFINISHED = "new-"

Step = Callable[[str], None]
"""Called with the name of each step as it begins; a rehearsal of a crash ends the process there."""


class Entry(BaseModel):
    """One file of a task."""

    model_config = ConfigDict(frozen=True)

    path: str
    """As the caller named it."""
    root: str
    relative: str
    """From the root, with slashes."""
    temporary: str
    """What it is called until it is whole."""
    before: str | None
    """SHA-256. None: there was no such file."""
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
    """Root and relative path of folders that are missing, the outermost first."""
    folders: Mapping[str, tuple[int, int]] = {}
    """Device and inode of each root."""


@dataclass(frozen=True)
class Journal:
    """What one task writes, or has written."""

    folder: Path
    plan: WritePlan

    @property
    def begun_s(self) -> float:
        """When the change was about to be made, in seconds of the epoch. Raises OSError."""
        return (self.folder / _PLAN).stat().st_mtime

    def missing_root(self) -> str | None:
        """A project that was renamed or is not mounted: nothing can be said of its files. None: all are there."""
        roots = dict.fromkeys(entry.root for entry in self.plan.files)
        return next((root for root in roots if _is_away(root, self.plan.folders.get(root))), None)

    def before(self, number: int) -> bytes | None:
        """The file of that number as it was. None: there was none."""
        return None if self.plan.files[number].before is None else (self.folder / f"{number}.before").read_bytes()

    def after(self, number: int) -> bytes:
        return (self.folder / f"{number}.after").read_bytes()

    def has(self, mark: str) -> bool:
        return (self.folder / mark).exists()

    def put(self, mark: str, files: Sequence[str] = ()) -> None:
        """Remember something about it, and which files it is about: the mark is on disk when this returns."""
        write_and_sync(self.folder / mark, json.dumps(files).encode() if files else b"")
        sync(self.folder)

    def files_at(self, mark: str) -> Sequence[str]:
        """The files that were remembered with a mark that it has."""
        return json.loads((self.folder / mark).read_bytes() or b"[]")

    def drop(self) -> None:
        """Forget it all. First the plan, without which nobody reads the rest."""
        with contextlib.suppress(FileNotFoundError):
            (self.folder / _PLAN).unlink()
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass
class Journals:
    """All journals of a data folder."""

    folder: Path
    at_step: Step = lambda _: None
    news: list[str] = field(default_factory=list[str])
    """What was put right at the start, to be said in the next answer."""

    def take_news(self) -> list[str]:
        """The news, once."""
        news, self.news = self.news, []
        return news

    @contextlib.contextmanager
    def alone(self) -> Generator[None]:
        """Nobody else writes or takes back meanwhile, in any process on this data folder. Raises OSError."""
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
        """The journal of a change that is about to be made, whole on disk. Raises OSError, and then it is not there.

        contents: each file as it is and as it becomes.
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
        if Path(task_id).name != task_id:  # a path is no id, wherever it leads
            return None
        folder = self.folder / task_id
        try:
            return Journal(folder, WritePlan.model_validate_json((folder / _PLAN).read_bytes()))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def all(self) -> list[Journal]:
        """The oldest first."""
        try:
            names = [path.name for path in self.folder.iterdir() if not path.name.startswith(_UNFINISHED)]
        except FileNotFoundError:
            return []
        found = [journal for name in names if (journal := self.find(name)) is not None]
        return sorted(found, key=lambda journal: journal.plan.at)

    def forget(self, task_ids: Collection[str] | None) -> None:
        """Forget what these tasks wrote; it cannot be taken back any more. None: all tasks."""
        for journal in self.all():
            if task_ids is None or journal.plan.task_id in task_ids:
                journal.drop()

    def unfinished(self) -> list[tuple[str, Path]]:
        """Task ids and folders of journals that never became whole: nothing was written for them."""
        try:
            paths = list(self.folder.glob(f"{_UNFINISHED}*"))
        except FileNotFoundError:
            return []
        return [(path.name.removeprefix(_UNFINISHED), path) for path in paths]


def identity(folder: str | Path) -> tuple[int, int]:
    """Device and inode: what tells a folder from another of its name. Raises OSError."""
    found = os.stat(folder)  # noqa: PTH116 - as below
    return found.st_dev, found.st_ino


def _is_away(root: str, known: tuple[int, int] | None) -> bool:
    """Whether the folder is gone, or is the empty one that stays behind where a volume was mounted."""
    if not os.path.isdir(root):  # noqa: PTH112 - Path.is_dir raises for a mount that is dead
        return True
    # By itself another identity says little: a project that was copied back has one, and some mounts at each start.
    try:
        return known is not None and known != identity(root) and not os.listdir(root)  # noqa: PTH208 - as above
    except OSError:
        return True


def digest(data: bytes | None) -> str | None:
    """What tells one content from another. None: there is no file."""
    return None if data is None else hashlib.sha256(data).hexdigest()
