"""The folders that may be read, and safe opening of files below them: symbolic links are never followed."""

import errno
import hashlib
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..editing.file_form import NotText, read_text
from ..editing.folder import folder_below
from ..errors import WHERE_VARIABLES_ARE_SET, FileMissing, FileRefused, NoRoots

FILE_BYTES_AT_MOST = 2_000_000

HOW_TO_SET_ROOTS = f"Set CHARGEHAND_ROOTS to your project's folder {WHERE_VARIABLES_ARE_SET}."

# A folder that contains one of these is a project.
_PROJECT_MARKS = (
    ".git", ".hg", "pyproject.toml", "setup.py", "package.json", "Cargo.toml", "go.mod", "pom.xml", "build.gradle",
    "build.gradle.kts", "Gemfile", "composer.json", "CMakeLists.txt", "Makefile", "mix.exs", "deno.json",
)  # fmt: skip

_SYSTEM_FOLDERS = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr",
    "/System", "/Library", "/private/etc", "C:\\Windows", "C:\\Program Files",
)  # fmt: skip

# Source folders of containers and administrators, although below a system folder.
_SOURCES = ("/usr/src", "/usr/local/src")

# Folders that are shared by all users or all projects.
_EVERYBODYS_FOLDERS = ("/home", "/opt", "/private", "/private/var", "/srv", "/var", "/Users", "/Volumes", *_SOURCES)

_INSTALLED_IN = Path(os.path.realpath(__file__)).parents[2]


def project_key(folder: Path) -> str:
    """The key of the project in a folder, after resolving links."""
    return hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]


@dataclass(frozen=True)
class Roots:
    """The folders below which files may be read."""

    folders: tuple[Path, ...]
    """Resolved; relative paths are against the first."""
    off_limits: tuple[Path, ...] = ()
    """Folders that are never read, even below a root: our own data folder."""
    problems: tuple[str, ...] = ()
    """Why configured folders were rejected, each with its remedy."""

    @property
    def project(self) -> str | None:
        """The key that tells tasks of the first root from those of other projects; it does not reveal the path."""
        return project_key(self.folders[0]) if self.folders else None

    def locate(self, path: str, argument: str) -> tuple[Path, Path]:
        """The root that contains a path, and the path relative to it; the file itself is not accessed.

        An absolute path may reach a root through an alias, such as a link. argument: the tool argument that the path
        came in, for messages. Raises NoRoots or FileRefused.
        """
        because = f" ({' '.join(self.problems)})" if self.problems else ""
        if not self.folders:
            raise NoRoots(f"{argument}: no folder may be read{because}. {HOW_TO_SET_ROOTS}")
        if not path or "\0" in path:
            raise FileRefused(f"{argument}: {_shown(path)} is not a path. Name a file below {self.folders[0]}.")
        try:
            os.fsencode(path)
        except UnicodeEncodeError as error:
            raise FileRefused(
                f"{argument}: this server's locale ({sys.getfilesystemencoding()}) cannot name {_shown(path)}. Set"
                f" PYTHONUTF8=1 {WHERE_VARIABLES_ARE_SET}."
            ) from error
        wanted = Path(os.path.normpath(self.folders[0] / path))
        for root in self.folders:
            relative = _below(root, wanted)
            if relative is not None:
                if any(_below(folder, root / relative) is not None for folder in self.off_limits):
                    raise FileRefused(
                        f"{argument}: {_shown(path)} is in Chargehand's own data folder. Name another file."
                    )
                return root, relative
        raise FileRefused(
            f"{argument}: {_shown(path)} is outside the roots ({', '.join(map(str, self.folders))}){because}."
            " Name a file below them, or add its folder to CHARGEHAND_ROOTS."
        )

    def read(self, path: str, argument: str) -> str:
        """The text of a file below a root. Raises NoRoots or FileRefused, which says what to do."""
        return _decoded(self.read_bytes(path, argument), f"{argument}: {_shown(path)}")

    def read_bytes(self, path: str, argument: str) -> bytes:
        """The bytes of a file below a root. Raises NoRoots, FileMissing or another FileRefused."""
        root, relative = self.locate(path, argument)
        named = f"{argument}: {_shown(path)}"
        try:
            descriptor = _open_beneath(root, relative)
        except FileNotFoundError as error:
            raise FileMissing(f"{named} does not exist below {root}. Correct the path.") from error
        except OSError as error:
            if error.errno in _LINK_ERRORS:
                raise FileRefused(f"{named} is a link, or leads through one or a file. Name the real path.") from error
            raise FileRefused(f"{named} cannot be opened ({error.strerror}). Name a readable file.") from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FileRefused(f"{named} is not a regular file. Name a file.")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                data = file.read(FILE_BYTES_AT_MOST + 1)
        finally:
            os.close(descriptor)
        if len(data) > FILE_BYTES_AT_MOST:
            raise FileRefused(
                f"{named} is larger than {FILE_BYTES_AT_MOST // 1_000_000} MB. Give the part that matters as text."
            )
        return data


