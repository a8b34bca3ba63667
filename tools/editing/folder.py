"""A folder below a root, held open so that a link created meanwhile cannot redirect operations in it."""

import contextlib
import errno
import os
import stat
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from .file_metadata import attributes_of, copy_metadata, is_script

_HAS_DESCRIPTORS = os.open in os.supports_dir_fd
"""False on Windows, where each path is checked before use, which leaves a short race."""

_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES)


@dataclass(frozen=True)
class CurrentFile:
    """The current state of a file."""

    data: bytes
    status: os.stat_result
    attributes: Mapping[str, bytes]
    """See `attributes_of`."""

    @property
    def is_read_only(self) -> bool:
        """Whether no write permission is set. Replacing the file would bypass that."""
        return not stat.S_IMODE(self.status.st_mode) & 0o222


@dataclass(frozen=True)
class Folder:
    path: Path
    descriptor: int | None
    """None: the system has no calls relative to an open folder."""

    def look(self, name: str) -> CurrentFile | None:
        """The file of that name. None: it does not exist. Raises OSError for anything but a regular file."""
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        try:
            opened = os.open(self._at(name), flags, dir_fd=self.descriptor)
        except FileNotFoundError:
            return None
        with os.fdopen(opened, "rb") as file:
            status = os.fstat(opened)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EISDIR, "it is not a regular file", name)
            return CurrentFile(file.read(), status, attributes_of(opened))

    def create(self, name: str, data: bytes, like: CurrentFile | None) -> None:
        """Create a file with the data, on disk when this returns.

        like: the file whose owner, mode and attributes to copy. None: defaults, and a script can be started.
        """
        default = 0o777 if is_script(data) else 0o666
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        # Private until it has the mode of the file that it replaces.
        opened = os.open(self._at(name), flags, default if like is None else 0o600, dir_fd=self.descriptor)
        with os.fdopen(opened, "wb") as file:
            file.write(data)
            file.flush()
            if like is not None:
                copy_metadata(opened, like.status, like.attributes)
            os.fsync(opened)

    def replace(self, temporary: str, name: str) -> None:
        os.replace(
            self._at(temporary), self._at(name), src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor
        )  # fmt: skip

    def place_new(self, temporary: str, name: str) -> None:
        """Rename a file unless the name is taken. Raises FileExistsError."""
        try:
            os.link(
                self._at(temporary), self._at(name), src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor,
                follow_symlinks=False,
            )  # fmt: skip
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            if self.look(name) is not None:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name) from error
            self.replace(temporary, name)
        else:
            self.remove(temporary)

    def remove(self, name: str) -> None:
        """Remove a file, if it exists."""
        with contextlib.suppress(FileNotFoundError):
            # On a read-only disk, `unlink` also refuses names that do not exist.
            os.lstat(self._at(name), dir_fd=self.descriptor)
            os.unlink(self._at(name), dir_fd=self.descriptor)

    def make_folder(self, name: str) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._at(name), dir_fd=self.descriptor)

    def remove_folder_if_empty(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.rmdir(self._at(name), dir_fd=self.descriptor)

    def sync(self) -> None:
        """Flush the folder's entries to disk."""
        if self.descriptor is not None:
            os.fsync(self.descriptor)

    def _at(self, name: str) -> str:
        return name if self.descriptor is not None else str(self.path / name)


@contextlib.contextmanager
def folder_below(root: Path, relative: PurePath) -> Generator[Folder]:
    """The folder, opened component by component from the root so that no link is followed. Raises OSError."""
    path = root / relative
    if not _HAS_DESCRIPTORS:
        if os.path.realpath(path) != os.path.normpath(path):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        if not path.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        yield Folder(path, None)
        return
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in relative.parts:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
        yield Folder(path, at)
    finally:
        os.close(at)