def find_roots(configured: Sequence[str], *, start: Path, home: Path | None, data_folder: Path) -> Roots:
    """The roots: the configured folders, else the start folder if it belongs to a project.

    A filesystem root, the home folder itself, a system folder and our data folder are never roots. The folder that
    this server is installed in is a root only if it is configured. home: None if the user has no home folder.
    """
    folders: list[Path] = []
    problems: list[str] = []
    resolved_home, own = home and _resolved(home), _resolved(data_folder)
    for name in configured:
        folder = _resolved(os.path.expanduser(name))  # noqa: PTH111 - Path.expanduser raises for an unknown user
        because = _not_a_root(folder, resolved_home, own)
        if because is None:
            folders.append(folder)
        else:
            problems.append(f"CHARGEHAND_ROOTS: {name} {because}.")
    if not configured:
        folder = _resolved(start)
        is_ours = folder.is_relative_to(_INSTALLED_IN)  # desktop bundles start here, and it has a pyproject.toml
        if (
            not is_ours
            and _not_a_root(folder, resolved_home, own) is None
            and _belongs_to_a_project(folder, resolved_home)
        ):
            folders.append(folder)
    return Roots(folders=tuple(dict.fromkeys(folders)), off_limits=(own,), problems=tuple(problems))


def _resolved(path: str | Path) -> Path:
    return Path(os.path.realpath(path))


def _not_a_root(folder: Path, home: Path | None, own: Path) -> str | None:
    if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir raises if a parent may not be searched
        return "is not a folder"
    if folder == Path(folder.anchor):
        return "is a whole filesystem"
    if home is not None and home.is_relative_to(folder):
        return "is the home folder, or contains it; name a project in it"
    if folder.is_relative_to(own):
        return "is Chargehand's own data folder"
    if str(folder) in _EVERYBODYS_FOLDERS:
        return "contains all users' folders; name a project in it"
    if _is_within(folder, _SYSTEM_FOLDERS) and not _is_within(folder, _SOURCES):
        return "belongs to the system"
    return None


def _is_within(folder: Path, others: Sequence[str]) -> bool:
    return any(folder.is_relative_to(other) for other in others)


def _belongs_to_a_project(folder: Path, home: Path | None) -> bool:
    places = _up_to(folder, home)
    return any(os.path.lexists(place / mark) for place in places for mark in _PROJECT_MARKS)


def _up_to(folder: Path, home: Path | None) -> Iterator[Path]:
    """The folder and its parents, up to but excluding home and the filesystem root."""
    for place in (folder, *folder.parents):
        if place == home or place == Path(place.anchor):
            return
        yield place


def _below(folder: Path, wanted: Path) -> Path | None:
    """The path of `wanted` relative to a folder, even if it reaches the folder by another name. None: it is outside."""
    if wanted.is_relative_to(folder):
        return wanted.relative_to(folder)
    for place in (wanted, *wanted.parents):
        try:
            is_it = place.samefile(folder)
        except OSError:  # missing, or not accessible
            continue
        if is_it:
            return wanted.relative_to(place)
    return None


# The errors of O_NOFOLLOW for a link: ELOOP, EMLINK on FreeBSD, and ENOTDIR with O_DIRECTORY.
_LINK_ERRORS = (errno.ELOOP, errno.EMLINK, errno.ENOTDIR)


def _open_beneath(root: Path, relative: Path) -> int:
    """A descriptor of the file, opened component by component from the root so that no link is followed."""
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if os.open not in os.supports_dir_fd:
        return _open_checked(root, relative, flags)
    with folder_below(root, relative.parent) as folder:
        return os.open(relative.name or ".", flags | os.O_NOFOLLOW, dir_fd=folder.descriptor)


def _open_checked(root: Path, relative: Path, flags: int) -> int:
    """The same for systems without openat (Windows): checks each component, then opens the file."""
    place = root
    for part in relative.parts:
        place /= part
        if place.is_symlink() or os.path.realpath(place) != os.path.normpath(place):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return os.open(place, flags)


def _decoded(data: bytes, named: str) -> str:
    try:
        return read_text(data).raw
    except NotText as error:
        raise FileRefused(f"{named} is not text: {error}. Leave it out, or name a text file.") from error


def _shown(path: str) -> str:
    return repr(path if len(path) <= 200 else f"{path[:200]}…")
